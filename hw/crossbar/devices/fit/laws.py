"""Laws fitted to measurements, each with the points it was fitted to.

Spreads are polynomials of up to second order in x = g / g_max, as in Joshi et al. 2020 and Nandakumar et al. 2019, by
least squares with the standard error of every point, sigma / sqrt(2 (n - 1)), as its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Array, Curve, Device
from hw.crossbar.devices.fit.measurements import Measured, grouped
from hw.crossbar.devices.fit.pulse_steps import fit_pulses
from hw.crossbar.devices.fit.residuals import Points
from hw.crossbar.devices.retention import PowerLawDrift

MOST_ORDER = 2


@dataclass(frozen=True)
class Named:
    """What measurements do not say of a device."""

    name: str
    source: str
    read_v: float
    read_s: float
    assumed: str = ""


@dataclass(frozen=True)
class Fit:
    """A device, and the measured points beside it."""

    device: Device
    points: tuple[Points, ...]


def fit_device(measured: Sequence[Measured], named: Named) -> Fit:
    """The device of the measurements.

    The range is that of the targets. Without `read` lines it has no read noise, without `drift` no retention, without
    `pulse` no response to pulses, and `assumed` says so.

    Raises:
        ValueError: too few measurements of a kind; the message says which and how many are needed.
    """
    by_kind = {kind: [one for one in measured if one.kind == kind] for kind in ("program", "drift", "read", "pulse")}
    targets = sorted({one.target_s for one in by_kind["program"]})
    if len(targets) < 2:
        raise ValueError(f"program: {len(targets)} different target_s, expected 2 or more: they are the range")
    low_s, high_s = targets[0], targets[-1]
    programming, programmed = _programming(by_kind["program"], high_s)
    points, missing = [programmed], []
    fresh: Curve = ConstantCurve(0.0)
    retention, pulses = None, None
    if by_kind["read"]:
        fresh, read = _fresh(by_kind["read"], high_s)
        points.append(read)
    else:
        missing.append("no read noise was measured, it is taken as 0")
    if by_kind["drift"]:
        retention, drifted = _drift(by_kind["drift"], high_s)
        points += drifted
    if by_kind["pulse"]:
        pulses, stepped = fit_pulses(by_kind["pulse"], (low_s, high_s), fresh)
        points += stepped
    assumed = "; ".join(text for text in (named.assumed, *missing) if text)
    device = Device(
        named.name, named.source, low_s, high_s, named.read_v, named.read_s, programming, fresh, retention,
        pulses=pulses, assumed=assumed,
    )  # fmt: skip
    return Fit(device, tuple(points))


def _programming(lines: list[Measured], high_s: float) -> tuple[Curve, Points]:
    """Root mean square distance from the target, which holds what programming misses on average too."""
    x, y, error = [], [], []
    for target_s, own in sorted(grouped(lines, lambda one: one.target_s).items()):
        off = np.array([one.g_s - target_s for one in own])
        if len(off) < 3:
            raise ValueError(f"program: {len(off)} devices at target_s {target_s:g}, expected 3 or more")
        sigma = float(np.sqrt(np.mean(off**2)))
        x.append(target_s)
        y.append(sigma)
        error.append(sigma / np.sqrt(2 * len(off)))
    points = Points("programming", "S", np.array(x), np.array(y), np.array(error))
    return _spread(points, high_s)


def _fresh(lines: list[Measured], high_s: float) -> tuple[Curve, Points]:
    """Standard deviation of the reads of every device, by its mean conductance."""
    x, y, error = [], [], []
    for name, own in grouped(lines, lambda one: one.device).items():
        g_s = np.array([one.g_s for one in own])
        if len(g_s) < 3:
            raise ValueError(f"read: {len(g_s)} reads of device {name}, expected 3 or more")
        sigma = float(g_s.std(ddof=1))
        x.append(g_s.mean())
        y.append(sigma)
        error.append(sigma / np.sqrt(2 * (len(g_s) - 1)))
    order = np.argsort(x)
    points = Points("read noise", "S", np.array(x)[order], np.array(y)[order], np.array(error)[order])
    return _spread(points, high_s)


def _drift(lines: list[Measured], high_s: float) -> tuple[PowerLawDrift, list[Points]]:
    """nu = -d ln G / d ln t of every device; the spread of nu is what the errors of the slopes do not explain.

    Time 0 is the earliest measurement, t0 after the last write pulse.
    """
    t0_s, last_s = min(one.seconds for one in lines), max(one.seconds for one in lines)
    if not last_s > t0_s:
        raise ValueError(f"drift: all lines are at {t0_s:g} s, expected two or more times")
    slopes: dict[float, list[tuple[float, float]]] = {}
    for (name, target_s), own in grouped(lines, lambda one: (one.device, one.target_s)).items():
        if len({one.seconds for one in own}) < 3:
            raise ValueError(f"drift: device {name} at target_s {target_s:g} has fewer than 3 different seconds")
        if min(one.g_s for one in own) <= 0:
            raise ValueError(f"drift: device {name} was read as 0 S, a power law of time never is")
        slopes.setdefault(target_s, []).append(_slope(own))
    mean, spread, mean_error, spread_error = [], [], [], []
    for target_s, found in sorted(slopes.items()):
        if len(found) < 3:
            raise ValueError(f"drift: {len(found)} devices at target_s {target_s:g}, expected 3 or more")
        nu, error = np.array(found).T
        variance = nu.var(ddof=1)
        mean.append(nu.mean())
        mean_error.append(np.sqrt(variance / len(nu)))
        spread.append(np.sqrt(max(variance - np.mean(error**2), 0.0)))
        spread_error.append(np.sqrt(variance / (2 * (len(nu) - 1))))
        if mean[-1] + 3 * mean_error[-1] < 0:
            raise ValueError(
                f"drift: at target_s {target_s:g} nu is {mean[-1]:.3g}: conductance rises; a power law only falls, use "
                "kind = 'broadening' in a device file"
            )
    x = np.array(sorted(slopes))
    nu_mean, means = _spread(Points("drift exponent, mean", "", x, np.array(mean), np.array(mean_error)), high_s)
    nu_sigma, spreads = _spread(
        Points("drift exponent, spread", "", x, np.array(spread), np.array(spread_error)), high_s
    )
    return PowerLawDrift(nu_mean, nu_sigma, t0_s, last_s - t0_s), [means, spreads]


def _slope(lines: list[Measured]) -> tuple[float, float]:
    """nu of one device and its standard error."""
    x, y = np.log([one.seconds for one in lines]), np.log([one.g_s for one in lines])
    x = x - x.mean()
    slope = float((x * (y - y.mean())).sum() / (x**2).sum())
    rest = y - y.mean() - slope * x
    return -slope, float(np.sqrt((rest**2).sum() / max(len(x) - 2, 1) / (x**2).sum()))


def _spread(points: Points, high_s: float) -> tuple[Curve, Points]:
    """The polynomial, never below 0, and the points with it."""
    order = min(MOST_ORDER, len(points.x) - 1)
    floor = 1e-3 * max(float(np.abs(points.y).max()), 1e-12)  # a point without spread has no infinite weight
    unit = float(np.abs(points.y).max()) or 1.0
    weights = unit / np.maximum(points.error, floor)
    coefficients: Array = np.polynomial.polynomial.polyfit(points.x / high_s, points.y / unit, order, w=weights)
    curve = Polynomial(tuple(coefficients.tolist()), reference_s=high_s, unit=unit, low=0.0)
    return curve, replace(points, fitted=curve(points.x))
