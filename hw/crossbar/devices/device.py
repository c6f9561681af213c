"""A device: the memory cell at every crossing of a tile, as data.

Everything is in SI units. A device holds a conductance between `g_min_s` and `g_max_s`. Its errors live on three time
scales, each with random numbers of its own:

- at programming (frozen for the life of a die): `programming`, the device-to-device part of `retention`, stuck devices;
- slow (constant while a network settles): `flicker`, the 1/f noise gathered since the last read, and `telegraph`;
- fresh (redrawn at every read): `fresh`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BOLTZMANN_EV_PER_K = 8.617333262e-5
"""k in eV / K, CODATA 2018: exact by the definition of the SI."""
HOTTEST_K = 1000.0
"""No die is hotter: a temperature beyond is a slip of the unit."""


class Curve(Protocol):
    """A published law as a function of conductance; see `hw.crossbar.devices.curves`."""

    def __call__(self, g_s: Array) -> Array:
        """Value at conductances in siemens, of any shape."""
        ...


class Retention(Protocol):
    """What becomes of a programmed conductance with time; see `hw.crossbar.devices.retention`."""

    @property
    def longest_s(self) -> float:
        """Last time the law was fitted to; infinity for a law without an end."""
        ...

    def draw(self, target_s: Array, rng: np.random.Generator) -> Array:
        """What distinguishes one device from the next, drawn at programming; same shape as `target_s`."""
        ...

    def conductance(self, target_s: Array, programmed_s: Array, drawn: Array, seconds: float) -> Array:
        """Conductance `seconds` after programming, given what was aimed at, what was reached and `draw`."""
        ...

    def scaled(self, factor: float) -> Retention:
        """The same mean with every spread times `factor`."""
        ...


@dataclass(frozen=True)
class Flicker:
    """Slow 1/f noise: sigma(t) = G(t) relative(G_target) sqrt(ln((t + t_read) / (2 t_read))), zero before t_read.

    t counts from the last write pulse, which was `start_s` before time 0.
    """

    relative: Curve
    """Relative amplitude Q, by target conductance."""
    read_s: float
    """Seconds of one read, t_read."""
    start_s: float = 0.0
    """Seconds from the last write pulse to time 0, at which the spread of programming was measured."""

    def __post_init__(self) -> None:
        if not 0 < self.read_s < np.inf:
            raise ValueError(f"read_s is {self.read_s} s, expected a positive number")
        if not 0 <= self.start_s < np.inf:
            raise ValueError(f"start_s is {self.start_s} s, expected a number from 0")

    def sigma_s(self, target_s: Array, now_s: Array, seconds: float) -> Array:
        """Standard deviation in siemens, `seconds` after programming, of devices that stand at `now_s`."""
        decades = np.log(max((seconds + self.start_s + self.read_s) / (2 * self.read_s), 1.0))
        return np.asarray(now_s * self.relative(target_s) * np.sqrt(decades))


@dataclass(frozen=True)
class Telegraph:
    """Random telegraph noise: a trap that is full half of the time and then takes `relative` of the conductance.

    The dwell times are taken as long against a settle and short against the time between two: the state of every trap
    is drawn anew for each settle. Centred: G (1 +- relative / 2).
    """

    share: float
    """Share of the devices that have a trap, 0 to 1."""
    relative: float
    """Step of the conductance over the conductance; above 2 a full trap would leave less than nothing."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}, expected 0 to 1")
        if not 0 <= self.relative <= 2:
            raise ValueError(f"relative is {self.relative}, expected 0 to 2")


@dataclass(frozen=True)
class Nonlinearity:
    """I = G V + second(G) V**2 + third(G) V**3, published for |V| <= `largest_v`."""

    second: Curve
    """Coefficient of V**2, A / V**2."""
    third: Curve
    """Coefficient of V**3, A / V**3."""
    largest_v: float

    def __post_init__(self) -> None:
        if not 0 < self.largest_v < np.inf:
            raise ValueError(f"largest_v is {self.largest_v} V, expected a positive number")


@dataclass(frozen=True)
class Temperature:
    """Thermally activated conduction: G(T) = G(T0) exp(-E / k (1 / T - 1 / T0))."""

    activation_ev: float
    reference_k: float

    def __post_init__(self) -> None:
        if not -10 < self.activation_ev < 10:
            raise ValueError(f"activation_ev is {self.activation_ev} eV, expected -10 to 10 eV")
        if not 0 < self.reference_k < HOTTEST_K:
            raise ValueError(f"reference_k is {self.reference_k} K, expected 0 to {HOTTEST_K:g} K")


class PulseResponse(Protocol):
    """How one write pulse moves a device; see `hw.crossbar.devices.pulses`."""

    @property
    def step_s(self) -> float:
        """Nominal step of one pulse."""
        ...

    @property
    def voltage_v(self) -> float | None:
        """Amplitude of a pulse; None where it is not published."""
        ...

    @property
    def width_s(self) -> float | None:
        """Length of a pulse; None where it is not published."""
        ...

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, Array]:
        """What distinguishes one device from the next."""
        ...

    def scaled(self, factor: float) -> PulseResponse:
        """The same mean response with every spread times `factor`."""
        ...

    def visible(self, g_s: Array, rng: np.random.Generator) -> Array:
        """What a read sees of devices whose last pulse left them at `g_s`: write noise comes on top, and pulses go on
        from `g_s`."""
        ...

    def pulse(self, g_s: Array, up: NDArray[np.bool_], drawn: dict[str, Array], rng: np.random.Generator) -> Array:
        """Conductance after one pulse each, upwards where `up`, else downwards."""
        ...


class UnpublishedError(ValueError):
    """What is asked for is possible, but no source says how the device is then."""


@dataclass(frozen=True)
class Device:
    """One kind of memory cell with the paper it comes from; checked when made."""

    name: str
    source: str
    """Paper, and where its figures were read."""
    g_min_s: float
    """Lowest conductance that is programmed."""
    g_max_s: float
    """Highest conductance that is programmed."""
    read_v: float
    """Voltage of the largest input."""
    read_s: float
    """Seconds of one read pulse."""
    programming: Curve
    """Standard deviation in siemens right after programming, by target conductance."""
    fresh: Curve
    """Standard deviation in siemens of one read, by conductance."""
    retention: Retention | None = None
    """None where the source has none: such a device can be read right after programming only."""
    flicker: Flicker | None = None
    telegraph: Telegraph | None = None
    stuck_on: float = 0.0
    """Share of devices that stay at `g_max_s` whatever is written."""
    stuck_off: float = 0.0
    """Share of devices that stay at `g_min_s`."""
    nonlinearity: Nonlinearity | None = None
    temperature: Temperature | None = None
    pulses: PulseResponse | None = None
    """None where no response to single pulses is published: such a device cannot be written pulse by pulse."""
    endurance: float | None = None
    """Writes that one device stands; None where the source has no figure."""
    assumed: str = ""
    """What is not in the source and was chosen by us; empty if nothing."""

    def __post_init__(self) -> None:
        if not 0 <= self.g_min_s < self.g_max_s < 1:
            raise ValueError(
                f"device {self.name!r}: conductances {self.g_min_s} S to {self.g_max_s} S, "
                "expected 0 <= g_min_s < g_max_s < 1 S"
            )
        for name, low, high, unit in (("read_v", 1e-3, 10.0, "V"), ("read_s", 1e-12, 1.0, "s")):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"device {self.name!r}: {name} is {value} {unit}, expected {low} to {high} {unit}")
        if self.endurance is not None and not self.endurance >= 1:
            raise ValueError(f"device {self.name!r}: endurance is {self.endurance} writes, expected at least 1")
        for name in ("stuck_on", "stuck_off"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"device {self.name!r}: {name} is {getattr(self, name)}, expected a share, 0 to 1")
        if self.stuck_on + self.stuck_off > 1:
            raise ValueError(f"device {self.name!r}: stuck_on and stuck_off together are above 1")
        if self.nonlinearity is not None and self.read_v > self.nonlinearity.largest_v:
            raise ValueError(
                f"device {self.name!r}: read_v is {self.read_v} V, its I-V curve is published up to "
                f"{self.nonlinearity.largest_v} V"
            )

    @property
    def on_off_ratio(self) -> float:
        """g_max / g_min; infinite if the device can be switched off."""
        return self.g_max_s / self.g_min_s if self.g_min_s else np.inf

    def check_conductance(self, g_s: Array) -> None:
        """Refuse target conductances that the device cannot hold; a rounding error of 1e-9 of the range is let pass."""
        slack = 1e-9 * (self.g_max_s - self.g_min_s)
        wrong = ~((g_s >= self.g_min_s - slack) & (g_s <= self.g_max_s + slack))  # NaN is wrong too
        if wrong.any():
            raise ValueError(
                f"conductance {np.asarray(g_s)[wrong].flat[0]:g} S cannot be programmed: {self.name} holds "
                f"{self.g_min_s:g} S to {self.g_max_s:g} S"
            )

    def read_sigma_s(self, g_s: Array) -> Array:
        """Spread of one read of devices at these conductances.

        Programming errors carry devices beyond the range that was characterised: there the law holds its end value.
        """
        return self.fresh(np.clip(g_s, self.g_min_s, self.g_max_s))

    def check_time(self, seconds: float) -> None:
        """Refuse times at which the source says nothing about the device."""
        if not 0 <= seconds < np.inf:
            raise ValueError(f"time is {seconds} s: a die is read 0 s or more after programming")
        longest = 0.0 if self.retention is None else self.retention.longest_s
        if seconds > longest:
            raise UnpublishedError(
                f"time is {seconds} s: for {self.name} retention is published for 0 s to {longest:g} s only"
            )

    def check_kelvin(self, kelvin: float | None) -> None:
        """Refuse temperatures at which the source says nothing about the device; None is that of the source."""
        if kelvin is None:
            return
        if self.temperature is None:
            raise ValueError(f"temperature is {kelvin} K: {self.name} is published at one temperature only")
        if not 0 < kelvin < HOTTEST_K:
            raise ValueError(f"temperature is {kelvin} K, expected 0 to {HOTTEST_K:g} K")

    def thermal(self, kelvin: float | None) -> float:
        """What a temperature leaves of every conductance, by the law of the device; None is that of the source."""
        if self.temperature is None or kelvin is None:
            return 1.0
        inverse = 1 / kelvin - 1 / self.temperature.reference_k
        return float(np.exp(-self.temperature.activation_ev / BOLTZMANN_EV_PER_K * inverse))

    def noisy(self, factor: float) -> Device:
        """The device with every random spread times `factor`: programming, drift spread, slow and fresh noise.

        Mean drift, stuck devices, the I-V curve and temperature stay as they are. Factor 0 is a perfect device that
        still drifts as its mean.
        """
        if not 0 <= factor < np.inf:
            raise ValueError(f"noise scale is {factor}, expected a finite number from 0")
        return replace(
            self,
            programming=Scaled(self.programming, factor),
            fresh=Scaled(self.fresh, factor),
            retention=None if self.retention is None else self.retention.scaled(factor),
            flicker=None
            if self.flicker is None
            else replace(self.flicker, relative=Scaled(self.flicker.relative, factor)),
            pulses=None if self.pulses is None else self.pulses.scaled(factor),
            telegraph=None
            if self.telegraph is None
            else replace(self.telegraph, relative=factor * self.telegraph.relative),
        )


@dataclass(frozen=True)
class Scaled:
    """A curve times a factor."""

    curve: Curve
    factor: float

    def __call__(self, g_s: Array) -> Array:
        """factor * curve(g)."""
        return self.factor * self.curve(g_s)
