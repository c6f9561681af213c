"""Devices, matrices and changes that the tests of updates share.

The perfect device moves by the same step everywhere, so that arithmetic says where a weight must be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.crossbar_examples import EXACT, IDEAL
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from hw.crossbar.updates.update import Outer, Update

G_MAX = IDEAL.g_max_s
STEPS = 1000
"""Steps from one end of the range to the other."""
ENCODINGS = ("balanced", "offset")
"""Of those, all devices of a weight can move both ways."""
PULSING: tuple[Update, ...] = (StochasticPulses(), MixedPrecision(), TwoArrays(rest_pulses=3))
Floats = NDArray[np.float64]


def pulsed_device(**changes: Any) -> Device:
    fields: dict[str, Any] = {"g_min_s": 0.0, "g_max_s": G_MAX, "zero_s": G_MAX / 2, "step_s": G_MAX / STEPS}
    return replace(IDEAL, pulses=LinearStep(**(fields | changes)))


def small_tiles(encoding: str) -> Design:
    """Tiles so small that a matrix of 5 x 7 takes several."""
    return replace(EXACT, encoding=encoding, rows=4, columns=6)


def matrix_of(
    device: Device, encoding: str = "balanced", shape: tuple[int, int] = (5, 7), seed: int = 0
) -> TiledMatrix:
    """Weights in +-0.5, on devices whose range stands for +-1."""
    weight = np.random.default_rng(seed).uniform(-0.5, 0.5, shape)
    return TiledMatrix(weight, Fabrication(device, small_tiles(encoding), seed=(seed,)), largest=1.0)


def as_outer(change: Floats, largest: float) -> Outer:
    """Any matrix is a sum of outer products: one per input. `largest` is what 1 in it stands for."""
    inputs = change.shape[1]
    return Outer(np.eye(inputs, dtype=np.float32), (change / largest).T.astype(np.float32), largest)


def random_outer(rng: np.random.Generator, shape: tuple[int, int], count: int, factor: float) -> Outer:
    below = rng.uniform(-1, 1, (count, shape[1])).astype(np.float32)
    return Outer(below, rng.uniform(-1, 1, (count, shape[0])).astype(np.float32), factor)


def writes_of(matrix: TiledMatrix) -> int:
    return int(sum(tile.array.writes.sum() for tile in matrix.tiles))
