"""From what the links logged to events: what one product takes is the same every time, how often it ran is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.link import CrossbarLink
from hw.crossbar.mesh import buffer_bytes, hops
from hw.crossbar.tiles.design import Design
from hw.events.tiles import DIRECTIONS, ProgrammingEvents, TileEvents

IDEAL_BITS = 32
"""Bits of a number that an ideal converter takes or gives: a float of the simulation."""


@dataclass(frozen=True)
class Chip:
    """What is counted: the links of a machine on their tiles."""

    names: tuple[str, ...]
    links: Sequence[CrossbarLink]
    design: Design
    device: Device
    chain: int
    """Links before the readout, which is link number `chain` if there is one."""
    feedback: bool
    """Without it every link is read once, when the layer below has what it will send."""


def settle_events(
    chip: Chip, steps: NDArray[np.int64], written: ProgrammingEvents, *, looked: bool = False
) -> TileEvents:
    """The events of a settle whose images came to rest after `steps` (B,), or were stopped then.

    Images at rest are no longer read and not counted. `looked`: the readout was read at every step, by who decides by
    it when to stop, and not at the end alone.
    """
    links, chain = chip.links, chip.chain
    slots, every = _slots(links), tuple(range(len(links)))
    once, last = ((0,) if looked else (0, chain), () if looked else (chain,)) if chip.feedback else (every, every)
    done = [_products(link, steps, once=index in once, last=index in last) for index, link in enumerate(links)]
    if chip.feedback:
        each_step = max((float(slot.sum()) for slot in slots[1:chain]), default=0.0)
        readout = slots[chain][0] if len(links) > chain else 0.0
        looks = int(steps.sum()) if looked else len(steps)
        busy = len(steps) * slots[0][0] + looks * readout + int(steps.sum()) * each_step
        waits = len(steps) + (int(steps.sum()) if chip.design.neurons == "digital" else 0) + looks
    else:
        busy = len(steps) * sum(float(slot[0]) for slot in slots)
        waits = len(steps) * (len(links) if chip.design.neurons == "digital" else 2)
    answers = len(steps) * links[-1].matrix.shape[0]
    return _events(chip, done, written, _Busy(busy, waits), answers)


def learning_events(chip: Chip, images: int, steps: int, written: ProgrammingEvents) -> TileEvents:
    """The events of one update from `images`, all phases together `steps` long: every product ran for every image."""
    links, chain = chip.links, chip.chain
    done = [_products(link, np.full(images, np.iinfo(np.int64).max), once=True, last=False) for link in links]
    slots = _slots(links)
    each_step = max((float(slot.sum()) for slot in slots[1:chain]), default=0.0)
    readout = float(done[chain].ran @ slots[chain]) if len(links) > chain else 0.0
    busy = images * (slots[0][0] + steps * each_step) + readout
    waits = images * (1 + steps) + (float(done[chain].ran.sum()) if len(links) > chain else 0.0)
    return _events(chip, done, written, _Busy(busy, waits), 0)


@dataclass(frozen=True)
class _Busy:
    """What takes time, summed over images: `slots` and `exchanges` of `TileEvents`."""

    slots: float
    exchanges: float


def _slots(links: Sequence[CrossbarLink]) -> list[Array]:
    """(2,) reads one after the other that a product up and a product down of each link takes."""
    both = [np.array([link.positions_up, link.positions_down], dtype=np.float64) for link in links]
    return [positions * link.matrix.design.input_slices for positions, link in zip(both, links, strict=True)]


def _events(chip: Chip, done: Sequence[_Products], written: ProgrammingEvents, busy: _Busy, answers: int) -> TileEvents:
    links, design, chain = chip.links, chip.design, chip.chain
    counts = [
        _per_link(link, products, *design.converters(index, chain))
        for index, (link, products) in enumerate(zip(links, done, strict=True))
    ]
    adc, bits = (np.array([getattr(count, name) for count in counts]) for name in ("adc", "bits"))
    if design.neurons == "analog" and len(links) == chain:
        adc[-1, 0] += answers  # no readout: the last states are converted once
        bits[-1, 0] += answers * (design.adc_bits or IDEAL_BITS)
    largest = [max(link.matrix.tiles, key=lambda tile: tile.shape[0] * tile.shape[1]).shape for link in links]
    return TileEvents(
        links=chip.names,
        tiles=tuple(len(link.matrix.tiles) for link in links),
        rows=tuple(shape[1] for shape in largest),
        columns=tuple(shape[0] for shape in largest),
        dac_bits=design.slice_bits or design.input_bits,
        adc_bits=design.adc_bits,
        read_s=chip.device.read_s,
        reads=np.array([count.reads for count in counts]),
        dac=np.array([count.dac for count in counts]),
        adc=adc,
        clipped=np.array([products.clipped for products in done]),
        array_j=np.array([products.array_j for products in done]),
        holds=np.array([count.holds for count in counts]),
        shift_adds=np.array([count.shift_adds for count in counts]),
        bits=bits,
        written=written,
        slots=float(busy.slots),
        port_bits=_port_bits(chip, bits),
        exchanges=float(busy.exchanges),
        hops=hops([len(link.matrix.tiles) for link in links], design.network),
        network=design.network,
        buffer_bytes=_buffers(chip),
    )


def _port_bits(chip: Chip, bits: Array) -> float:
    """Links of the chain work side by side, the first and the readout before and after them; without feedback all
    follow each other."""
    each = bits.sum(axis=1) / [len(link.matrix.tiles) for link in chip.links]
    if not chip.feedback:
        return float(each.sum())
    return float(each[0] + max(each[1 : chip.chain], default=0.0) + each[chip.chain :].sum())


def _buffers(chip: Chip) -> tuple[int, ...]:
    """Bytes that each tile of a link keeps of the states beside it, of those that are numbers there."""
    design, held, top = chip.design, [], len(chip.links) - 1
    if design.input_bits is None:
        return ()
    for index, link in enumerate(chip.links):
        below, above = design.converters(index, chip.chain)
        states = np.prod(link.wire.below) * below + np.prod(link.wire.above) * (above or index == top)
        held.append(buffer_bytes(int(states), design.input_bits, len(link.matrix.tiles)))
    return tuple(held)


@dataclass(frozen=True)
class _Counts:
    """Of one link, up and down: (2,) each."""

    reads: Array
    dac: Array
    adc: Array
    holds: Array
    shift_adds: Array
    bits: Array


@dataclass(frozen=True)
class _Products:
    """What one link did in a settle, up and down, summed over its images: (2,) each."""

    ran: Array
    array_j: Array
    clipped: Array


def _products(link: CrossbarLink, steps: NDArray[np.int64], *, once: bool, last: bool) -> _Products:
    """Add up a link's log over the images that were still running.

    `once`: the link is read once per image, whatever the steps; `last`: only that of the last of these steps is used.
    """
    end = int(steps.max())
    ran, array_j, clipped = np.zeros(2), np.zeros(2), np.zeros(2)
    for side, direction in enumerate(DIRECTIONS):
        reads = [read for name, read in link.log if name == direction]
        for step, read in enumerate(reads[:end][-1:] if last else reads):
            running = np.ones(len(steps), bool) if once else step < steps
            ran[side] += running.sum()
            array_j[side] += read.array_j.double().cpu().numpy()[running].sum()
            clipped[side] += read.clipped.cpu().numpy()[running].sum()
    return _Products(ran, array_j, clipped)


def _per_link(link: CrossbarLink, products: _Products, has_dac: bool, has_adc: bool) -> _Counts:
    matrix, wire, design = link.matrix, link.wire, link.matrix.design
    inputs, outputs = (sum(tile.shape[axis] for tile in matrix.tiles) for axis in (1, 0))
    positions = np.array([link.positions_up, link.positions_down], float)
    vectors = products.ran * positions * design.input_slices
    driven, sensed = vectors * (inputs, outputs), vectors * (outputs, inputs)
    results = products.ran * positions * matrix.shape  # outputs up, inputs down
    adds = np.zeros(2)
    if has_adc:
        adds += sensed - results
        if wire.kind == "conv":
            window = wire.pool_size**2 if wire.pooling == "sum" else 1
            # up, a pool adds up its window; down, every result is added where windows overlap
            adds += results * ((window - 1) / window, window)
    operands = products.ran * positions * (inputs, outputs)
    return _Counts(
        reads=vectors * len(matrix.tiles),
        dac=driven * has_dac,
        adc=sensed * has_adc,
        holds=sensed * (not has_adc),
        shift_adds=adds,
        # an operand is fetched once for all its slices, a result stored once all its parts are added up
        bits=operands * has_dac * (design.input_bits or IDEAL_BITS)
        + results * has_adc * (design.adc_bits or IDEAL_BITS),
    )
