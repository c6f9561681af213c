"""A matrix of any size on as many tiles as it takes.

Rows and columns that one tile cannot hold go onto further tiles, whose digital results are added up or set side by
side. A weight of more bits than a cell holds is cut into slices on tiles of their own; shift-and-add puts them together
again, W = unit * sum_k 2**(cell_bits k) W_k. How it is read stands in `products`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hw.crossbar.devices.device import Array
from hw.crossbar.devices.device_array import DeviceArray
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.gain import Gain, ReadBacks, Reference, many, read_back, read_backs
from hw.crossbar.tiles.layout import DenseLayout, OneDie
from hw.crossbar.tiles.products import Heating, Part, Products, Read, heating_of
from hw.crossbar.tiles.tile import Reading, Tile, check_weights
from hw.crossbar.tiles.wires import asymmetry


@dataclass(frozen=True)
class Placed:
    """A tile, where it sits in the matrix, and what one of its results stands for."""

    tile: Tile
    inputs: slice
    outputs: slice
    significance: float


class TiledMatrix:
    """W (outputs, inputs), programmed when made.

    `gain` multiplies every digital result; `compensate` sets it. Gains of columns multiply what comes out of them, and
    on the way down what is driven onto them, so that both directions stay transposes of each other.
    """

    def __init__(
        self,
        weight: Array,
        fabrication: Fabrication,
        *,
        layout: OneDie | None = None,
        largest: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Args as of `Tile`; `largest` is max |weight| if not given, `layout` that of plain vectors."""
        design, device = fabrication.design, fabrication.device
        self.shape, self.design, self.device, self.gain = weight.shape, design, device, Gain()
        self.layout: OneDie = layout or DenseLayout()
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
                        seed=(*fabrication.seed, len(self.placed)),
                        noise_seed=(*fabrication.noise_seed, len(self.placed)),
                        programming=fabrication.programming,
                        dtype=dtype,
                    )
                    self.placed.append(Placed(tile, inputs, outputs, significance))
        self._aimed = np.zeros(self.shape)
        for placed in self.placed:
            self._aimed[placed.outputs, placed.inputs] += placed.significance * _targets(placed.tile, placed.tile.array)
        # tiles have the numbers below, and fresh noise of their own
        self._calibration = np.random.default_rng((*fabrication.noise_seed, len(self.placed)))
        self._reference: Reference | None = None
        self._heated: tuple[list[Reading], Heating] | None = None

    @property
    def tiles(self) -> list[Tile]:
        """All tiles."""
        return [placed.tile for placed in self.placed]

    def products(self) -> Products:
        """What driving it computes during this settle."""
        parts = [
            Part(
                tile.up,
                tile.down,
                tile.adc_up,
                tile.adc_down,
                (tile.generator,),
                placed.inputs,
                placed.outputs,
                placed.significance,
            )
            for placed in self.placed
            for tile in [placed.tile]
        ]
        gain, heating = self.gain.total, self._heating(parts)
        return Products(self.shape, self.design, self.layout, gain, self.read_j, tuple(parts), heating)

    def _heating(self, parts: list[Part]) -> Heating:
        """The same for all products of a settle, and until devices change."""
        now = [reading for part in parts for reading in (part.up, part.down)]
        if self._heated is None or any(one is not other for one, other in zip(self._heated[0], now, strict=True)):
            self._heated = (now, heating_of(self.layout, parts, self.shape))
        return self._heated[1]

    @property
    def read_j(self) -> float:
        """Joules of a read of 1 S by an input of 1."""
        return self.device.read_v**2 * self.device.read_s

    def up(self, x: Tensor) -> tuple[Tensor, Read]:
        """W x for x (B, ...) in [-1, 1], in the layout of this matrix, giving (B, outputs, ...)."""
        return self.products().up(x)

    def down(self, x: Tensor) -> tuple[Tensor, Read]:
        """W^T x for x (B, outputs, ...) in [-1, 1], giving (B, inputs, ...)."""
        return self.products().down(x)

    def begin(self, rng: np.random.Generator) -> None:
        """Draw the slow noise of the settle that begins."""
        for tile in self.tiles:
            tile.begin(rng)

    def age(self, seconds: float, kelvin: float | None = None) -> None:
        """Read all tiles `seconds` after programming from now on. `gain` stays as it is."""
        for tile in self.tiles:
            tile.aged(seconds, kelvin)  # before any of them changes
        self.reference()  # what has just been written will never again be as new
        for tile in self.tiles:
            tile.age(seconds, kelvin)

    def write(self, placed: Placed, array: DeviceArray) -> None:
        """Read these devices in the place of those of a tile from now on: some of them were written, under `gain`."""
        before, after = (_targets(placed.tile, each) for each in (placed.tile.array, array))
        placed.tile.write(array)
        part = (placed.outputs, placed.inputs)
        drift = np.broadcast_to(self.gain.drift[:, None], self.shape)[part]
        self._aimed[part] = np.where(after != before, drift * after, self._aimed[part])

    def compensate(self, *, by_column: bool = False) -> None:
        """Set `gain` so that the link computes what it did when it was last written; see `hw.crossbar.tiles.gain`.

        What was not compensated before the last write stays as it is: compensate before you write.
        """
        then = self.reference()
        if self._when == then.when:  # nothing to measure but noise
            self.gain = then.gain
            return
        now = self._read_backs().mean
        self.gain = then.compensated(now, self.device.thermal(self.tiles[0].array.kelvin), by_column=by_column)

    def reference(self) -> Reference:
        """What was read back of the link after it was last written: now, if it has been written since."""
        writes = sum(int(tile.array.writes.sum()) for tile in self.tiles)
        if self._reference is None or self._reference.writes != writes:
            reads, thermal = self._read_backs(), self.device.thermal(self.tiles[0].array.kelvin)
            self._reference = Reference(
                reads.mean, reads.power(), reads.error(), self.gain, thermal, self._when, writes
            )
        return self._reference

    @property
    def _when(self) -> tuple[float, float | None]:
        """Age and temperature, alike for all tiles."""
        array = self.tiles[0].array
        return array.seconds, array.kelvin

    def _read_backs(self) -> ReadBacks:
        return many(self._read_back, read_backs(self.design))

    def _read_back(self) -> Array:
        """(outputs, inputs) weights as one read-back shows them, without a gain."""
        weight = np.zeros(self.shape)
        for placed in self.placed:
            part = read_back(placed.tile, self._calibration)
            weight[placed.outputs, placed.inputs] += placed.significance * part
        return weight

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
        """(outputs, inputs) weights that results were to show when the devices were last written."""
        return self._aimed.copy()

    def shown(self) -> Array:
        """(outputs, inputs) weights that the devices hold now, as digital results show them."""
        return self.gain.total[:, None] * self.stored()

    def mismatch(self) -> float:
        """||W_down^T - W_up|| / ||W_up|| (Frobenius)."""
        return asymmetry(*self.effective())

    def __matmul__(self, x: Tensor) -> Tensor:
        """W x: x (inputs,) or (inputs, N)."""
        if x.ndim not in (1, 2) or len(x) != self.shape[1]:
            raise ValueError(f"inputs {tuple(x.shape)} do not fit: expected ({self.shape[1]},) or ({self.shape[1]}, N)")
        return self.up(x.T)[0].T if x.ndim == 2 else self.up(x[None])[0][0]


def _targets(tile: Tile, array: DeviceArray) -> Array:
    """(outputs, inputs) of a tile that its devices were aimed at, in units of weight."""
    signed = tile.design.codec.up(array.target_s, np.zeros_like(array.target_s), tile.scale)
    return np.asarray(signed.weight.T)


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
