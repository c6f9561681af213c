"""How far results travel between the tiles of a chip, and what tiles keep of them.

Tiles lie in the order of the links, row by row on a square mesh with a router at each, or on one bus. What a link makes
goes to the tiles of the next link on the way up, to those of the link before on the way down; what the last one makes
leaves the chip at the first tile, and nothing goes down to the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Network = Literal["mesh", "bus"]
NETWORKS: tuple[str, ...] = get_args(Network)
EDGE = (np.zeros(1, np.int64), np.zeros(1, np.int64))
"""Place of the first tile."""


def side(tiles: Sequence[int]) -> int:
    """Tiles in a row of the smallest square that holds them all."""
    return ceil(sqrt(sum(tiles)))


def places(tiles: Sequence[int], link: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and row of every tile of a link."""
    first = sum(tiles[:link])
    row, column = np.divmod(np.arange(first, first + tiles[link]), side(tiles))
    return column, row


def hops(tiles: Sequence[int], network: Network) -> tuple[tuple[float, float], ...]:
    """(K links, 2) routers, or buses, that a bit made by a link passes on its way up and down, the mean over tiles.

    A bus is passed once, whatever the distance. Between two tiles of a mesh it is their Manhattan distance.
    """
    last = len(tiles) - 1
    if network == "bus":
        return tuple((1.0, float(link > 0)) for link in range(last + 1))
    found = []
    for link in range(last + 1):
        up = _mean(places(tiles, link), places(tiles, link + 1) if link < last else EDGE)
        found.append((max(1.0, up), _mean(places(tiles, link), places(tiles, link - 1)) if link else 0.0))
    return tuple(found)


def buffer_bytes(states: int, bits: int, tiles: int) -> int:
    """Of each of the tiles that share the states below and above their link."""
    return ceil(states * bits / 8 / tiles)


def _mean(one: tuple[NDArray[np.int64], ...], other: tuple[NDArray[np.int64], ...]) -> float:
    """Mean Manhattan distance between two sets of places."""
    return float(sum(np.abs(a[:, None] - b).mean() for a, b in zip(one, other, strict=True)))
