"""Diodes that hold a node between two voltages: ideal, of straight lines, and a junction.

A node takes a current I - G v from what is around it (I in amperes, G in siemens) and, below `low` or above `high`, the
current of its diode as well. `node` solves that one equation exactly; it is all a layer needs, since the nodes of a
layer meet only through other layers. A bound of minus or plus infinity is no diode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from hw.cost.constants import PHYSICS

SPICE_K = 300.15
"""27 degrees Celsius, the temperature of a SPICE run."""
THERMAL_V = PHYSICS["boltzmann"].nominal * SPICE_K / PHYSICS["elementary_charge"].nominal
"""kT / q."""


@dataclass(frozen=True)
class Bounds:
    """(units,) voltages a layer's diodes lead to; -inf and inf where there is none."""

    low: Tensor
    high: Tensor

    @cached_property
    def rails(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where current flows through a diode: whether a node has one, and the voltage that it leads to at nodes from
        which current would flow away and at those to which it would; 0 V where there is none."""
        low, high = torch.isfinite(self.low), torch.isfinite(self.high)
        upper, lower = self.high.where(high, 0.0), self.low.where(low, 0.0)
        return (low | high).to(self.low), lower.where(low, upper), upper.where(high, lower)


@dataclass(frozen=True)
class Tangent:
    """A diode near a voltage: the node is fixed, or takes extra conductance and current; shapes (B, units)."""

    fixed: Tensor
    voltage: Tensor
    conductance: Tensor
    current: Tensor


class Diode(Protocol):
    """One kind of diode."""

    def node(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tensor:
        """v with I - G v + i(v) = 0 for I (B, units) and G (units,) or (B, units)."""
        ...

    def tangent(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tangent:
        """The straight line that touches the diode where `node` puts the node."""
        ...


@dataclass(frozen=True)
class Ideal:
    """No voltage lost, no current lost: v = min(max(I / G, low), high)."""

    def node(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tensor:
        """See `Diode.node`."""
        return torch.clamp(current / load, bounds.low, bounds.high)

    def tangent(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tangent:
        """See `Diode.tangent`."""
        v = current / load
        held = self.node(current, load, bounds)
        zero = torch.zeros_like(v)
        return Tangent((v <= bounds.low) | (v >= bounds.high), held, zero, zero)


@dataclass(frozen=True)
class Knee:
    """Two straight lines: nothing until `knee_v` beyond a bound, from there a resistor of `series_ohm`."""

    knee_v: float
    series_ohm: float

    def __post_init__(self) -> None:
        if not 0 <= self.knee_v < float("inf"):
            raise ValueError(f"knee_v is {self.knee_v} V, expected a finite number from 0")
        if not 0 < self.series_ohm < float("inf"):
            raise ValueError(f"series_ohm is {self.series_ohm} Ohm, expected a positive number; 0 is an ideal diode")

    def node(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tensor:
        """See `Diode.node`."""
        line = self.tangent(current, load, bounds)
        return (current + line.current) / (load + line.conductance)

    def tangent(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tangent:
        """See `Diode.tangent`."""
        v, slope = current / load, 1 / self.series_ohm
        low, high = bounds.low - self.knee_v, bounds.high + self.knee_v
        below, above = v < low, v > high
        conductance = slope * (below | above)
        edge = torch.where(below, low, torch.where(above, high, torch.zeros_like(v)))
        return Tangent(torch.zeros_like(below), v, conductance, conductance * edge)


@dataclass(frozen=True)
class Junction:
    """i = I_s (exp((u - R i) / n V_T) - 1) for a voltage u beyond the bound (Shockley), as the SPICE model D.

    With a = (1 + G R) I_s, b = G n V_T and the current I that pushes beyond the bound, x = (u - R i) / n V_T solves
    a (e^x - 1) + b x = I, so that x = c - omega(c + ln(a / b)), c = (I + a) / b, omega Wright's function,
    omega + ln omega = its argument. A node has at most one diode.
    """

    saturation_a: float
    emission: float = 1.0
    series_ohm: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.saturation_a < 1:
            raise ValueError(f"saturation_a is {self.saturation_a} A, expected above 0 to 1 A")
        if not 0 < self.emission <= 10:
            raise ValueError(f"emission is {self.emission}, expected above 0 to 10")
        if not 0 <= self.series_ohm < float("inf"):
            raise ValueError(f"series_ohm is {self.series_ohm} Ohm, expected a finite number from 0")

    def node(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tensor:
        """See `Diode.node`."""
        sign, bound = _side(bounds)
        x, diode = self._solve(sign * (current - load * bound), load)
        beyond = self.emission * THERMAL_V * x + self.series_ohm * diode
        return torch.where(sign == 0, current / load, bound + sign * beyond)

    def tangent(self, current: Tensor, load: Tensor, bounds: Bounds) -> Tangent:
        """See `Diode.tangent`."""
        sign, bound = _side(bounds)
        x, diode = self._solve(sign * (current - load * bound), load)
        slope = self.saturation_a * torch.exp(x) / (self.emission * THERMAL_V)
        slope = torch.where(sign == 0, torch.zeros_like(x), slope / (1 + self.series_ohm * slope))
        beyond = self.emission * THERMAL_V * x + self.series_ohm * diode
        v = bound + sign * beyond
        return Tangent(torch.zeros_like(x, dtype=torch.bool), v, slope, slope * v - sign * diode)

    def _solve(self, push: Tensor, load: Tensor) -> tuple[Tensor, Tensor]:
        """x, and the current of the diode."""
        a = (1 + load * self.series_ohm) * self.saturation_a
        b = load * self.emission * THERMAL_V
        c = (push + a) / b
        x = c - wright_omega(c + torch.log(a / b))
        return x, self.saturation_a * torch.expm1(x)


def wright_omega(z: Tensor) -> Tensor:
    """omega(z) with omega + ln omega = z, for real z: Newton's rule on ln omega from either asymptote."""
    log = torch.where(z > 1, torch.log(z.clamp(min=1.0)), z.clamp(max=1.0))
    for _ in range(8):
        omega = torch.exp(log)
        log = log - (omega + log - z) / (1 + omega)
    return torch.exp(log)


def _side(bounds: Bounds) -> tuple[Tensor, Tensor]:
    """-1 for a diode at the low bound, 1 at the high one, 0 for none; and that bound, 0 for none."""
    low, high = torch.isfinite(bounds.low), torch.isfinite(bounds.high)
    sign = high.to(bounds.low) - low.to(bounds.low)
    bound = torch.where(low, bounds.low, torch.where(high, bounds.high, torch.zeros_like(bounds.low)))
    return sign, bound
