"""Links that lost something to time or cold, and the gains that would give it back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Device, Temperature
from hw.crossbar.devices.presets import PRESETS
from hw.crossbar.tiles.matrix import TiledMatrix

HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 365 * 86_400.0
DRIFTING = [name for name, device in PRESETS.items() if device.retention is not None and name != "ideal"]
COLD_K = 250.0
COLD = np.exp(-0.1 / 8.617333262e-5 * (1 / COLD_K - 1 / 300.0))
"""What 250 K leaves of conductances with 0.1 eV that were published at 300 K."""


def best(once: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The inverse of the slope of `now` against `once`, by a solver of its own."""
    slope = np.linalg.lstsq(once.reshape(-1, 1), now.ravel(), rcond=None)[0]
    return float(1 / slope[0])


def drawn(kind: str, shape: tuple[int, int] = (64, 64)) -> NDArray[np.float64]:
    """Weights up to 1 of many sizes, more small ones, or nine of ten 0."""
    rng = np.random.default_rng(5)
    weight = rng.laplace(size=shape) if kind == "laplace" else rng.normal(size=shape)
    if kind == "sparse":
        weight *= rng.random(shape) < 0.1
    return np.asarray(weight / np.abs(weight).max())


def gain_of(matrix: TiledMatrix) -> float:
    """Of a link that has one."""
    (gain,) = matrix.gain.total
    return float(gain)


def warm(device: Device) -> Device:
    return replace(device, temperature=Temperature(0.1, 300.0))
