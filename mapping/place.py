"""Placement: which core a unit sits on, and what one message of it then causes.

A core holds at most 1024 units and 128 KiB of synaptic memory (Loihi 1, Davies et al. 2018): one byte per 8-bit weight
of every synapse that ends in the core, since two units do not share a stored weight. Layers fill cores one after
another, each starting on a fresh core, in the order of the chain; four cores share a tile of the mesh, eight tiles a
row (Loihi 1: 8 x 4 tiles). The input layer has cores too: something has to send its messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, prod

import numpy as np
import torch
from numpy.typing import NDArray

from hw.cost.constants import LOIHI_1
from hw.events.messages import COLUMNS
from models.ep.links import ConvLink, DenseLink, Link

UNITS_PER_CORE = int(LOIHI_1["units_per_core"].nominal)
SYNAPSES_PER_CORE = int(LOIHI_1["synapse_memory_per_core"].nominal)
CORES_AT_ONCE = 64
"""Cores whose senders are found in one pass, to bound the memory of large networks."""
CORES_PER_TILE = int(LOIHI_1["cores_per_tile"].nominal)
TILES_PER_ROW = int(LOIHI_1["tiles_per_row"].nominal)


def place(links: Sequence[Link]) -> tuple[NDArray[np.int64], ...]:
    """Core of every unit of every layer 0..L, (units,) each."""
    first, cores = 0, []
    for layer in range(len(links) + 1):
        units = prod(links[layer].below if layer < len(links) else links[-1].above)
        synapses = _fan_in(links[layer - 1]).sum() if layer else 0
        if 0 < layer < len(links):
            synapses += _fan_out(links[layer]).sum()
        used = max(ceil(units / UNITS_PER_CORE), min(units, ceil(synapses / SYNAPSES_PER_CORE)))
        # an even split: no core of a layer is fuller than the others
        cores.append(first + np.arange(units) * used // units)
        first += used
    return tuple(cores)


def traffic(
    links: Sequence[Link], cores: Sequence[NDArray[np.int64]], *, feedback: bool = True
) -> tuple[NDArray[np.float64], ...]:
    """Per layer 0..L, (units, columns of `hw.events.messages.COLUMNS`) what one message of each unit causes.

    Fan-out counts every weight a unit meets: under pooling those of all windows it reaches, as the weights are stored.
    A unit sends one message to each core that holds a unit it is joined to, above or below, over the Manhattan distance
    between their tiles. The input is clamped: nothing is sent down to it, and nothing at all without `feedback`.
    """
    ones = [_with_ones(link) for link in links]
    tables = []
    for layer, places in enumerate(cores):
        table = np.zeros((len(places), len(COLUMNS)))
        if layer < len(links):
            table[:, COLUMNS.index("synops_up")] = _fan_out(links[layer])
            _send(table, places, cores[layer + 1], partial(_down, ones[layer]))
        if layer >= 2 and feedback:
            table[:, COLUMNS.index("synops_down")] = _fan_in(links[layer - 1])
            _send(table, places, cores[layer - 1], partial(_up, ones[layer - 1]))
        table[:, COLUMNS.index("spikes")] = 1
        tables.append(table)
    return tuple(tables)


def cores_used(cores: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
    """Number of cores of every layer."""
    return tuple(len(np.unique(places)) for places in cores)


def synapses_per_unit(links: Sequence[Link]) -> int:
    """The most synapses of any unit, from the link below it and the link above it together.

    As they are stored: under pooling, one for every weight of every place in the window.
    """
    both = [_fan_in(link) for link in links]
    for layer, link in enumerate(links[1:]):
        both[layer] = both[layer] + _fan_out(link)
    return int(max(counts.max() for counts in both))


def synapses_of(link: Link) -> int:
    """Synapses of a link in one direction, as they are stored: one for every weight of every place in a window."""
    return int(_fan_in(link).sum())


def tiles_used(links: Sequence[Link], size: int) -> tuple[int, ...]:
    """Crossbar tiles of every link: its matrix (outputs, inputs) cut into at most `size` x `size` weights."""
    matrices = [link.weight.flatten(1).shape for link in links]
    return tuple(ceil(outputs / size) * ceil(inputs / size) for outputs, inputs in matrices)


def _send(
    table: NDArray[np.float64],
    places: NDArray[np.int64],
    targets: NDArray[np.int64],
    senders: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
) -> None:
    """Add the messages and hops to every core that holds targets; `senders` says who reaches a set of targets."""
    cores = np.unique(targets)
    for chunk in np.array_split(cores, ceil(len(cores) / CORES_AT_ONCE)):
        for core, joined in zip(chunk, senders(targets == chunk[:, None]), strict=True):
            sent = joined > 0.5
            ew, ns = _distance(places, int(core))
            table[:, COLUMNS.index("messages")] += sent
            table[:, COLUMNS.index("hops_ew")] += sent * ew
            table[:, COLUMNS.index("hops_ns")] += sent * ns


def _with_ones(link: Link) -> Link:
    weight = torch.ones(link.weight.shape, dtype=torch.float64)
    bias = torch.zeros(link.bias.shape, dtype=torch.float64)
    if isinstance(link, DenseLink):
        return DenseLink(weight, bias, link.below)
    # who is joined to whom is the same for every linear pooling, and for a max over all its possible winners
    pooling = "average" if link.pooling == "max" else link.pooling
    return ConvLink(weight * link.pool_size**2, bias, link.below, link.stride, link.padding, pooling, link.pool_size)


def _fan_out(link: Link) -> NDArray[np.float64]:
    """(units below,) weights each unit below is multiplied with on the way up."""
    return _down(_with_ones(link), np.ones((1, prod(link.above)), bool))[0]


def _fan_in(link: Link) -> NDArray[np.float64]:
    """(units above,) weights each unit above is multiplied with on the way down."""
    return _up(_with_ones(link), np.ones((1, prod(link.below)), bool))[0]


def _down(link: Link, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(sets, units below) how many units of each set (sets, units above) every unit below is joined to."""
    sums = link.down(torch.as_tensor(masks, dtype=torch.float64).view(-1, *link.above))
    return np.rint(sums.flatten(1).numpy())


def _up(link: Link, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(sets, units above) how many units of each set (sets, units below) every unit above is joined to."""
    sums = link.up(torch.as_tensor(masks, dtype=torch.float64).view(-1, *link.below))[0]
    return np.rint(sums.flatten(1).numpy())


def _distance(places: NDArray[np.int64], core: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """East-west and north-south tiles between every place and a core."""
    tiles, tile = places // CORES_PER_TILE, core // CORES_PER_TILE
    ew = np.abs(tiles % TILES_PER_ROW - tile % TILES_PER_ROW)
    return ew, np.abs(tiles // TILES_PER_ROW - tile // TILES_PER_ROW)
