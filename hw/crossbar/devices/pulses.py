"""How one write pulse moves a device: step models with hard bounds, in siemens.

The equations are those of aihwkit's pulsed devices (src/rpucuda/rpu_pulsed_device.cpp, rpu_linearstep_device.cpp,
rpu_softbounds_reference_device.cpp, rpu_expstep_device.cpp). A weight w between w_min and w_max there is the
conductance `zero_s` + s w here, with s = (g_max - g_min) / (w_max - w_min); ratios and exponents carry over as they
are.

The devices come in three layers of randomness: `draw` is from device to device and stays, the variation of a pulse is
drawn in `pulse`, and write noise is what a read sees on top of the conductance that later pulses start from: the caller
keeps the conductance that `pulse` returns and lets the crossbar see `visible` of it, once for every device that was
touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array

Pulsed = TypeVar("Pulsed", bound="PulsedDevice")


@dataclass(frozen=True, kw_only=True)
class PulsedDevice:
    """What the step models share: the size of a step and the bounds, and how they differ from device to device.

    With N normal numbers of a device:

        gain  = 1 + step_dtod N, or exp(step_dtod N)
        up    = step_s |gain + min(up_down, 0) + up_down_dtod N'|
        down  = step_s |gain - max(up_down, 0) - up_down_dtod N'|
        high  = zero_s + (g_max_s - zero_s) |1 + g_max_dtod N''|
        low   = zero_s - (zero_s - g_min_s) |1 + g_min_dtod N'''|, not below 0 S
    """

    g_min_s: float
    """Mean lower bound."""
    g_max_s: float
    """Mean upper bound."""
    zero_s: float
    """Conductance at which a step has its nominal size: w = 0 of the published fit."""
    step_s: float
    """Step at `zero_s`."""
    step_dtod: float = 0.0
    """Spread of the step from device to device, over the step."""
    step_log_normal: bool = False
    """Steps are log-normal from device to device: `step_s` is the median, the mean is exp(step_dtod**2 / 2) larger."""
    up_down: float = 0.0
    """Asymmetry over the step: positive makes steps down smaller, negative makes steps up smaller."""
    up_down_dtod: float = 0.0
    """Spread of the asymmetry from device to device, over the step."""
    g_max_dtod: float = 0.0
    """Spread of the upper bound, over its distance from `zero_s`."""
    g_min_dtod: float = 0.0
    """Spread of the lower bound, over its distance from `zero_s`."""
    cycle: float = 0.0
    """Spread of a step from pulse to pulse, over the step."""
    write_noise: float = 0.0
    """Spread of what a read sees around the conductance, over `step_s`; drawn anew when the device is written."""
    voltage_v: float | None = None
    """Amplitude of a pulse of either sign; without it pulses are counted and their joules are None."""
    width_s: float | None = None
    """Length of a pulse; likewise."""

    SPREADS: ClassVar[tuple[str, ...]] = (
        "step_dtod",
        "up_down_dtod",
        "g_max_dtod",
        "g_min_dtod",
        "cycle",
        "write_noise",
    )

    def __post_init__(self) -> None:
        if not 0 <= self.g_min_s <= self.zero_s <= self.g_max_s or self.g_min_s == self.g_max_s:
            raise ValueError(
                f"bounds {self.g_min_s} S and {self.g_max_s} S around {self.zero_s} S, "
                "expected 0 <= g_min_s <= zero_s <= g_max_s"
            )
        if not 0 < self.step_s < np.inf:
            raise ValueError(f"step_s is {self.step_s} S, expected a positive number")
        for name in self.SPREADS:
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite number from 0")
        for name, unit in (("voltage_v", "V"), ("width_s", "s")):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{name} is {value} {unit}, expected a positive number")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, Array]:
        """Steps and bounds of every device, in siemens."""
        number = rng.standard_normal((4, *shape))
        gain = np.exp(self.step_dtod * number[0]) if self.step_log_normal else 1 + self.step_dtod * number[0]
        tilt = self.up_down_dtod * number[1]
        low_s = self.zero_s - (self.zero_s - self.g_min_s) * np.abs(1 + self.g_min_dtod * number[3])
        return {
            "up_s": self.step_s * np.abs(gain + min(self.up_down, 0.0) + tilt),
            "down_s": self.step_s * np.abs(gain - max(self.up_down, 0.0) - tilt),
            "high_s": self.zero_s + (self.g_max_s - self.zero_s) * np.abs(1 + self.g_max_dtod * number[2]),
            "low_s": np.maximum(low_s, 0.0),  # a normal number knows no physics
        }

    def visible(self, g_s: Array, rng: np.random.Generator) -> Array:
        """What a read sees of devices just written: G + write_noise step_s N, never negative."""
        if self.write_noise == 0:
            return g_s
        return np.maximum(g_s + self.write_noise * self.step_s * rng.standard_normal(np.shape(g_s)), 0.0)

    def scaled(self: Pulsed, factor: float) -> Pulsed:
        """The same mean response with every spread times `factor`."""
        return replace(self, **{name: factor * getattr(self, name) for name in self.SPREADS})


@dataclass(frozen=True, kw_only=True)
class LinearStep(PulsedDevice):
    """A step that shrinks linearly towards the bound it goes to; soft bounds are gamma = 1 and `own_bounds`.

    With w = G - zero_s, d = +1 up or -1 down and b_d the bound in that direction, measured from zero_s:

        G <- clip(G + d step_d (1 - gamma_d w / b_d) (1 + cycle N), low, high)     if `multiplicative`
        G <- clip(G + d step_d (1 - gamma_d w / b_d + cycle N), low, high)         otherwise

    A device has gamma_d = |gamma + gamma_dtod N|.
    """

    gamma_up: float = 0.0
    """Share of the step that is lost between `zero_s` and the upper bound."""
    gamma_down: float = 0.0
    """Share of the step that is lost between `zero_s` and the lower bound."""
    gamma_dtod: float = 0.0
    """Spread of both from device to device."""
    own_bounds: bool = False
    """Whether b_d are the bounds of the device or the mean ones."""
    multiplicative: bool = True

    SPREADS: ClassVar[tuple[str, ...]] = (*PulsedDevice.SPREADS, "gamma_dtod")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, Array]:
        """Steps and bounds in siemens and both gammas of every device."""
        number = rng.standard_normal((2, *shape))
        return {
            **super().draw(shape, rng),
            "gamma_up": np.abs(self.gamma_up + self.gamma_dtod * number[0]),
            "gamma_down": np.abs(self.gamma_down + self.gamma_dtod * number[1]),
        }

    def pulse(self, g_s: Array, up: NDArray[np.bool_], drawn: dict[str, Array], rng: np.random.Generator) -> Array:
        """Conductance after one pulse each."""
        sign = np.where(up, 1.0, -1.0)
        if self.own_bounds:
            bound_s = np.where(up, drawn["high_s"], drawn["low_s"])
        else:
            bound_s = np.where(up, self.g_max_s, self.g_min_s)
        span_s = sign * (bound_s - self.zero_s)
        # a device that ends at zero_s has no slope in that direction: the published code says the same
        way = np.divide(sign * (g_s - self.zero_s), span_s, out=np.zeros(np.shape(g_s)), where=span_s > 0)
        size = 1 - np.where(up, drawn["gamma_up"], drawn["gamma_down"]) * way
        varied = self.cycle * rng.standard_normal(np.shape(g_s))
        size = size * (1 + varied) if self.multiplicative else size + varied
        moved = g_s + sign * np.where(up, drawn["up_s"], drawn["down_s"]) * size
        return np.clip(moved, drawn["low_s"], drawn["high_s"])


@dataclass(frozen=True, kw_only=True)
class ExpStep(PulsedDevice):
    """A step that shrinks exponentially, as in CMOS-like devices and filaments.

    With z = 2 a (G - zero_s) / (high - low) + b of the device and d = +1 up or -1 down:

        G <- clip(G + d step_d max(1 - A_d exp(d gamma_d z), 0) (1 + cycle N), low, high)
    """

    a: float
    b: float
    amplitude_up: float
    """A for steps up."""
    amplitude_down: float
    """A for steps down."""
    gamma_up: float
    gamma_down: float

    def pulse(self, g_s: Array, up: NDArray[np.bool_], drawn: dict[str, Array], rng: np.random.Generator) -> Array:
        """Conductance after one pulse each."""
        sign = np.where(up, 1.0, -1.0)
        range_s = drawn["high_s"] - drawn["low_s"]
        way = np.divide(g_s - self.zero_s, range_s, out=np.zeros(np.shape(g_s)), where=range_s > 0)
        exponent = sign * np.where(up, self.gamma_up, self.gamma_down) * (2 * self.a * way + self.b)
        size = np.maximum(1 - np.where(up, self.amplitude_up, self.amplitude_down) * np.exp(exponent), 0.0)
        size = size * (1 + self.cycle * rng.standard_normal(np.shape(g_s)))
        moved = g_s + sign * np.where(up, drawn["up_s"], drawn["down_s"]) * size
        return np.clip(moved, drawn["low_s"], drawn["high_s"])
