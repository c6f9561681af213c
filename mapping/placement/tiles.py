"""Matrices on crossbar tiles, and the tiles on a mesh or a bus, with buffers for what goes through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from hw.cost.constants import HERMES_2023, ISAAC_2016
from hw.crossbar.mesh import Network, hops
from mapping.placement.cores import PlacementError, in_chips
from models.ep.links import Link

TILES_PER_CHIP = int(HERMES_2023["cores"].nominal)
"""Of the largest chip of tiles that was built, HERMES."""
BUFFER_BYTES = int(ISAAC_2016["edram_bytes"].nominal)
"""Beside a tile of ISAAC."""


@dataclass(frozen=True)
class LinkTiles:
    """A link on its tiles."""

    matrix: tuple[int, int]
    """Outputs and inputs."""
    tiles: int
    """How many it takes."""
    first: int
    """Number of its first tile."""
    used: float
    """Share of the weights that its tiles hold room for."""
    hops: tuple[float, float]
    """Mean way of a bit that it makes, up and down (`hw.crossbar.mesh`)."""
    buffer_bytes: int
    """For the states below and above it, shared by its tiles."""


@dataclass(frozen=True)
class TilePlacement:
    """A network on tiles."""

    size: int
    """Most weights in a row and in a column of a tile."""
    network: Network
    links: tuple[LinkTiles, ...]

    @property
    def tiles(self) -> int:
        """Of all links."""
        return sum(link.tiles for link in self.links)

    @property
    def chips(self) -> int:
        """Chips of `TILES_PER_CHIP` tiles."""
        return ceil(self.tiles / TILES_PER_CHIP)


def tiles_used(links: Sequence[Link], size: int) -> tuple[int, ...]:
    """Crossbar tiles of every link: its matrix (outputs, inputs) cut into at most `size` x `size` weights."""
    matrices = [link.weight.flatten(1).shape for link in links]
    return tuple(ceil(outputs / size) * ceil(inputs / size) for outputs, inputs in matrices)


def place_tiles(links: Sequence[Link], size: int, network: Network = "mesh", bits: int = 8) -> TilePlacement:
    """Every link of a network, its readout last, on tiles of `size` x `size` weights; states have `bits`."""
    tiles = tiles_used(links, size)
    ways = hops(tiles, network)
    placed, first = [], 0
    for link, count, way in zip(links, tiles, ways, strict=True):
        outputs, inputs = link.weight.flatten(1).shape
        held = ceil((prod(link.below) + prod(link.above)) * bits / 8 / count)
        placed.append(LinkTiles((outputs, inputs), count, first, outputs * inputs / (count * size**2), way, held))
        first += count
    return TilePlacement(size, network, tuple(placed))


def check_tiles(placement: TilePlacement, most: int) -> None:
    """Refuse a network of more tiles than may be used; PlacementError says how many it needs and what would hold it."""
    if placement.tiles <= most:
        return
    size = placement.size
    while sum(_at(placement, size)) > most and size < 2**20:
        size *= 2
    holds = (
        f"tiles of {size} x {size} weights would do"
        if sum(_at(placement, size)) <= most
        else f"{len(placement.links)} links need a tile each"
    )
    raise PlacementError(
        f"the network needs {placement.tiles} tiles of {placement.size} x {placement.size} weights, which are "
        f"{in_chips(placement.chips)} of {TILES_PER_CHIP}; {most} may be used: {holds}"
    )


def _at(placement: TilePlacement, size: int) -> list[int]:
    return [ceil(link.matrix[0] / size) * ceil(link.matrix[1] / size) for link in placement.links]
