"""A tile: one array of devices with its drivers and converters, read in both directions.

    tile = Tile(weight, largest, design, device, seed=0)      # weight (outputs, inputs)
    tile.calibrate(x)                                         # sets the ranges of the converters
    y, z = tile @ x, tile.T @ y                               # the same devices, up and down

One read of inputs x in [-1, 1], as voltages x * read_v, gives in units of weight times input

    y = adc( W x + sqrt(V x**2) * n + o ),     n ~ N(0, 1) drawn for every output and every read,

where W is what the devices and wires make of the weights, gains of drivers and converters in it, and V the variance of
the fresh noise of its entries. That is exactly the law of a matrix whose entries are redrawn for every vector; behind
wires see `hw.crossbar.tiles.fresh_noise`. With a nonlinear I-V curve, W2 x**2 + W3 x**3 is added, of the nonlinear
parts of the cell currents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.device_array import DeviceArray, program
from hw.crossbar.tiles.converters import Adc, IdealAdc, MissingAdc, RangeMeter, RoundingAdc, drive
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.fresh_noise import FreshNoise, Product, drawn
from hw.crossbar.tiles.layout import beside
from hw.crossbar.tiles.nonlinear import solve
from hw.crossbar.tiles.sensitivity import Sensitivity, sensitivity_down, sensitivity_up
from hw.crossbar.tiles.wires import Wires, asymmetry, effective_down, effective_up, kappa


@dataclass(frozen=True)
class Reading:
    """What a tile computes in one direction during one settle, in units of weight times input."""

    weight: Tensor
    """(outputs, inputs)."""
    powers: tuple[Tensor, ...]
    """(outputs, inputs) of x**2 and x**3 where cells are nonlinear, else none."""
    fresh: FreshNoise | None
    """Of every output; None where there is none."""
    common: FreshNoise | None
    """Of the reference that all outputs share, as one output."""
    offset: Tensor | None
    """(outputs,)."""
    conductance_s: Tensor
    """(inputs,) conductance that the voltage of an input sees."""

    def at_full_voltage(self) -> Array:
        """(outputs, inputs) response to one input at 1, without noise."""
        return np.asarray(sum(self.powers, self.weight).double().cpu().numpy())

    def read(self, product: Product, x: Tensor, squared: Tensor, *generators: torch.Generator) -> Tensor:
        """What reaches the converters, (B, outputs, ...); `squared` is x**2, `generators` those of the fresh noise of
        every die."""
        sums = product(x, self.weight)
        for matrix, power in zip(self.powers, (squared, squared * x), strict=False):
            sums += product(power, matrix)
        if self.fresh is not None:
            sigma = self.fresh.sigma(product, x, squared)
            sums.addcmul_(sigma, drawn(sums, generators))
        if self.common is not None:
            sigma = self.common.sigma(product, x, squared)
            sums.sub_(sigma.mul_(drawn(sigma, generators)))
        if self.offset is not None:
            sums += beside(self.offset, sums)
        return sums


class Tile:
    """A matrix (outputs, inputs) on one array of devices, programmed when made.

    What changes: `array` (the devices, at some time after programming), `up` and `down` (what they compute during this
    settle), `adc_up` and `adc_down`.
    """

    def __init__(
        self,
        weight: Array,
        largest: float,
        design: Design,
        device: Device,
        *,
        seed: tuple[int, ...] = (0,),
        noise_seed: tuple[int, ...] = (0,),
        programming: Callable[[Array, Device, np.random.Generator], DeviceArray] = program,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Program an array.

        Args:
            weight: (outputs, inputs).
            largest: the weight that the whole range of a device stands for; no |weight| may be above it.
            design: size, encoding, converters and wires.
            device: what sits at the crossings.
            seed: of this array: programming, device variation, converters.
            noise_seed: of the fresh noise.
            programming: `device_array.program`, which draws from the published spread, or a procedure that pulses.
            dtype: in which products are computed.
        """
        check_weights(weight, largest)
        rows, columns = design.codec.capacity(design.rows, design.columns)
        outputs, inputs = weight.shape
        if inputs > rows or outputs > columns:
            raise ValueError(
                f"weights {weight.shape} need {inputs} rows and {outputs} columns, a tile holds {rows} x {columns}"
            )
        self.shape, self.design, self.device, self.dtype = (outputs, inputs), design, device, dtype
        self.noise_seed, self.torch_device = noise_seed, torch.device("cpu")
        self.largest, self.scale = largest, design.codec.scale(largest, device)
        self.worst_up, self.worst_down = (
            float(np.abs(weight).sum(axis=axis).max(initial=0.0)) or largest for axis in (1, 0)
        )
        rng = np.random.default_rng(seed)
        targets = design.codec.targets(np.asarray(weight, np.float64).T, largest, device)
        self.array = programming(targets, device, rng)
        gains = {"dac": design.dac_gain_sigma, "adc": design.adc_gain_sigma}
        self.gains = {
            (part, side): 1 + sigma * rng.standard_normal(count)
            for part, sigma in gains.items()
            for side, count in (("rows", inputs), ("columns", outputs))
        }
        self.offsets = {
            "up": design.adc_offset_sigma * self.worst_up * rng.standard_normal(outputs),
            "down": design.adc_offset_sigma * self.worst_down * rng.standard_normal(inputs),
        }
        self.adc_up: Adc
        self.adc_down: Adc
        self.adc_up = self.adc_down = IdealAdc() if design.adc_bits is None else MissingAdc()
        self.generator = generator_of(noise_seed)
        self.age(0.0)

    def compute_on(self, torch_device: str | torch.device) -> None:
        """Have torch compute reads there, and draw their noise there, from the beginning of its seed."""
        self.torch_device = torch.device(torch_device)
        self.generator = generator_of(self.noise_seed, self.torch_device)
        self._forget()

    def tensor(self, values: Array) -> Tensor:
        """Numbers as reads are computed with."""
        return torch.as_tensor(np.ascontiguousarray(values), dtype=self.dtype, device=self.torch_device)

    def write(self, array: DeviceArray) -> None:
        """Read these devices from now on: the same array after some of them were written."""
        self.array = array
        self._forget()
        weight = np.abs(self.stored())
        self.worst_up, self.worst_down = (
            float(weight.sum(axis=axis).max(initial=0.0)) or self.largest for axis in (1, 0)
        )

    def stored(self) -> Array:
        """(outputs, inputs) weights that the devices hold now, without wires, converters and noise of reading."""
        g_s = self.array.conductance_s()
        return np.asarray(self.design.codec.up(g_s, np.zeros_like(g_s), self.scale).weight.T)

    def age(self, seconds: float, kelvin: float | None = None) -> None:
        """Read the array `seconds` after programming from now on, until the next `begin` without slow noise."""
        self.array = self.aged(seconds, kelvin)
        self._forget()

    def aged(self, seconds: float, kelvin: float | None = None) -> DeviceArray:
        """The array at that age and temperature; ValueError where device or wires have none. Changes nothing."""
        if kelvin is not None:
            self.design.wires.at_kelvin(kelvin)
        return self.array.at(seconds, kelvin)

    def _forget(self) -> None:
        """Forget what was computed of the array as it was."""
        self._wired: tuple[_WireFold, _WireFold] | None = None
        self._readings: tuple[Reading, Reading] | None = None

    def begin(self, rng: np.random.Generator) -> None:
        """Draw the slow noise of the settle that begins.

        The shares of the wires stay those without slow noise: a percent of noise changes a voltage drop, itself a few
        percent, by a percent.
        """
        self._readings = self._both(self.array.settling_s(rng))

    def up_once(self, rng: np.random.Generator) -> Reading:
        """What driving the rows computes with slow noise of its own, beside the settle that goes on."""
        return self._reading(self.array.settling_s(rng), self._folds()[0], "up")

    @property
    def up(self) -> Reading:
        """What driving the rows computes during this settle."""
        self._readings = self._readings or self._both(self.array.conductance_s())
        return self._readings[0]

    @property
    def down(self) -> Reading:
        """What driving the columns computes during this settle."""
        self._readings = self._readings or self._both(self.array.conductance_s())
        return self._readings[1]

    def set_ranges(self, up: float, down: float) -> None:
        """Give both converters a range, in units of weight times input; ideal converters need none."""
        if self.design.adc_bits is not None:
            self.adc_up, self.adc_down = (RoundingAdc(self.design.adc_bits, top) for top in (up, down))

    def calibrate(self, x: Tensor, percent: float = 99.9) -> None:
        """Set the ranges by what x (inputs, N), and the answers to it cut to [0, 1], cause."""
        with metered([self], percent):
            _ = self.T @ (self @ x).clamp(0, 1)

    def mismatch(self) -> float:
        """||W_down^T - W_up|| / ||W_up|| of what the two directions compute (Frobenius)."""
        return asymmetry(self.up.at_full_voltage(), self.down.at_full_voltage().T)

    def kappa(self) -> float:
        """Load of the wires; see `hw.crossbar.tiles.wires.kappa`."""
        return kappa(self.array.conductance_s(), self.wires)

    @property
    def wires(self) -> Wires:
        """The wires at the temperature of the array."""
        wires, kelvin = self.design.wires, self.array.kelvin
        return wires if kelvin is None else wires.at_kelvin(kelvin)

    @property
    def T(self) -> Transposed:  # noqa: N802 - as numpy
        """The transposed read of the same devices."""
        return Transposed(self)

    def __matmul__(self, x: Tensor) -> Tensor:
        """W x through drivers, devices, wires and converters: x (inputs,) or (inputs, N), in [-1, 1]."""
        return _through(self, x, self.up, self.adc_up, self.shape[1])

    def solve(self, x: Tensor) -> Tensor:
        """W x (outputs, N) by the nodal solution of wires and nonlinear cells, without noise and converters.

        x (inputs, N). Exact and slow: what the folded matrices of a read are compared with.
        """
        volts = np.zeros((x.shape[1], self.array.target_s.shape[0]))
        volts[:, : self.shape[1]] = x.T.double().cpu().numpy() * self.device.read_v  # a reference row is not driven
        currents = solve(self.array.conductance_s(), volts, self.device.nonlinearity, self.wires)
        return torch.as_tensor(self.design.codec.differences(currents).T * (self.scale / self.device.read_v))

    def _both(self, g_s: Array) -> tuple[Reading, Reading]:
        """Both directions of these conductances behind the wires."""
        up, down = self._folds()
        return self._reading(g_s, up, "up"), self._reading(g_s, down, "down")

    def _folds(self) -> tuple[_WireFold, _WireFold]:
        """What the wires do up and down, solved once for every age of the array."""
        if self._wired is None and not (self.wires.row_ohm or self.wires.column_ohm):
            self._wired = (_WireFold.perfect(self.array.target_s.shape),) * 2
        if self._wired is None:
            now, wires = self.array.conductance_s(), self.wires
            up_s = effective_up(now, wires)
            down_s = up_s if wires.terminals == "same" else effective_down(now, wires)
            outputs, inputs = self.shape  # a reference is not driven, and both of a pair lift nothing
            lift_up = inputs / len(now)
            lift_down = float(self.design.codec.drive_columns(np.ones((1, outputs))).mean())
            self._wired = (
                _WireFold.of(now, up_s, sensitivity_up(now, wires, lift_up)),
                _WireFold.of(now, down_s, sensitivity_down(now, wires, lift_down)),
            )
        return self._wired

    def _reading(self, g_s: Array, fold: _WireFold, name: Literal["up", "down"]) -> Reading:
        """One direction of these conductances behind wires."""
        codec, device = self.design.codec, self.device
        side, other = ("rows", "columns") if name == "up" else ("columns", "rows")
        decode = codec.up if name == "up" else codec.down
        share, effective_s = fold.share, g_s * fold.share + fold.detour_s
        variance = device.read_sigma_s(g_s) ** 2
        signed, together = (
            decode(effective_s, variance * factor**2, self.scale)
            for factor in (fold.sensitivity.alone, fold.sensitivity.together)
        )
        drivers, converters = self.gains["dac", side][:, None], self.gains["adc", other][None, :]

        powers: list[Tensor] = []
        if device.nonlinearity is not None:
            # a cell behind wires sees its share of the voltage
            second = device.nonlinearity.second(g_s) * share**2 * device.read_v
            third = device.nonlinearity.third(g_s) * share**3 * device.read_v**2
            squares = (
                decode(second, variance, self.scale).weight if name == "up" else codec.down_squares(second, self.scale)
            )
            cubes = decode(third, variance, self.scale).weight
            powers = [self.tensor((matrix * drivers * converters).T) for matrix in (squares, cubes)]
        gains = (drivers * converters) ** 2
        fresh = FreshNoise.of(signed.variance * gains, together.variance * gains, self.tensor)
        common = None
        if signed.common is not None and together.common is not None:
            alone, alike = (each[:, None] * drivers**2 for each in (signed.common, together.common))
            common = FreshNoise.of(alone, alike, self.tensor)
        total = codec.row_total if name == "up" else codec.column_total
        offset = self.offsets[name]
        return Reading(
            weight=self.tensor((signed.weight * drivers * converters).T),
            powers=tuple(powers),
            fresh=fresh,
            common=common,
            offset=self.tensor(offset) if offset.any() else None,
            conductance_s=self.tensor(total(effective_s)),
        )


@dataclass(frozen=True)
class _WireFold:
    """What wires do to an array: the share of its current each cell keeps, and what dead cells pass on from others."""

    share: Array
    detour_s: Array
    sensitivity: Sensitivity

    @staticmethod
    def of(g_s: Array, effective_s: Array, sensitivity: Sensitivity) -> _WireFold:
        """From the conductances of the cells and those that the wired array has."""
        alive = g_s > 0
        share = np.divide(effective_s, g_s, out=np.ones_like(g_s), where=alive)
        return _WireFold(share, np.where(alive, 0.0, effective_s), sensitivity)

    @staticmethod
    def perfect(shape: tuple[int, ...]) -> _WireFold:
        """Of wires without resistance: every cell keeps all of its current, in views that take no memory."""
        ones = np.broadcast_to(1.0, shape)
        return _WireFold(ones, np.broadcast_to(0.0, shape), Sensitivity(ones, ones))


@dataclass(frozen=True)
class Transposed:
    """`tile.T`."""

    tile: Tile

    def __matmul__(self, x: Tensor) -> Tensor:
        """W^T x: x (outputs,) or (outputs, N), in [-1, 1]."""
        return _through(self.tile, x, self.tile.down, self.tile.adc_down, self.tile.shape[0])

    def solve(self, x: Tensor) -> Tensor:
        """W^T x (inputs, N) as `Tile.solve`; x (outputs, N)."""
        tile, codec = self.tile, self.tile.design.codec
        volts = codec.drive_columns(x.T.double().cpu().numpy() * tile.device.read_v)
        g_s, curve = tile.array.conductance_s(), tile.device.nonlinearity
        currents = codec.row_differences(solve(g_s, volts, curve, tile.wires, "down"))
        return torch.as_tensor(currents.T * (tile.scale / tile.device.read_v))


@contextmanager
def metered(tiles: Sequence[Tile], percent: float) -> Iterator[None]:
    """Set every range to a percentile of what its converter sees meanwhile, through ideal ones in their place.

    A converter that saw nothing, or nothing but zero, has nothing to resolve: it gets the range of its worst case. If
    what runs meanwhile fails, all converters are as before.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percentile is {percent}, expected a number above 0 up to 100")
    watched = [(tile, tile.adc_up, tile.adc_down, RangeMeter(), RangeMeter()) for tile in tiles]
    try:
        for tile, _, _, up, down in watched:
            tile.adc_up, tile.adc_down = up, down
        yield
    finally:
        for tile, tile_up, tile_down, _, _ in watched:
            tile.adc_up, tile.adc_down = tile_up, tile_down
    for tile, _, _, up, down in watched:
        tile.set_ranges(up.percentile(percent) or tile.worst_up, down.percentile(percent) or tile.worst_down)


def check_weights(weight: Array, largest: float) -> None:
    """Refuse what is no matrix of finite weights up to `largest`."""
    if weight.ndim != 2 or weight.size == 0:
        raise ValueError(f"weights of shape {weight.shape}, expected a matrix (outputs, inputs)")
    if not 0 < largest < np.inf:
        raise ValueError(f"largest is {largest}, expected a positive weight that the range of a device stands for")
    top = np.abs(weight).max()
    if not top <= largest * (1 + 1e-12):  # NaN is wrong too
        raise ValueError(f"the largest weight is {top:g}, the range of a device stands for {largest:g}")


def generator_of(seed: tuple[int, ...], torch_device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator of fresh noise, from the numbers that name its place."""
    (state,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator(torch_device).manual_seed(int(state >> np.uint64(1)))


def _through(tile: Tile, x: Tensor, reading: Reading, adc: Adc, expected: int) -> Tensor:
    if x.ndim not in (1, 2) or len(x) != expected:
        raise ValueError(f"inputs {tuple(x.shape)} do not fit: expected ({expected},) or ({expected}, N)")
    columns = x if x.ndim == 2 else x[:, None]
    driven = drive(columns.T.to(tile.torch_device, tile.dtype), tile.design.input_bits)
    sums = reading.read(torch.nn.functional.linear, driven, driven * driven, tile.generator)
    read = adc.convert(sums)[0].T
    return read if x.ndim == 2 else read[:, 0]
