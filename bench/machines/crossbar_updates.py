"""Ways to write a learnt change into devices, by name."""

from __future__ import annotations

from bench.machines.crossbar_dies import Point, device_of
from bench.machines.crossbar_options import CrossbarOptions
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from hw.crossbar.updates.update import Update

UPDATES: dict[str, Update] = {
    "rewrite": Rewriting(),
    "pulses": StochasticPulses(),
    "mixed": MixedPrecision(),
    "two-arrays": TwoArrays(fast_gain=4.0, transfer=1.0, cycle=8),
}


def default_update(point: Point, options: CrossbarOptions) -> str:
    """Pulses in place if the device has a published response to them, else rewriting."""
    return "rewrite" if device_of(point, options).pulses is None else "pulses"
