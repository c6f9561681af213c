"""A matrix of any size on as many tiles as it takes.

Rows and columns that one tile cannot hold go onto further tiles, whose digital results are added up or set side by
side. A weight of more bits than a cell holds is cut into slices on tiles of their own, an input of more bits than a
read drives into slices one after the other; shift-and-add puts both together again:

    W = unit * sum_k 2**(cell_bits k) W_k,     x = sum_j 2**(slice_bits j) x_j / (2**input_bits - 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.die import Die, program
from hw.crossbar.tiles.converters import drive
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.layout import DenseLayout, Layout
from hw.crossbar.tiles.tile import Tile, check_weights
from hw.crossbar.tiles.wires import asymmetry


@dataclass(frozen=True)
class Placed:
    """A tile, where it sits in the matrix, and what one of its results stands for."""

    tile: Tile
    inputs: slice
    outputs: slice
    significance: float


@dataclass(frozen=True)
class Read:
    """What one product in one direction did, by image."""

    array_j: Tensor
    """(B,) joules of V**2 G t in the devices."""
    clipped: Tensor
    """(B,) conversions that ended at an end of the range."""


class TiledMatrix:
    """W (outputs, inputs), programmed when made.

    `gain` multiplies every digital result; drift compensation sets it.
    """

    def __init__(
        self,
        weight: Array,
        design: Design,
        device: Device,
        *,
        layout: Layout | None = None,
        largest: float | None = None,
        seed: tuple[int, ...] = (0,),
        noise_seed: tuple[int, ...] = (0,),
        programming: Callable[[Array, Device, np.random.Generator], Die] = program,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Args as of `Tile`; `largest` is max |weight| if not given, `layout` that of plain vectors."""
        self.shape, self.design, self.device, self.gain = weight.shape, design, device, 1.0
        self.layout: Layout = layout or DenseLayout()
        largest = largest or float(np.abs(weight).max(initial=0.0)) or 1.0
        check_weights(weight, largest)
        rows, columns = design.codec.capacity(design.rows, design.columns)
        self.largest = largest
        self.placed: list[Placed] = []
        for part, top, significance in _weight_slices(weight, largest, design):
            for outputs in _cuts(weight.shape[0], columns):
                for inputs in _cuts(weight.shape[1], rows):
                    tile = Tile(
                        part[outputs, inputs],
                        top,
                        design,
                        device,
                        seed=(*seed, len(self.placed)),
                        noise_seed=(*noise_seed, len(self.placed)),
                        programming=programming,
                        dtype=dtype,
                    )
                    self.placed.append(Placed(tile, inputs, outputs, significance))

    @property
    def tiles(self) -> list[Tile]:
        """All tiles."""
        return [placed.tile for placed in self.placed]

    def up(self, x: Tensor) -> tuple[Tensor, Read]:
        """W x for x (B, ...) in [-1, 1], in the layout of this matrix, giving (B, outputs, ...)."""
        total = _Total(self, self.shape[0], x)
        for significance, driven in _input_slices(x, self.design):
            squared = driven * driven
            for placed in self.placed:
                tile = placed.tile
                sums = tile.up.read(partial(self.layout.up, inputs=placed.inputs), driven, squared, tile.generator)
                total.add(placed.outputs, significance * placed.significance, *tile.adc_up.convert(sums))
                total.heat += self.layout.heat(squared, tile.up.conductance_s, placed.inputs)
        return total.done()

    def down(self, x: Tensor) -> tuple[Tensor, Read]:
        """W^T x for x (B, outputs, ...) in [-1, 1], giving (B, inputs, ...)."""
        total = _Total(self, self.shape[1], x)
        for significance, driven in _input_slices(x, self.design):
            for placed in self.placed:
                tile, here = placed.tile, driven[:, placed.outputs]
                squared = here * here
                sums = tile.down.read(self.layout.down, here, squared, tile.generator)
                total.add(placed.inputs, significance * placed.significance, *tile.adc_down.convert(sums))
                seen = squared.flatten(2).sum(dim=2) if squared.ndim > 2 else squared
                total.heat += seen @ tile.down.conductance_s
        return total.done()

    def begin(self, rng: np.random.Generator) -> None:
        """Draw the slow noise of the settle that begins."""
        for tile in self.tiles:
            tile.begin(rng)

    def age(self, seconds: float, kelvin: float | None = None) -> None:
        """Read the die `seconds` after programming from now on. `gain` stays as it is."""
        for tile in self.tiles:
            tile.aged(seconds, kelvin)  # before any of them changes
        for tile in self.tiles:
            tile.age(seconds, kelvin)

    def drift_gain(self) -> float:
        """Global drift compensation of all tiles together: total conductance once over total conductance now.

        Measured by driving every row and adding the currents of all columns (Joshi et al. 2020), averaged over as many
        reads as it takes to make their noise small.
        """
        once = sum(tile.programmed_total_s for tile in self.tiles)
        now = sum(float(tile.die.conductance_s().sum()) for tile in self.tiles)
        return once / now if now else 1.0  # nothing conducts, nothing can be scaled

    def effective(self) -> tuple[Array, Array]:
        """What up and down compute during this settle without noise and rounding, both as (outputs, inputs).

        Cells that are not linear count with what they conduct at full voltage.
        """
        up, down = np.zeros(self.shape), np.zeros(self.shape)
        for placed in self.placed:
            up[placed.outputs, placed.inputs] += placed.significance * placed.tile.up.at_full_voltage()
            down[placed.outputs, placed.inputs] += placed.significance * placed.tile.down.at_full_voltage().T
        return up, down

    def stored(self) -> Array:
        """(outputs, inputs) weights that the devices hold now, without wires, converters and noise of reading."""
        weight = np.zeros(self.shape)
        for placed in self.placed:
            weight[placed.outputs, placed.inputs] += placed.significance * placed.tile.stored()
        return weight

    def aimed(self) -> Array:
        """(outputs, inputs) weights that the devices were last programmed to hold."""
        weight = np.zeros(self.shape)
        for placed in self.placed:
            tile, target_s = placed.tile, placed.tile.die.target_s
            signed = self.design.codec.up(target_s, np.zeros_like(target_s), tile.scale)
            weight[placed.outputs, placed.inputs] += placed.significance * signed.weight.T
        return weight

    def mismatch(self) -> float:
        """||W_down^T - W_up|| / ||W_up|| (Frobenius)."""
        return asymmetry(*self.effective())

    def __matmul__(self, x: Tensor) -> Tensor:
        """W x: x (inputs,) or (inputs, N)."""
        if x.ndim not in (1, 2) or len(x) != self.shape[1]:
            raise ValueError(f"inputs {tuple(x.shape)} do not fit: expected ({self.shape[1]},) or ({self.shape[1]}, N)")
        return self.up(x.T)[0].T if x.ndim == 2 else self.up(x[None])[0][0]


class _Total:
    """Digital partial sums of one product."""

    def __init__(self, matrix: TiledMatrix, outputs: int, x: Tensor) -> None:
        self.matrix, self.outputs = matrix, outputs
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

    def done(self) -> tuple[Tensor, Read]:
        """The product, and what it did."""
        matrix = self.matrix
        assert self.sums is not None, "a matrix has at least one tile"
        if matrix.gain != 1.0:
            self.sums *= matrix.gain
        return self.sums, Read(self.heat * (matrix.device.read_v**2 * matrix.device.read_s), self.clipped)


def _cuts(length: int, most: int) -> list[slice]:
    return [slice(first, min(first + most, length)) for first in range(0, length, most)]


def _weight_slices(weight: Array, largest: float, design: Design) -> Iterator[tuple[Array, float, float]]:
    """(part, its largest entry, what 1 in it stands for) of every slice of the weights, the least significant first."""
    if design.weight_bits is None:
        yield np.asarray(weight, np.float64), largest, 1.0
        return
    top = 2 ** (design.weight_bits - 1) - 1
    codes = np.rint(np.abs(weight) / largest * top).astype(np.int64)
    sign, base = np.sign(weight), 2**design.cell_bits
    for index in range(-(-(design.weight_bits - 1) // design.cell_bits)):
        part = sign * ((codes // base**index) % base)
        yield part, float(base - 1), base**index * largest / top


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
