"""Products with a matrix on tiles: in slices of the inputs, tile by tile, converted, shifted and added.

An input of more bits than a read drives goes in slices one after the other, which shift-and-add puts together again:

    x = sum_j 2**(slice_bits j) x_j / (2**input_bits - 1).

Several dies are read at once: their readings lie on one another, and the images of x (dies B, ...) are those of one die
after the other (`tiles.layout`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from hw.crossbar.devices.device import Array
from hw.crossbar.tiles.converters import Adc, drive
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.layout import Layout, OneDie, beside
from hw.crossbar.tiles.tile import Reading


@dataclass(frozen=True)
class Read:
    """What one product in one direction did, by image."""

    array_j: Tensor
    """(B,) joules of V**2 G t in the devices."""
    clipped: Tensor
    """(B,) conversions that ended at an end of the range."""


@dataclass(frozen=True)
class Part:
    """A tile as it is read during one settle, or the tiles of one place on several dies."""

    up: Reading
    down: Reading
    adc_up: Adc
    adc_down: Adc
    generators: tuple[torch.Generator, ...]
    """Of the fresh noise of every die."""
    inputs: slice
    outputs: slice
    significance: float
    """What one of its results stands for."""


@dataclass(frozen=True)
class Heating:
    """Conductance that the numbers of an image are driven onto, all tiles together: of several dies one row each."""

    up: Tensor
    """(n,) of what goes up, as one image is flattened."""
    down: Tensor
    """(outputs,)."""


def heating_of(layout: OneDie, parts: Sequence[Part], shape: tuple[int, ...]) -> Heating:
    """Of the tiles that hold W (outputs, inputs) on one die."""
    outputs, inputs = shape
    first = parts[0].down.conductance_s
    down = first.new_zeros(outputs)
    for part in parts:
        down[part.outputs] += part.down.conductance_s
    up = torch.stack([layout.heated(part.up.conductance_s, part.inputs, inputs) for part in parts]).sum(dim=0)
    return Heating(up, down)


@dataclass(frozen=True)
class Products:
    """W (outputs, inputs) as it is read during one settle, or that of several dies."""

    shape: tuple[int, ...]
    design: Design
    layout: Layout
    gain: Array
    """(1,) or (outputs,) factor of digital results; (dies, 1) or (dies, outputs)."""
    read_j: float
    """Joules of a read of 1 S by an input of 1."""
    parts: tuple[Part, ...]
    heating: Heating

    def up(self, x: Tensor) -> tuple[Tensor, Read]:
        """W x for x (B, ...) in [-1, 1], in the layout of this matrix, giving (B, outputs, ...)."""
        total = _Total(self.shape[0], x)
        for significance, driven in _input_slices(x, self.design):
            squared = driven * driven
            for part in self.parts:
                sums = part.up.read(partial(self.layout.up, inputs=part.inputs), driven, squared, *part.generators)
                total.add(part.outputs, significance * part.significance, *part.adc_up.convert(sums))
            total.heat += self.layout.heat(squared, self.heating.up)
        return total.done(self.gain, self.read_j)

    def down(self, x: Tensor) -> tuple[Tensor, Read]:
        """W^T x for x (B, outputs, ...) in [-1, 1], giving (B, inputs, ...)."""
        gain = self.gain
        if gain.shape[-1] > 1:  # a driver reaches up to 1
            most = gain.max(axis=-1, keepdims=True)
            x, gain = x * _beside(gain / most, x), most
        total = _Total(self.shape[1], x)
        for significance, driven in _input_slices(x, self.design):
            squared = driven * driven
            for part in self.parts:
                here = part.outputs
                sums = part.down.read(self.layout.down, driven[:, here], squared[:, here], *part.generators)
                total.add(part.inputs, significance * part.significance, *part.adc_down.convert(sums))
            total.heat += self.layout.heat_down(squared, self.heating.down)
        return total.done(gain, self.read_j)


class _Total:
    """Digital partial sums of one product."""

    def __init__(self, outputs: int, x: Tensor) -> None:
        self.outputs = outputs
        self.sums: Tensor | None = None
        self.heat, self.clipped = x.new_zeros(len(x)), torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def add(self, outputs: slice, significance: float, sums: Tensor, clipped: Tensor | None) -> None:
        """Shift and add a tile's results."""
        if significance != 1.0:
            sums = sums.mul_(significance)
        if self.sums is None:
            whole = sums.shape[1] == self.outputs
            self.sums = sums if whole else sums.new_zeros((len(sums), self.outputs, *sums.shape[2:]))
            if not whole:
                self.sums[:, outputs] = sums
        else:
            self.sums[:, outputs] += sums
        if clipped is not None:
            self.clipped += clipped

    def done(self, gain: Array, read_j: float) -> tuple[Tensor, Read]:
        """The product times (.., 1) or (.., outputs) gains, and what it did."""
        assert self.sums is not None, "a matrix has at least one tile"
        if (gain != 1.0).any():
            self.sums *= _beside(gain, self.sums)
        return self.sums, Read(self.heat * read_j, self.clipped)


def _beside(values: Array, x: Tensor) -> Tensor:
    return beside(torch.as_tensor(values, dtype=x.dtype, device=x.device), x)


def _input_slices(x: Tensor, design: Design) -> Iterator[tuple[float, Tensor]]:
    """(what 1 in it stands for, inputs in [-1, 1]) of every slice of the inputs, the least significant first."""
    bits, slice_bits = design.input_bits, design.slice_bits
    driven = drive(x, bits)
    if bits is None or slice_bits is None or slice_bits == bits:
        yield 1.0, driven
        return
    top, base = 2**bits - 1, 2**slice_bits
    codes, sign = (driven.abs() * top).round(), driven.sign()
    for index in range(design.input_slices):
        part = (codes / base**index).floor() % base
        yield base**index * (base - 1) / top, sign * part / (base - 1)
