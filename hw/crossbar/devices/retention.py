"""What becomes of a programmed conductance with time.

Time 0 is the moment at which the spread of programming was measured. Errors drawn at programming are frozen: a device
keeps its own number for the life of the die.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hw.crossbar.devices.device import Array, Curve, Scaled


@dataclass(frozen=True)
class PowerLawDrift:
    """G(t) = G_programmed ((t + t0) / t0)**-nu, nu = |N(nu_mean(G_target), nu_sigma(G_target))| for each device.

    Le Gallo and Sebastian, J. Phys. D 53, 213002, 2020; the absolute value is aihwkit's.
    """

    nu_mean: Curve
    nu_sigma: Curve
    t0_s: float
    """Seconds from the last write pulse to time 0."""
    longest_s: float = np.inf

    def __post_init__(self) -> None:
        _check_times(self.t0_s, self.longest_s)

    def draw(self, target_s: Array, rng: np.random.Generator) -> Array:
        """The drift exponent of every device."""
        return np.abs(self.nu_mean(target_s) + self.nu_sigma(target_s) * rng.standard_normal(np.shape(target_s)))

    def conductance(self, target_s: Array, programmed_s: Array, drawn: Array, seconds: float) -> Array:  # noqa: ARG002
        """The drifted conductance."""
        return np.asarray(programmed_s * ((seconds + self.t0_s) / self.t0_s) ** -drawn)

    def scaled(self, factor: float) -> PowerLawDrift:
        """The same mean exponent, its spread times `factor`."""
        return replace(self, nu_sigma=Scaled(self.nu_sigma, factor))


@dataclass(frozen=True)
class Broadening:
    """A spread around a mean that was measured at several times; every device keeps its place in the distribution.

    mean(t) = G_target + shift(t, G_target),  sigma(t) = sigma(t, mean(t)),
    G(t) = mean(t) + (G_programmed - G_target) sigma(t) / sigma(first), exact at the measured times, in between linear
    in time or in its logarithm, and before the first measured time as at the first. Where the first sigma is 0 a device
    has no place yet: there it gets a normal number of its own.

    `Device.programming` must be the first `sigma`.
    """

    seconds: tuple[float, ...]
    """Times of measurement after programming, ascending."""
    sigma: tuple[Curve, ...]
    """Total spread in siemens at each of the times, by mean conductance at that time."""
    shift: tuple[Curve, ...] = ()
    """Change of the mean in siemens at each of the times, by target conductance; empty where the mean stays."""
    between: Literal["time", "log time"] = "log time"
    """What the spread and the mean are linear in between two measurements."""
    spread: float = 1.0
    """Factor of the spread; the part that follows from `G_programmed` carries its factor already."""

    def __post_init__(self) -> None:
        if not self.seconds or len(self.sigma) != len(self.seconds) or len(self.shift) not in (0, len(self.seconds)):
            raise ValueError(
                f"{len(self.seconds)} times, {len(self.sigma)} sigmas and {len(self.shift)} shifts: expected one sigma "
                "and one shift for each time, or no shifts"
            )
        if self.between not in ("time", "log time"):
            raise ValueError(f"between is {self.between!r}, expected 'time' or 'log time'")
        if not (np.diff(self.seconds) > 0).all() or self.seconds[0] < 0:
            raise ValueError(f"times of measurement {self.seconds} s do not ascend from 0 s or more")
        if self.between == "log time" and self.seconds[0] == 0:
            raise ValueError("0 s has no logarithm: start at the first measurement after programming, or use 'time'")

    @property
    def longest_s(self) -> float:
        """The last measurement."""
        return self.seconds[-1]

    def draw(self, target_s: Array, rng: np.random.Generator) -> Array:
        """Standard normal numbers, used where the first sigma is 0."""
        return rng.standard_normal(np.shape(target_s))

    def conductance(self, target_s: Array, programmed_s: Array, drawn: Array, seconds: float) -> Array:
        """The mean at that time plus the device's error in proportion to the spread at that time."""
        target_s = np.asarray(target_s, np.float64)
        mean_s, sigma_s = self.moments(target_s, seconds)
        first_s = self.moments(target_s, self.seconds[0])[1]
        error_s = programmed_s - target_s
        placed = first_s > 0
        growth = np.divide(sigma_s, first_s, out=np.ones_like(sigma_s), where=placed)
        return np.asarray(mean_s + error_s * growth + np.where(placed, 0.0, self.spread * sigma_s * drawn))

    def moments(self, target_s: Array, seconds: float) -> tuple[Array, Array]:
        """Mean and standard deviation in siemens at a time."""
        seconds = min(max(seconds, self.seconds[0]), self.seconds[-1])
        later = int(np.searchsorted(self.seconds, seconds))
        if self.seconds[later] == seconds:
            return self._measured(target_s, later)
        low, high, now = self.seconds[later - 1], self.seconds[later], seconds
        if self.between == "log time":
            low, high, now = np.log(low), np.log(high), np.log(now)
        share = (now - low) / (high - low)
        mean_low, sigma_low = self._measured(target_s, later - 1)
        mean_high, sigma_high = self._measured(target_s, later)
        return (1 - share) * mean_low + share * mean_high, (1 - share) * sigma_low + share * sigma_high

    def _measured(self, target_s: Array, index: int) -> tuple[Array, Array]:
        mean_s = target_s + self.shift[index](target_s) if self.shift else target_s
        return mean_s, self.sigma[index](mean_s)

    def scaled(self, factor: float) -> Broadening:
        """The same mean; the errors shrink with those of programming, and the numbers of its own by `factor`."""
        return replace(self, spread=self.spread * factor)


@dataclass(frozen=True)
class LogRelaxation:
    """G(t) = G_programmed + mean_slope_s ln t + (sigma_slope_s ln t + sigma_offset_s) N(0, 1), t in seconds.

    The normal number belongs to the device. The law holds from `first_s`; between 0 s, where nothing has relaxed, and
    `first_s` both terms grow linearly in time.
    """

    mean_slope_s: float
    """Siemens per e-fold of time; negative where conductance is lost."""
    sigma_slope_s: float
    sigma_offset_s: float
    first_s: float
    longest_s: float
    spread: float = 1.0
    """Factor of the spread."""

    def __post_init__(self) -> None:
        _check_times(self.first_s, self.longest_s)
        if min(self._sigma_s(self.first_s), self.sigma_slope_s) < 0:
            raise ValueError(f"the spread of the relaxation is negative at its first time, {self.first_s} s")

    def draw(self, target_s: Array, rng: np.random.Generator) -> Array:
        """A standard normal number for every device."""
        return rng.standard_normal(np.shape(target_s))

    def conductance(self, target_s: Array, programmed_s: Array, drawn: Array, seconds: float) -> Array:  # noqa: ARG002
        """The relaxed conductance."""
        begun = min(seconds / self.first_s, 1.0)
        seconds = max(seconds, self.first_s)
        moved = self.mean_slope_s * np.log(seconds) + self.spread * self._sigma_s(seconds) * drawn
        return np.asarray(programmed_s + begun * moved)

    def _sigma_s(self, seconds: float) -> float:
        return float(self.sigma_slope_s * np.log(seconds) + self.sigma_offset_s)

    def scaled(self, factor: float) -> LogRelaxation:
        """The same mean, the spread times `factor`."""
        return replace(self, spread=self.spread * factor)


def _check_times(first_s: float, longest_s: float) -> None:
    if not 0 < first_s < longest_s:
        raise ValueError(f"times {first_s} s and {longest_s} s, expected 0 < the first < the longest")
