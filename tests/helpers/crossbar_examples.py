"""Devices and drivers that the tests of tiles and machines share."""

from __future__ import annotations

from dataclasses import replace

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.retention import PowerLawDrift
from hw.crossbar.tiles.design import Design

IDEAL = preset("ideal")
EXACT = Design(input_bits=None, adc_bits=None)
"""Perfect converters."""


def noisy_reads(relative: float = 0.05) -> Device:
    """Perfect but for fresh noise, larger on larger conductances."""
    return replace(
        IDEAL, fresh=Polynomial((0.2, 1.0), reference_s=IDEAL.g_max_s, unit=relative * IDEAL.g_max_s), g_min_s=1e-7
    )


def uniform_drift(nu: float) -> Device:
    """Perfect but for a drift that is the same for every device: G (1 + t / 10 s)**-nu."""
    return replace(IDEAL, retention=PowerLawDrift(nu_mean=ConstantCurve(nu), nu_sigma=ConstantCurve(0.0), t0_s=10.0))
