"""Laws of conductance: what a fit in a paper looks like, as data.

Every curve maps conductances in siemens, of any shape, to values of the same shape. Published fits are in the paper's
own unit; `reference_s` is the conductance at which the paper's x is 1 and `unit` what its result is multiplied by, so
that the coefficients can be compared with the paper digit by digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hw.crossbar.devices.device import Array, Curve

_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class ConstantCurve:
    """The same value at every conductance."""

    value: float

    def __call__(self, g_s: Array) -> Array:
        """`value` everywhere."""
        return np.full(np.shape(g_s), self.value)


@dataclass(frozen=True)
class Polynomial:
    """clip(sum_k coefficients[k] x**k, low, high) * unit, with x = g / reference_s."""

    coefficients: tuple[float, ...]
    """In ascending order: the first is the constant."""
    reference_s: float = 1.0
    unit: float = 1.0
    low: float = -np.inf
    """Lowest value before the unit: 0 for a spread whose fit falls below zero."""
    high: float = np.inf

    def __post_init__(self) -> None:
        if not self.coefficients:
            raise ValueError("a polynomial has no coefficients")
        _check_positive("reference_s", self.reference_s)

    def __call__(self, g_s: Array) -> Array:
        """The sum by Horner's rule."""
        return _polynomial(self.coefficients, np.asarray(g_s) / self.reference_s, self.low, self.high) * self.unit


@dataclass(frozen=True)
class LogPolynomial:
    """sum_k coefficients[k] log10(x)**k * unit, with x = g / reference_s held inside [low_s, high_s] / reference_s.

    Outside the measured range the value at its end is held: noise and drift carry devices out of the range that is
    programmed.
    """

    coefficients: tuple[float, ...]
    """In ascending order."""
    low_s: float
    high_s: float
    reference_s: float = 1.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not self.coefficients:
            raise ValueError("a polynomial has no coefficients")
        _check_positive("reference_s", self.reference_s)
        if not 0 < self.low_s < self.high_s:
            raise ValueError(f"measured from {self.low_s} S to {self.high_s} S, expected 0 < low_s < high_s")

    def __call__(self, g_s: Array) -> Array:
        """The sum by Horner's rule."""
        x = np.log10(np.clip(g_s, self.low_s, self.high_s) / self.reference_s)
        return _polynomial(self.coefficients, x, -np.inf, np.inf) * self.unit


@dataclass(frozen=True)
class ClampedLog:
    """clip(slope ln x + offset, low, high) * unit, with x = g / reference_s; at g = 0 the bound that ln leads to."""

    slope: float
    offset: float
    reference_s: float
    low: float
    high: float
    unit: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("reference_s", self.reference_s)
        if not self.low <= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}, expected low <= high")
        if not np.isfinite(self.high if self.slope < 0 else self.low):
            raise ValueError("a logarithm has no limit at zero conductance: give a finite low or high there")

    def __call__(self, g_s: Array) -> Array:
        """The clamped logarithm."""
        x = np.maximum(np.asarray(g_s) / self.reference_s, _TINY)  # ln(tiny) = -708 is beyond every clamp
        return np.clip(self.slope * np.log(x) + self.offset, self.low, self.high) * self.unit


@dataclass(frozen=True)
class ClampedPower:
    """min(factor / x**exponent, high) * unit, with x = g / reference_s and a positive exponent; `high` at g = 0."""

    factor: float
    exponent: float
    reference_s: float
    high: float
    unit: float = 1.0

    def __post_init__(self) -> None:
        for name in ("factor", "exponent", "reference_s", "high"):
            _check_positive(name, getattr(self, name))

    def __call__(self, g_s: Array) -> Array:
        """The clamped power."""
        least = (self.factor / self.high) ** (1 / self.exponent)  # where the power meets `high`; nothing is infinite
        return self.factor / np.maximum(np.asarray(g_s) / self.reference_s, least) ** self.exponent * self.unit


@dataclass(frozen=True)
class Saturating:
    """amplitude (1 - exp(-x)) * unit, with x = g / reference_s, and 0 below g = 0."""

    amplitude: float
    reference_s: float
    unit: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("reference_s", self.reference_s)

    def __call__(self, g_s: Array) -> Array:
        """The saturating exponential."""
        return -self.amplitude * self.unit * np.expm1(-np.maximum(g_s, 0) / self.reference_s)


@dataclass(frozen=True)
class SquareRoot:
    """factor sqrt(g g_max_s), and 0 below g = 0."""

    factor: float
    g_max_s: float

    def __post_init__(self) -> None:
        _check_positive("g_max_s", self.g_max_s)

    def __call__(self, g_s: Array) -> Array:
        """The square root."""
        return self.factor * np.sqrt(np.maximum(g_s, 0) * self.g_max_s)


@dataclass(frozen=True)
class Piecewise:
    """`below` for g < split_s, else `above`."""

    split_s: float
    below: Curve
    above: Curve

    def __call__(self, g_s: Array) -> Array:
        """The branch that each conductance belongs to."""
        return np.where(np.asarray(g_s) < self.split_s, self.below(g_s), self.above(g_s))


@dataclass(frozen=True)
class PerConductance:
    """curve(g) / g: an absolute spread as a share of the conductance. 0 for g <= 0, where a share means nothing."""

    curve: Curve

    def __call__(self, g_s: Array) -> Array:
        """The quotient."""
        g_s = np.asarray(g_s, np.float64)
        return np.divide(self.curve(g_s), g_s, out=np.zeros_like(g_s), where=g_s >= _TINY)


@dataclass(frozen=True)
class Points:
    """Measured values, linear in between."""

    g_s: tuple[float, ...]
    """Conductances in siemens, ascending."""
    value: tuple[float, ...]
    outside: Literal["refuse", "hold"] = "refuse"
    """Outside the measured range: an error, or the value at its end."""

    def __post_init__(self) -> None:
        if len(self.g_s) != len(self.value) or len(self.g_s) < 2:
            raise ValueError(
                f"{len(self.g_s)} conductances and {len(self.value)} values, expected two or more of each, as many"
            )
        if not (np.diff(self.g_s) > 0).all():
            raise ValueError(f"measured conductances {self.g_s} S do not ascend")
        if self.outside not in ("refuse", "hold"):
            raise ValueError(f"outside is {self.outside!r}, expected 'refuse' or 'hold'")

    def __call__(self, g_s: Array) -> Array:
        """Linear interpolation."""
        g_s = np.asarray(g_s, np.float64)
        low, high = self.g_s[0], self.g_s[-1]
        slack = 1e-9 * (high - low)  # of rounding
        wrong = ~((g_s >= low - slack) & (g_s <= high + slack))
        if self.outside == "refuse" and wrong.any():
            raise ValueError(f"conductance {g_s[wrong].flat[0]} S is outside the measured {low} S to {high} S")
        return np.interp(g_s, self.g_s, self.value)


def _polynomial(coefficients: tuple[float, ...], x: Array, low: float, high: float) -> Array:
    total = np.full(np.shape(x), coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total *= x
        total += coefficient
    return np.clip(total, low, high)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < np.inf:
        raise ValueError(f"{name} is {value}, expected a positive number")
