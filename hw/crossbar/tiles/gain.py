"""Gains: what digital results are multiplied by, so that a link computes again what it computed once.

A link is read back when it was last written, and now: known inputs of +-1 go through drivers, devices with their slow
and fresh noise, and converters, and what comes out is projected on what came out then. With W the weights so read,

    gain of drift = <W_then, W_then> / <W_then, W_now>,

the inverse of the slope that least squares gives to what is computed now against what was computed then. Total
conductances would count the devices that should be off, which hold a little and drift most. Means of several reads that
share no noise keep noise out of <W_then, W_then>, where it would count as signal.

Temperature is not measured but known: the law of the device at the temperature of the die. It is a number of its own,
since devices that are written now have lost nothing to drift and as much to the temperature as all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt

import numpy as np
import torch
from scipy.linalg import hadamard

from hw.crossbar.devices.device import Array
from hw.crossbar.tiles.converters import RoundingAdc
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.tile import Tile

READ_BACKS = 16
"""Times a link is read back, each with slow noise of its own, when it was written and again for every gain."""
SHARED_READ_BACKS = 256
"""The same where all columns share a reference, whose slow noise no sum over columns takes away: of phase-change memory
16 read-backs are then 0.5 to 2 % off."""
SIGNIFICANT = 5.0
"""Standard errors by which a link, or a column, must stand out of the noise of its read-backs to get a gain."""


@dataclass(frozen=True)
class Gain:
    """What digital results of a link are multiplied by."""

    drift: Array = field(default_factory=lambda: np.ones(1))
    """What devices have lost since they were written: (1,) for a link, (outputs,) if every column has its own."""
    thermal: float = 1.0
    """What temperature takes from every device, written long ago or now."""

    @property
    def total(self) -> Array:
        """(1,) or (outputs,) factor of results."""
        return self.drift * self.thermal


@dataclass(frozen=True)
class Reference:
    """A link as it was read back after it was last written."""

    weight: Array
    """(outputs, inputs) mean of the read-backs, without a gain."""
    power: Array
    """(outputs,) sum of W**2 over a column of devices, free of the noise of the reads."""
    error: Array
    """(outputs,) standard error of `power` where there is nothing but noise."""
    gain: Gain
    """The gain that was in force."""
    thermal: float
    """What the temperature of that time leaves of a conductance."""
    when: tuple[float, float | None]
    """Seconds after programming, and temperature."""
    writes: int
    """Writes that the devices had had by then."""

    def compensated(self, now: Array, thermal: float, *, by_column: bool) -> Gain:
        """The gain with which (outputs, inputs) weights that are read back now come out as they did then.

        `thermal` is what the temperature of now leaves of a conductance. A link that does not stand out of the noise
        keeps the gain that it had; so does a column, but for what its link has lost.
        """
        along = (self.weight * now).sum(axis=1) * (self.thermal / thermal)
        share = np.square(np.broadcast_to(self.gain.drift, along.shape))  # columns count as results show them
        link = _ratio(
            np.array([self.power @ share]),
            np.array([along @ share]),
            np.sqrt([(self.error * share) @ (self.error * share)]),
        )
        lost = np.where(np.isnan(link), 1.0, link)
        if by_column:
            columns = _ratio(self.power, along, self.error)
            lost = np.where(np.isnan(columns), lost, columns)
        return Gain(self.gain.drift * lost, self.gain.thermal * self.thermal / thermal)


def read_back(tile: Tile, rng: np.random.Generator) -> Array:
    """(outputs, inputs) weights as one read of known inputs shows them, in units of weight times input.

    Rows are driven with +-1 in sequences that are orthogonal to each other and to a constant, so that neither the other
    rows nor an offset of the converters leaks into a weight: 2**k reads, the first power above the number of rows.
    Signs are drawn anew every time, which makes the errors of rounding independent. The converter takes the range that
    the inputs need.
    """
    inputs = tile.shape[1]
    x = _sequences(inputs) * rng.choice([-1.0, 1.0], inputs)
    driven = tile.tensor(x)
    generator = torch.Generator(tile.torch_device).manual_seed(int(rng.integers(2**63)))
    sums = tile.up_once(rng).read(torch.nn.functional.linear, driven, torch.ones_like(driven), generator)
    most = float(sums.abs().max())
    if tile.design.adc_bits is not None and most > 0:
        sums = RoundingAdc(tile.design.adc_bits, most).convert(sums)[0]
    return np.asarray(sums.double().cpu().numpy().T @ x / len(x))


def read_backs(design: Design) -> int:
    """How often a link of these tiles is read back."""
    return SHARED_READ_BACKS if design.encoding == "offset" else READ_BACKS


@dataclass(frozen=True)
class ReadBacks:
    """Several read-backs of a link, added up as they come: one matrix of a large link fills much memory."""

    count: int
    total: Array
    """(outputs, inputs) sum of the weights that were read."""
    squares: Array
    """(outputs, inputs) sum of their squares."""

    @property
    def mean(self) -> Array:
        """(outputs, inputs)."""
        return self.total / self.count

    def power(self) -> Array:
        """(outputs,) sum of W**2 over a column of devices, from products of different reads alone."""
        return (np.square(self.total) - self.squares).sum(axis=1) / (self.count * (self.count - 1))

    def error(self) -> Array:
        """(outputs,) standard error of `power` where there is nothing but noise."""
        noise = (self.squares - np.square(self.total) / self.count).sum(axis=1) / (self.count - 1)
        return noise * sqrt(2 / (self.count * (self.count - 1)) / self.total.shape[1])


def many(once: Callable[[], Array], count: int) -> ReadBacks:
    """So many calls of `once`, which reads a link back one time."""
    total = squares = np.zeros(())
    for _ in range(count):
        read = once()
        total, squares = total + read, squares + np.square(read)
    return ReadBacks(count, total, squares)


def _ratio(power: Array, along: Array, error: Array) -> Array:
    """power / along; NaN where that is noise."""
    clear = (power > SIGNIFICANT * error) & (along > 0)
    return np.divide(power, along, out=np.full(power.shape, np.nan), where=clear)


@lru_cache(maxsize=8)
def _sequences(inputs: int) -> Array:
    """(2**k, inputs) rows of +-1: columns of a Hadamard matrix, without the constant one."""
    return np.asarray(hadamard(2 ** inputs.bit_length())[:, 1 : inputs + 1], np.float64)
