"""Units on cores: blocks of a map that keep to every limit of a core, with as few cores as that takes.

Of a convolutional layer (C, H, W) a core gets a block of channels and places, of a dense layer a run of units; all
blocks of a layer are as equal as they can be. Layers follow each other, each on fresh cores. The input has cores too:
something has to send its messages. A core has to hold

    units       its block, at most `units_per_core`
    weights     of every synapse that ends in it, from the link below and, with feedback, from the link above, a byte
                each; with shared weights a kernel of its channels once, however many places it serves
    axons in    one for every unit outside that sends to it
    axons out   one for every unit in it and other core that this unit sends to
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from hw.circuit import LayerCores
from hw.events.messages import COLUMNS
from mapping.placement.chip import CHIPS, LOIHI_1, Chip
from mapping.placement.reach import fan_in, fan_out
from mapping.placement.traffic import traffic
from models.ep.links import ConvLink, Link

Shape = tuple[int, ...]
TRIES = 8
"""Times that layers whose cores send to too many others are spread out further."""


class PlacementError(ValueError):
    """A network that a chip, or so many chips, cannot hold."""


@dataclass(frozen=True)
class Load:
    """What a core holds."""

    units: int
    bytes: int
    axons_in: int
    axons_out: int


@dataclass(frozen=True)
class LayerPlace:
    """A layer on its cores."""

    name: str
    shape: Shape
    cuts: tuple[int, ...]
    """Blocks along every axis of the shape."""
    first: int
    """Its first core; the others follow."""
    fullest: Load
    """The most that any of its cores has of each, not all of one core."""
    busiest: float
    """Units of its fullest core over those of a mean one."""

    @property
    def cores(self) -> int:
        """How many it takes."""
        return prod(self.cuts)


@dataclass(frozen=True)
class Placement:
    """A network on the cores of a chip."""

    chip: Chip
    layers: tuple[LayerPlace, ...]
    """0 (the input) to L."""
    traffic: tuple[NDArray[np.float64], ...]
    """Of every layer, what one message of each unit causes (`mapping.placement.traffic`)."""

    @cached_property
    def of_units(self) -> tuple[NDArray[np.int64], ...]:
        """Core of every unit of every layer, (units,) each."""
        return tuple(layer.first + blocks(layer.shape, layer.cuts) for layer in self.layers)

    @property
    def used(self) -> tuple[int, ...]:
        """Cores of every layer."""
        return tuple(layer.cores for layer in self.layers)

    @property
    def chips(self) -> int:
        """Chips that hold them."""
        return ceil(sum(self.used) / self.chip.cores_per_chip)

    @property
    def limits(self) -> dict[str, int]:
        """What a core of the chip holds, as far as it is published, by field of `Load`."""
        known = {
            "units": self.chip.units_per_core,
            "bytes": self.chip.synapse_bytes_per_core,
            "axons_in": self.chip.axons_in,
            "axons_out": self.chip.axons_out,
        }
        return {name: limit for name, limit in known.items() if limit is not None}

    def on_cores(self) -> tuple[LayerCores, ...]:
        """What a circuit carries of it."""
        return tuple(
            LayerCores(
                layer.cores,
                layer.first,
                layer.busiest,
                {name: getattr(layer.fullest, name) / limit for name, limit in self.limits.items()},
            )
            for layer in self.layers
        )

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Limits of a core that the network passes however it is cut; none where it fits."""
        return tuple(
            f"{layer.name} {layer.shape} takes {getattr(layer.fullest, name):,} {name.replace('_', ' ')} of a core, "
            f"{self.chip.name} has {limit:,}"
            for layer in self.layers
            for name, limit in self.limits.items()
            if getattr(layer.fullest, name) > limit
        )


def place(links: Sequence[Link], chip: Chip = LOIHI_1, *, feedback: bool = True) -> Placement:
    """Every layer on as few cores of a chip as its limits allow.

    Where no cut keeps to the limits the smallest blocks are used, and `Placement.obstacles` says what does not fit.
    """
    # a layer between a convolution and a dense link is a map to the one and a list to the other
    ends = [(link.above, above.below) for link, above in itertools.pairwise(links)]
    shapes = [links[0].below, *(max(pair, key=len) for pair in ends), links[-1].above]
    room = [chip.units_per_core] * len(shapes)
    placed = _once(links, shapes, room, chip, feedback)
    for _ in range(TRIES):
        outs = [layer.fullest.axons_out for layer in placed.layers]
        if chip.axons_out is None or max(outs) <= chip.axons_out or min(room) <= 1:
            break
        room = [
            max(1, min(most, layer.fullest.units * chip.axons_out // out)) if out > chip.axons_out else most
            for most, layer, out in zip(room, placed.layers, outs, strict=True)
        ]
        placed = _once(links, shapes, room, chip, feedback)
    return placed


def check_fits(placement: Placement, links: Sequence[Link], chips: int | None = None, *, feedback: bool = True) -> None:
    """Refuse a network that does not fit, or that needs more than `chips`; PlacementError says what would hold it."""
    wrong = list(placement.obstacles)
    if chips is not None and placement.chips > chips:
        wrong.append(f"{sum(placement.used):,} cores are {in_chips(placement.chips)}, {chips} may be used")
    if not wrong:
        return
    others = []
    for chip in CHIPS.values():
        other = place(links, chip, feedback=feedback)
        if not other.obstacles:
            others.append(f"{chip.name} holds it on {sum(other.used):,} cores, {in_chips(other.chips)}")
    raise PlacementError(
        f"the network does not fit on {placement.chip.name}: {'; '.join(wrong)}. "
        f"{'; '.join(others) if others else 'No chip that is known here holds it: fewer channels, or smaller images'}"
    )


def in_chips(count: int) -> str:
    """In words."""
    return f"{count} chip{'s' if count > 1 else ''}"


def blocks(shape: Shape, cuts: tuple[int, ...]) -> NDArray[np.int64]:
    """(units,) block of every unit, counted along the last axis first."""
    axes = [np.arange(size) * pieces // size for size, pieces in zip(shape, cuts, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.ravel_multi_index([axis.ravel() for axis in grid], cuts).astype(np.int64)


def _once(links: Sequence[Link], shapes: Sequence[Shape], room: Sequence[int], chip: Chip, feedback: bool) -> Placement:
    """Layers cut one by one, at most `room` units on a core; then what their cores hold."""
    cut, first = [], 0
    sides = [_sides(links, layer, feedback) for layer in range(len(shapes))]
    for shape, side, most in zip(shapes, sides, room, strict=True):
        cut.append((_cuts(shape, side, most, chip), first))
        first += prod(cut[-1][0])
    cores = [start + blocks(shape, cuts) for shape, (cuts, start) in zip(shapes, cut, strict=True)]
    tables = traffic(links, cores, feedback=feedback, chip=chip)
    layers = []
    for layer, (shape, (cuts, start)) in enumerate(zip(shapes, cut, strict=True)):
        places, out = cores[layer] - start, tables[layer][:, COLUMNS.index("messages")]
        held = np.bincount(places)
        block = tuple(ceil(size / pieces) for size, pieces in zip(shape, cuts, strict=True))
        sent = np.bincount(places, out)
        fullest = Load(int(held.max()), _bytes(sides[layer], block, chip), _heard(sides[layer], block), int(sent.max()))
        name = f"layer {layer}" if layer else "input"
        layers.append(LayerPlace(name, shape, cuts, start, fullest, float(held.max() / held.mean())))
    return Placement(chip, tuple(layers), tables)


@dataclass(frozen=True)
class _Side:
    """A link that ends in a layer."""

    link: Link
    up: bool
    """It comes from below."""
    most: int
    """The most weights of it that any unit of the layer meets."""


def _sides(links: Sequence[Link], layer: int, feedback: bool) -> tuple[_Side, ...]:
    below = [_Side(links[layer - 1], True, int(fan_in(links[layer - 1]).max()))] if layer else []
    hears = feedback and 0 < layer < len(links)
    return (*below, *([_Side(links[layer], False, int(fan_out(links[layer]).max()))] if hears else []))


def _cuts(shape: Shape, sides: Sequence[_Side], most: int, chip: Chip) -> tuple[int, ...]:
    """The cut with the fewest cores that keeps to units, bytes and axons in; then that with the fewest axons in."""
    *_, size = shape
    if len(shape) == 1:
        largest = min(most, int(chip.synapse_bytes_per_core // max(_bytes(sides, (1,), chip), 1)))
        return (ceil(size / max(1, min(largest, size))),)
    channels, height, width = shape
    best: tuple[tuple[bool, int, int], tuple[int, ...]] | None = None
    for tall in range(1, height + 1):
        for wide in range(1, width + 1):
            block = (1, ceil(height / tall), ceil(width / wide))
            heard = _heard(sides, block)
            per_channel = _bytes(sides, block, chip)
            largest = min(most // (block[1] * block[2]), int(chip.synapse_bytes_per_core // max(per_channel, 1)))
            late = chip.axons_in is not None and heard > chip.axons_in
            if largest < 1:
                late, largest = True, 1
            cuts = (ceil(channels / min(largest, channels)), tall, wide)
            key = (late, heard if late else prod(cuts), heard)
            if best is None or key < best[0]:
                best = (key, cuts)
    assert best is not None
    return best[1]


def _span(block: int, link: ConvLink, axis: int, *, up: bool) -> int:
    """Places of the map on the other side that meet a run of `block` places along one axis (0 rows, 1 columns)."""
    kernel = link.weight.shape[2 + axis] + link.stride * (link.pool_size - 1)
    step = link.stride * link.pool_size
    if up:
        return min(link.below[1 + axis], (block - 1) * step + kernel)
    return min(link.above[1 + axis], (block + kernel - 2) // step + 1)


def _heard(sides: Sequence[_Side], block: tuple[int, ...]) -> int:
    """Units outside that send to a core with this block."""
    heard = 0
    for side in sides:
        link = side.link
        other = link.below if side.up else link.above
        if isinstance(link, ConvLink):
            heard += other[0] * _span(block[1], link, 0, up=side.up) * _span(block[2], link, 1, up=side.up)
        else:
            heard += prod(other)
    return heard


def _bytes(sides: Sequence[_Side], block: tuple[int, ...], chip: Chip) -> int:
    """Weights that a core with this block stores; of unshared ones as many as an inner unit meets."""
    stored = 0
    for side in sides:
        link = side.link
        if isinstance(link, ConvLink) and chip.shares_weights:
            other = link.below[0] if side.up else link.above[0]
            reach = link.stride * (link.pool_size - 1) if link.pooling == "average" else 0
            stored += block[0] * other * prod(edge + reach for edge in link.weight.shape[2:])
        else:
            stored += prod(block) * side.most
    return stored
