"""Neurons as Brian reads them.

The total that a neuron receives becomes the state it is drawn to,

    f = clip((total + pull) / (1 + leak), 0, 1)                floats; pull and leak are those of a nudge, else 0
    f = clip(floor((total + 1/2) / 2**exponent), 0, one)       integers, which the half of a unit leaves as they are

where a half matters only between integers: in continuous time a sum comes close to its integer and never quite there.
One step is: state updates, thresholds, arrivals over synapses, resets. An arrival therefore sees what was carried when
the threshold was crossed, and `sent` moves after it. `theta` is set at the start of every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw.brian.options import Rate, RateCoding, Scheme, SigmaDelta
from hw.circuit import FixedNeuron, FloatNeuron


@dataclass(frozen=True)
class Neurons:
    """One layer: what Brian's `NeuronGroup` takes."""

    model: str
    threshold: str | None = None
    reset: str | None = None
    method: str = "euler"


def neurons(scheme: Scheme, kind: FloatNeuron | FixedNeuron, inputs: Sequence[str], latched: bool) -> Neurons:
    """The neurons of a layer; `inputs` are those of its variables that links write, beside the constant `drive`.

    `latched`: what a spike carries is kept until it arrives.
    """
    received = [f"{name} : 1" for name in ("drive", *inputs, "pull")]
    total = " + ".join(("drive", *inputs))
    drawn = (
        f"clip(({total} + pull) / (1 + leak), 0, 1)"
        if isinstance(kind, FloatNeuron)
        else f"clip(floor(({total} + 0.5) * scale), 0, one)"
    )
    shared = [*received, "leak : 1 (shared)"]
    if isinstance(scheme, Rate):
        return Neurons("\n".join([f"ds/dt = ({drawn} - s) / tau : 1", *shared]))
    shared += ["noise : 1", "spread : 1", "theta : 1 (shared)"]
    if isinstance(scheme, RateCoding):
        return _firing(drawn, shared, latched)
    return _predicting(scheme, drawn, shared, latched)


def _predicting(scheme: SigmaDelta, drawn: str, shared: Sequence[str], latched: bool) -> Neurons:
    carried, level = (
        ("theta * sign(s - sent)", "0.50001 * theta") if scheme.payload == "unit" else ("s - sent", "theta")
    )
    model = [f"ds/dt = ({drawn} + noise - s) / tau : 1", "sent : 1", *shared]
    model += ["payload : 1" if latched else f"payload = {carried} : 1"]
    moved = "sent += payload" if latched or scheme.payload == "unit" else "sent = s"
    reset = f"payload = {carried}\n{moved}" if latched else moved
    return Neurons("\n".join(model), f"abs(s - sent) >= {level} * spread", reset)


def _firing(drawn: str, shared: Sequence[str], latched: bool) -> Neurons:
    model = [
        "dv/dt = (current + noise - v) / tau : 1",
        "current = int(x > 0) / (1 - exp(-1 / (spikes_per_tau * clip(x, 1e-9, 1)))) : 1",
        f"x = {drawn} / one : 1",
        "sent : 1",  # spikes so far
        "payload : 1" if latched else "payload = one / spikes_per_tau : 1",
        *[line.replace("arrived : 1", "darrived/dt = -arrived / tau : 1") for line in shared],
    ]
    reset = "v -= 1\nsent += 1" + ("\npayload = one / spikes_per_tau" if latched else "")
    return Neurons("\n".join(model), "v >= theta * spread - 1e-9", reset, "exponential_euler")
