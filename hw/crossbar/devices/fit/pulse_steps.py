"""The response to single pulses: `pulses.LinearStep` fitted to sequences of pulses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Curve
from hw.crossbar.devices.fit.measurements import Measured, grouped
from hw.crossbar.devices.fit.residuals import Points
from hw.crossbar.devices.pulses import LinearStep

BINS = 8
"""Of the picture and the residuals: steps are shown as means over as many parts of the range."""
ROUNDS = 20
"""Of the fit of the law to the devices, and of the devices to the law."""
FEWEST = 8
"""Pulses in either direction that a device needs."""


def fit_pulses(lines: list[Measured], range_s: tuple[float, float], fresh: Curve) -> tuple[LinearStep, list[Points]]:
    """Step, its slope towards the bounds, and its spread from device to device and from pulse to pulse.

    By least squares of dG = step (1 - gamma w / b) in either direction, w from the middle of the range. `cycle` is what
    remains, less the two reads that a difference holds; `step_dtod` the spread of the devices' own steps, less its
    error. Bounds are those of the range: how far pulses alone would go is not seen in them.
    """
    low_s, high_s = range_s
    zero_s = (low_s + high_s) / 2
    before, change, up, owner = _steps(lines)
    signed, half_s = np.where(up, change, -change), high_s - zero_s
    names, place = np.unique(owner, return_inverse=True)
    gains = np.ones(len(signed))
    for _ in range(ROUNDS):
        # a device of large steps goes further: what is seen at the ends is its, and has to be divided by its gain
        fitted = {
            rising: _line(before, signed / gains, up == rising, rising, zero_s, half_s) for rising in (True, False)
        }
        law = _step(before, up, fitted, zero_s, half_s)
        own = np.bincount(place, signed * law) / np.bincount(place, law**2)
        own /= own.mean()
        gains = own[place]
    (up_s, gamma_up), (down_s, gamma_down) = fitted[True], fitted[False]
    step_s = max(up_s, down_s)
    unit_s = gains * np.where(up, up_s, down_s)  # what the law multiplies the variation of a pulse by
    rest = signed - gains * law
    freedom = len(rest) / max(len(rest) - len(names), 1)
    reads = 2 * float(np.mean((fresh(before) / unit_s) ** 2))
    cycle = float(np.sqrt(max(np.mean((rest / unit_s) ** 2) * freedom - reads, 0.0)))
    counts = np.bincount(place)
    between = own.var(ddof=1) - float(np.mean((rest / law).var() / counts)) if len(names) > 1 else 0.0
    response = LinearStep(
        g_min_s=low_s,
        g_max_s=high_s,
        zero_s=zero_s,
        step_s=step_s,
        up_down=1 - down_s / up_s if up_s >= down_s else up_s / down_s - 1,
        step_dtod=float(np.sqrt(max(between, 0.0))),
        cycle=cycle,
        gamma_up=gamma_up,
        gamma_down=gamma_down,
        multiplicative=False,
    )
    return response, [_binned(before[up == r], (signed / gains)[up == r], law[up == r], r) for r in (True, False)]


def _steps(lines: list[Measured]) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.str_]]:
    """Conductance before, change, direction and device of every pulse."""
    before, change, up, owner = [], [], [], []
    for name, own in grouped(lines, lambda one: one.device).items():
        for last, now in pairwise(own):
            if now.pulse != 0:
                before.append(last.g_s)
                change.append(now.g_s - last.g_s)
                up.append(now.pulse > 0)
                owner.append(name)
    rising = np.array(up, bool)
    for count, word in ((rising.sum(), "up"), ((~rising).sum(), "down")):
        if count < FEWEST:
            raise ValueError(f"pulse: {count} pulses {word}, expected {FEWEST} or more in either direction")
    return np.array(before), np.array(change), rising, np.array(owner)


def _line(
    before: Array, change: Array, chosen: NDArray[np.bool_], rising: bool, zero_s: float, half_s: float
) -> tuple[float, float]:
    """Step at `zero_s` and gamma in one direction."""
    way = (1 if rising else -1) * (before[chosen] - zero_s) / half_s
    slope, level = np.polyfit(way, change[chosen], 1)
    if level <= 0:
        raise ValueError(f"pulse: pulses {'up' if rising else 'down'} move devices the other way, by {-level:g} S")
    # a step that grows towards its bound has no gamma: the law holds it constant, and the residuals show it
    return float(level), max(float(-slope / level), 0.0)


def _step(
    before: Array, up: NDArray[np.bool_], fitted: dict[bool, tuple[float, float]], zero_s: float, half_s: float
) -> Array:
    """Mean step of the law, positive, at least a thousandth of the step in the middle."""
    level, gamma = (np.where(up, fitted[True][k], fitted[False][k]) for k in range(2))
    way = np.where(up, 1, -1) * (before - zero_s) / half_s
    return np.asarray(level * np.maximum(1 - gamma * way, 1e-3))


def _binned(before: Array, change: Array, law: Array, rising: bool) -> Points:
    """Means over parts of the range with their standard errors."""
    edges = np.linspace(before.min(), before.max(), BINS + 1)
    place = np.clip(np.searchsorted(edges, before, side="right") - 1, 0, BINS - 1)
    filled = [k for k in range(BINS) if (place == k).sum() > 1]

    def mean(values: Array) -> Array:
        return np.array([values[place == k].mean() for k in filled])

    error = np.array([change[place == k].std(ddof=1) / np.sqrt((place == k).sum()) for k in filled])
    return Points(f"step {'up' if rising else 'down'}", "S", mean(before), mean(change), error, mean(law))
