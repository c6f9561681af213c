"""Matrices on crossbar tiles, and the tiles on a mesh or a bus, with buffers for what goes through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from hw.cost.constants import HERMES_2023, ISAAC_2016
from hw.crossbar.mesh import Network, buffer_bytes, hops
from mapping.placement.cores import PlacementError, in_chips
from models.ep.links import Link

TILES_PER_CHIP = int(HERMES_2023["cores"].nominal)
"""Of the largest chip of tiles that was built, HERMES."""
BUFFER_BYTES = int(ISAAC_2016["edram_bytes"].nominal)
"""That a tile has for states: the eDRAM of ISAAC."""


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
    """Of each of its tiles, for its share of the states below and above; with analog neurons of those that are
    converted."""
    states: int
    """Of which these are the bytes."""


@dataclass(frozen=True)
class TilePlacement:
    """A network on tiles."""

    size: int
    """Most weights in a row and in a column of a tile."""
    network: Network
    links: tuple[LinkTiles, ...]
    bits: int
    """Of a state."""

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


def place_tiles(
    links: Sequence[Link], size: int, network: Network = "mesh", bits: int = 8, neurons: str = "digital"
) -> TilePlacement:
    """Every link of a network, its readout last, on tiles of `size` x `size` weights; states have `bits`.

    Between `neurons` that are analog nothing is kept in buffers but images and answers.
    """
    tiles = tiles_used(links, size)
    ways = hops(tiles, network)
    placed, first = [], 0
    for index, (link, count, way) in enumerate(zip(links, tiles, ways, strict=True)):
        outputs, inputs = link.weight.flatten(1).shape
        digital = neurons == "digital"
        below = prod(link.below) if digital or index == 0 else 0
        states = below + (prod(link.above) if digital or index == len(links) - 1 else 0)
        held = buffer_bytes(states, bits, count)
        used = outputs * inputs / (count * size**2)
        placed.append(LinkTiles((outputs, inputs), count, first, used, way, held, states))
        first += count
    return TilePlacement(size, network, tuple(placed), bits)


def check_tiles(placement: TilePlacement, most: int | None = None) -> None:
    """Refuse a network of more tiles than may be used, or whose states do not fit into the buffers of its tiles;
    PlacementError says how many it needs and what would hold it."""
    if wrong := [line for number in range(len(placement.links)) if (line := _over(placement, number))]:
        raise PlacementError("; ".join(wrong))
    if most is None or placement.tiles <= most:
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


def _over(placement: TilePlacement, number: int) -> str | None:
    """What does not fit into the buffers of a link's tiles, and how many would hold it; None if all fits."""
    link = placement.links[number]
    if link.buffer_bytes <= BUFFER_BYTES:
        return None
    needed = ceil(link.states * placement.bits / 8 / BUFFER_BYTES)
    size = placement.size
    while size > 1 and _at(placement, size)[number] < needed:
        size //= 2
    return (
        f"link {number + 1} of {len(placement.links)} keeps {link.buffer_bytes:,} bytes of states in each of its "
        f"{link.tiles} tiles of {placement.size} x {placement.size} weights, a tile has {BUFFER_BYTES:,} (the eDRAM of "
        f"ISAAC): it needs {needed} tiles, and tiles of {size} x {size} weights would do"
    )


def _at(placement: TilePlacement, size: int) -> list[int]:
    return [ceil(link.matrix[0] / size) * ceil(link.matrix[1] / size) for link in placement.links]
