"""What neurons say to each other, and how that is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from hw.brian.loading import TARGETS, Target

Linear = Literal["synapses", "operator"]
LINEARS: tuple[Linear, ...] = get_args(Linear)
Payload = Literal["graded", "unit"]
PAYLOADS: tuple[Payload, ...] = get_args(Payload)


@dataclass(frozen=True)
class Rate:
    """Neurons that say their state all the time: the circuit in continuous time, at dt = tau its synchronous steps."""

    most_dt_tau = 1.0
    usual_dt_tau = 0.2


@dataclass(frozen=True)
class SigmaDelta:
    """Neurons that say only what their state has moved by, once that is enough: predictive coding.

    A neuron sends when |s - sent| >= theta(t): a "graded" spike carries s - sent, after which sent = s. A "unit" one is
    sent at theta(t) / 2 and carries theta(t) with the sign of s - sent, by which sent moves. theta is that of the start
    and, unless it is fixed, falls as exp(-t / fall tau), so that units that come to rest just short of it still report
    (an annealed step: O'Connor, Gavves, Welling, AISTATS 2019).
    """

    payload: Payload = "graded"
    threshold: float = 1.0
    """theta at the start, in units of state 1.0."""
    fall_tau: float | None = 6.0
    """Time in which it falls by e, in tau; None: it is fixed."""

    most_dt_tau = 1.0
    usual_dt_tau = 0.2

    def __post_init__(self) -> None:
        if self.payload not in PAYLOADS:
            raise ValueError(f"payload {self.payload!r} is unknown, choices are {', '.join(PAYLOADS)}")
        _check("threshold", self.threshold)
        if self.threshold > 1:
            raise ValueError(f"threshold is {self.threshold}, must be at most 1: states lie in [0, 1]")
        if self.fall_tau is not None:
            _check("fall_tau", self.fall_tau)


@dataclass(frozen=True)
class RateCoding:
    """Leaky integrate-and-fire neurons that say a state by how often they fire: the naive baseline.

    tau dv/dt = I(x) - v fires at v >= 1, then v -= 1, with x the state the neuron would have and I the current at which
    it fires r x times a second. An arriving spike adds w / (r tau) to a current that decays with tau.
    """

    spikes_per_tau: float = 20.0
    """r tau: of a neuron at state 1."""
    window_tau: float = 10.0
    """Time over which the spikes are counted that tell the state."""

    def __post_init__(self) -> None:
        _check("spikes_per_tau", self.spikes_per_tau)
        _check("window_tau", self.window_tau)

    @property
    def most_dt_tau(self) -> float:
        """One spike a step is the most that a neuron can send."""
        return 1 / self.spikes_per_tau

    @property
    def usual_dt_tau(self) -> float:
        """The same."""
        return self.most_dt_tau


Scheme = Rate | SigmaDelta | RateCoding


@dataclass(frozen=True)
class Simulation:
    """How a network is integrated."""

    tau_s: float = 1e-3
    """Time constant of every neuron, seconds."""
    dt_tau: float | None = None
    """Step of the explicit integration in tau; None: what is usual for the scheme."""
    linear: Linear = "synapses"
    """"synapses": one bidirectional Brian `Synapses` per link. "operator": one matrix product per link and direction
    for all images, as a Brian network operation; the same numbers, for large links."""
    target: Target = "numpy"
    """What Brian writes its code in; cython needs a C++ compiler."""

    def __post_init__(self) -> None:
        _check("tau_s", self.tau_s)
        if self.dt_tau is not None:
            _check("dt_tau", self.dt_tau)
        if self.linear not in LINEARS:
            raise ValueError(f"linear {self.linear!r} is unknown, choices are {', '.join(LINEARS)}")
        if self.target not in TARGETS:
            raise ValueError(f"target {self.target!r} is unknown, choices are {', '.join(TARGETS)}")

    def step_tau(self, scheme: Scheme) -> float:
        """The step in tau; ValueError where it is too long."""
        dt_tau = scheme.usual_dt_tau if self.dt_tau is None else self.dt_tau
        if dt_tau > scheme.most_dt_tau * (1 + 1e-9):
            why = (
                "a neuron sends one spike a step at most"
                if isinstance(scheme, RateCoding)
                else "beyond one tau a step overshoots, and twice that is unstable"
            )
            raise ValueError(f"dt_tau is {dt_tau:g}, must be at most {scheme.most_dt_tau:g}: {why}")
        return dt_tau


@dataclass(frozen=True)
class Imperfections:
    """What neurons and axons of a chip are like. Drawn from one seed: every image meets the same chip."""

    latency_s: float = 0.0
    """Seconds from a spike to its arrival, in whole steps."""
    refractory_s: float = 0.0
    """Seconds after a spike in which a neuron sends none."""
    membrane_noise: float = 0.0
    """Standard deviation of a state at rest, in units of state 1.0, by white noise on every membrane."""
    threshold_mismatch: float = 0.0
    """Relative standard deviation of the thresholds from neuron to neuron, frozen."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latency_s", "refractory_s", "membrane_noise", "threshold_mismatch"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}, must be a finite number from 0")
        if self.threshold_mismatch > 0.3:
            raise ValueError(
                f"threshold_mismatch is {self.threshold_mismatch}, must be at most 0.3: thresholds must stay above 0"
            )
        if self.latency_s > self.refractory_s:
            raise ValueError(
                f"latency_s is {self.latency_s:g} and refractory_s {self.refractory_s:g}: a neuron whose spike is on "
                "its way sends no other, so the refractory period must be at least the latency"
            )


PERFECT = Imperfections()


def _check(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}, must be a finite number above 0")
