"""Converters between codes and voltages or currents.

A converter of b bits has 2**b - 1 levels, symmetric about zero. A DAC maps [-1, 1] onto `2**b - 1` steps on either
side of zero (the states of a network use one side, and all b bits of it); an ADC maps [-range, range] onto
2**(b - 1) - 1 steps on either side, and what lies outside ends at the last code and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

ADC_BITS = (2, 24)
DAC_BITS = (1, 16)
SAMPLES = 4096
"""Values a range meter keeps of each batch of conversions."""


def check_bits(name: str, bits: int | None, limits: tuple[int, int]) -> None:
    """Refuse a resolution that no converter has."""
    if bits is not None and not limits[0] <= bits <= limits[1]:
        raise ValueError(f"{name} is {bits}, choices are {limits[0]} to {limits[1]}, or None for an ideal converter")


def drive(x: Tensor, bits: int | None) -> Tensor:
    """Inputs in [-1, 1] as a DAC of this resolution sets them; None sets them exactly.

    Raises ValueError for an input outside the range, whose voltage does not exist, and for none at all.
    """
    if x.numel() == 0:
        raise ValueError(f"inputs of shape {tuple(x.shape)}: there is nothing to drive")
    low, high = torch.aminmax(x)
    if not (low >= -1 and high <= 1):  # false for NaN too
        if bool(low.isnan()) or bool(high.isnan()):
            raise ValueError(
                "a read gave what is no number: the noise scale, or the hours since programming, are so extreme that "
                "conductances leave the range of floating point, and the DAC drives -1 to 1: take less of either"
            )
        raise ValueError(f"inputs from {float(low):g} to {float(high):g}: the DAC drives -1 to 1")
    if bits is None:
        return x
    top = 2**bits - 1
    return (x * top).round_().div_(top)


class Adc(Protocol):
    """What stands at the end of every column: currents, in units of weight times input, become codes."""

    def convert(self, sums: Tensor) -> tuple[Tensor, Tensor | None]:
        """The sums (B, ...) as they are read, possibly in place, and (B,) how many ended at an end of the range."""
        ...


@dataclass(frozen=True)
class IdealAdc:
    """Infinite resolution and range, also the analog wire to an analog neuron."""

    def convert(self, sums: Tensor) -> tuple[Tensor, None]:
        """The sums as they are."""
        return sums, None


@dataclass(frozen=True)
class RoundingAdc:
    """Rounds to the nearest of 2**bits - 1 levels in [-range, range]."""

    bits: int
    full_scale: float
    """The range, in units of weight times input."""

    def __post_init__(self) -> None:
        check_bits("adc_bits", self.bits, ADC_BITS)
        if not 0 < self.full_scale < float("inf"):
            raise ValueError(
                f"ADC range is {self.full_scale}, expected a finite number above 0: calibrate it or give one"
            )

    @property
    def step(self) -> float:
        """One least significant bit."""
        return self.full_scale / (2 ** (self.bits - 1) - 1)

    def convert(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """step * clip(round(sums / step))."""
        top = 2 ** (self.bits - 1) - 1
        levels = sums.div_(self.step).round_()
        codes = levels.clamp(-top, top)
        clipped = clipped_of(levels, top)
        return codes.mul_(self.step), clipped


@dataclass(frozen=True)
class AdcsOfDies:
    """The same place on several dies, each with a range of its own; sums (dies B, ...)."""

    bits: int
    steps: Tensor
    """(dies,) least significant bits."""

    def convert(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """As of each."""
        top = 2 ** (self.bits - 1) - 1
        step = self.steps.repeat_interleave(len(sums) // len(self.steps)).view(-1, *[1] * (sums.ndim - 1))
        levels = sums.div_(step).round_()
        codes = levels.clamp(-top, top)
        clipped = clipped_of(levels, top)
        return codes.mul_(step), clipped


class MissingAdc:
    """A converter whose range nobody has set."""

    def convert(self, sums: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002 - none can be converted
        """Refuses."""
        raise ValueError(
            "the ADC has no range: calibrate the machine before, by prepare(images, Remedies()) or calibrate(images)"
        )


def stride_of(count: int) -> int:
    """Distance between the values of `count` that are kept. It has no factor of `count`, so that the sample meets all
    columns and positions: a stride of 49 in 64 images of 64 columns and 7 x 7 positions would meet one corner alone.
    Too many are kept rather than too few."""
    stride = count // SAMPLES | 1
    while gcd(stride, count) > 1:
        stride -= 2
    return stride


class RangeMeter:
    """An ideal converter that remembers a sample of the magnitudes it saw, and the largest, to set a range by."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []
        self.largest: list[float] = []

    def convert(self, sums: Tensor) -> tuple[Tensor, None]:
        """The sums as they are."""
        flat = sums.detach().flatten()
        self.seen.append(flat[:: stride_of(len(flat))].abs().cpu())
        low, high = torch.aminmax(flat)
        self.largest.append(float(torch.maximum(-low, high)))
        return sums, None

    def percentile(self, percent: float) -> float:
        """The magnitude below which `percent` % of what was seen lies; 0 if nothing was seen.

        That of the sample, but 100 % is the largest of all: a range of it clips nothing.
        """
        if not self.seen:
            return 0.0
        if percent == 100:
            return float(np.max(self.largest))
        return float(np.percentile(np.concatenate([part.numpy() for part in self.seen]).astype(np.float64), percent))


def clipped_of(levels: Tensor, top: int) -> Tensor:
    """(B,) conversions that end at an end of the range, -top to top."""
    if levels.device.type == "cpu":
        low, high = torch.aminmax(levels)
        if -top <= low and high <= top:  # a third of the work of looking at each
            return levels.new_zeros(len(levels), dtype=torch.int64)
    return (levels.clamp(-top, top) != levels).flatten(1).sum(dim=1)
