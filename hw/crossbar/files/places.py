"""Where every device of a tile belongs in the network, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.crossbar.tiles.matrix import Placed, TiledMatrix

Integers = NDArray[np.int64]
NOWHERE = -1
"""The index of what holds no weight: a device of a reference row or column."""


@dataclass(frozen=True)
class Places:
    """Of every device of a tile, arrays (rows, columns)."""

    sign: Integers
    """+1 where its conductance adds to the weight, -1 where it takes away, 0 for a reference."""
    output: Integers
    """Channel, or unit, of the layer above; -1 for a reference, and so below."""
    input_channel: Integers
    """Channel of the layer below."""
    input_row: Integers
    """Row in the kernel of a convolution, or in the layer below of a dense link."""
    input_column: Integers


def places_of(placed: Placed, wire: Wire) -> Places:
    """Where the devices of a tile of a link belong."""
    codec = placed.tile.design.codec
    outputs, inputs = placed.tile.shape
    # every weight counted from 1, as if that were the pulses that it is to get
    numbered = codec.pulses(1 + np.arange(inputs * outputs).reshape(inputs, outputs))
    number = np.abs(numbered) - 1
    held = number >= 0
    below = np.where(held, number // outputs + placed.inputs.start, 0)
    channel, row, column = np.unravel_index(below, input_shape(wire))
    above = number % outputs + placed.outputs.start

    def marked(index: Integers) -> Integers:
        return np.where(held, index, NOWHERE)

    return Places(np.sign(numbered), marked(above), marked(channel), marked(row), marked(column))


def input_shape(wire: Wire) -> tuple[int, int, int]:
    """(channels, rows, columns) of the inputs of one output: of a kernel, or of the whole layer below."""
    channels, rows, columns = wire.weight.shape[1:] if wire.kind == "conv" else [*wire.below, 1, 1][:3]
    return channels, rows, columns


def devices_of(matrix: TiledMatrix, wire: Wire) -> dict[str, Integers]:
    """The other way round: of every weight, arrays (slices, *shape of the weight) of `tile`, from 1, `row`, `plus` and
    `minus`, the columns of the devices that add and take away; -1 where there is no such device.

    The least significant slice is the first; without slices there is one.
    """
    found: dict[str, list[Integers]] = {name: [] for name in ("tile", "row", "plus", "minus")}
    for number, placed in enumerate(matrix.placed, start=1):
        if placed.outputs.start == 0 and placed.inputs.start == 0:
            for name in found:
                found[name].append(np.full(matrix.shape, NOWHERE))
        places = places_of(placed, wire)
        below = np.ravel_multi_index(
            (np.maximum(places.input_channel, 0), np.maximum(places.input_row, 0), np.maximum(places.input_column, 0)),
            input_shape(wire),
        )
        for name, sign in (("plus", 1), ("minus", -1)):
            row, column = np.nonzero(places.sign == sign)
            weight = (places.output[row, column], below[row, column])
            found[name][-1][weight] = column
            found["row"][-1][weight], found["tile"][-1][weight] = row, number
    shape = wire.weight.shape if wire.kind == "conv" else (len(wire.weight), *input_shape(wire))
    return {name: np.stack(slices).reshape(-1, *shape) for name, slices in found.items()}
