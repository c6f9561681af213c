"""Joules that a counter of this computer measured, never modelled; a counter that is missing is `Missing`, never 0."""

from __future__ import annotations

from hw.meters.meter import CounterError, Meter, Missing
from hw.meters.nvml import open_nvml
from hw.meters.powercap import POWERCAP, open_powercap
from hw.meters.window import Measured, Plan, measure

__all__ = ["CounterError", "Measured", "Meter", "Missing", "Plan", "measure", "open_meter"]


def open_meter(device: str) -> Meter | Missing:
    """The counter of a device, "cpu" (powercap) or "cuda", "cuda:1" (NVML), or why there is none."""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return open_powercap(POWERCAP)
    if kind == "cuda":
        return open_nvml(int(index or 0))
    return Missing(f"{device!r} has no counter that is known here: cpu and cuda have")
