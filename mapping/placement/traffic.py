"""What one message of a unit causes, by where the units of the layers beside it sit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray

from hw.events.messages import COLUMNS
from mapping.placement.chip import LOIHI_1, Chip
from mapping.placement.reach import fan_in, fan_out, heard_above, heard_below
from models.ep.links import Link

Array = NDArray[np.float64]
Places = NDArray[np.int64]
CORES_AT_ONCE = 512
"""Cores whose senders are found in one pass, to bound the memory of large networks."""


def traffic(
    links: Sequence[Link], cores: Sequence[Places], *, feedback: bool = True, chip: Chip = LOIHI_1
) -> tuple[Array, ...]:
    """Per layer 0..L, (units, columns of `hw.events.messages.COLUMNS`) what one message of each unit causes.

    Fan-out counts every weight a unit meets: under pooling those of all windows it reaches, as the weights are stored.
    A unit sends one message to each core that holds a unit it is joined to, above or below, over the Manhattan distance
    between their tiles. The input is clamped: nothing is sent down to it, and nothing at all without `feedback`.
    """
    tables = []
    for layer, places in enumerate(cores):
        table = np.zeros((len(places), len(COLUMNS)))
        if layer < len(links):
            link = links[layer]
            table[:, COLUMNS.index("synops_up")] = fan_out(link)
            _send(table, places, cores[layer + 1], partial(heard_above, link), chip)
        if layer >= 2 and feedback:
            link = links[layer - 1]
            table[:, COLUMNS.index("synops_down")] = fan_in(link)
            _send(table, places, cores[layer - 1], partial(heard_below, link), chip)
        table[:, COLUMNS.index("spikes")] = 1
        tables.append(table)
    return tuple(tables)


def _send(
    table: Array,
    places: Places,
    targets: Places,
    senders: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
    chip: Chip,
) -> None:
    """Add the messages and hops to every core that holds targets; `senders` says who reaches each of several sets.

    Hops are counted by tile: a place that reaches the cores k in columns x_k costs sum |x - x_k| from column x, one
    matrix product for all columns, and the same for rows.
    """
    column, row = _tile(places, chip)
    columns, rows = np.arange(column.max() + 1), np.arange(row.min(), row.max() + 1)
    held = np.unique(targets)
    messages, ew, ns = 0.0, 0.0, 0.0
    for chunk in np.array_split(held, ceil(len(held) / CORES_AT_ONCE)):
        joined = senders(targets == chunk[:, None]).astype(np.float64).T  # (places, cores)
        to_column, to_row = _tile(chunk, chip)
        messages = messages + joined.sum(axis=1)
        ew = ew + joined @ np.abs(to_column[:, None] - columns)
        ns = ns + joined @ np.abs(to_row[:, None] - rows)
    # a link that asks for places answers for one channel: all channels of a place reach the same cores
    place = np.arange(len(places)) % len(np.asarray(messages))
    table[:, COLUMNS.index("messages")] += np.asarray(messages)[place]
    table[:, COLUMNS.index("hops_ew")] += np.asarray(ew)[place, column]
    table[:, COLUMNS.index("hops_ns")] += np.asarray(ns)[place, row - rows[0]]


def _tile(cores: Places, chip: Chip) -> tuple[Places, Places]:
    """Column and row of the tile of every core."""
    tiles = cores // chip.cores_per_tile
    return tiles % chip.tiles_per_row, tiles // chip.tiles_per_row
