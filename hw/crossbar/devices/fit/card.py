"""The card of a device: the same four pictures of every device, published, fitted or one's own.

python -m hw.crossbar.devices.fit.card all --output cards      a PNG for every preset
python -m hw.crossbar.devices.fit.card mine.toml --output card.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw.crossbar.devices import curves
from hw.crossbar.devices.device import Array, Curve, Device
from hw.crossbar.devices.device_file import load_device
from hw.crossbar.devices.fit.cited import NO_POINTS, PROGRAMMING, Cited
from hw.crossbar.devices.fit.residuals import Points
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.retention import Broadening

US = 1e6
TIMES = (("1 s", 1.0), ("1 h", 3600.0), ("1 day", 86400.0), ("30 days", 30 * 86400.0))
DEVICES = 400
"""Devices drawn for the spread of retention."""
BLUE, RED, GREEN, GREY = "#4477aa", "#ee6677", "#228833", "#bbbbbb"


def draw_card(device: Device, points: Sequence[Points], file: Path) -> None:
    """Spread of programming, of reads, conductance after a time, and the steps of pulses, with measured points."""
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        axes = figure.subplots(2, 2)
        measured = {one.name: one for one in points}
        g_s = np.linspace(device.g_min_s, device.g_max_s, 201)
        cited = PROGRAMMING.get(device.name) if PRESETS.get(device.name) == device else None
        _spread(axes[0, 0], "programming", device.programming, g_s, measured.get("programming"), cited)
        _spread(axes[0, 1], "read noise", device.read_sigma_s, g_s, measured.get("read noise"))
        _retention(axes[1, 0], device, measured.get("drift exponent, mean"))
        _pulses(axes[1, 1], device, g_s, measured)
        figure.suptitle(f"{device.name}: {device.g_min_s * US:g} to {device.g_max_s * US:g} µS", weight="bold")
        about = device.source if not device.assumed else f"{device.source}\nassumed: {device.assumed}"
        figure.supxlabel(about, fontsize=6, wrap=True)
        for each in axes.flat:
            each.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, dpi=130)


def _spread(
    axes: Axes, title: str, curve: Any, g_s: Array, measured: Points | None, cited: Cited | None = None
) -> None:
    known = measured_in(curve)
    bare = measured is None and known is None and cited is None
    axes.plot(g_s * US, curve(g_s) * US, color=BLUE, label=f"formula of the source; {NO_POINTS}" if bare else "law")
    if known is not None:
        axes.plot(known[0] * US, known[1] * US, "o", color=RED, markersize=4, label="published points")
    if cited is not None:
        cited_g_s, sigma_s = cited.siemens()
        axes.plot(cited_g_s * US, sigma_s * US, "s", color=GREEN, markersize=5, label=cited.source)
    if measured is not None:
        _measured(axes, measured, RED)
    axes.set(xlabel="conductance, µS", ylabel="standard deviation, µS", title=title)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=7)


def measured_in(curve: Curve) -> tuple[Array, Array] | None:
    """The points of a law that is measured points joined by lines; None for one that is a formula."""
    return (np.array(curve.g_s), np.array(curve.value)) if isinstance(curve, curves.Points) else None


def _measured(axes: Axes, one: Points, colour: str) -> None:
    axes.errorbar(one.x * US, one.y * US, one.error * US, fmt="o", color=colour, markersize=4, label=_told(one))


def _told(points: Points) -> str:
    return f"measured; the law is {points.rms:.1%} off, at most {points.worst:.1f} standard errors"


def _retention(axes: Axes, device: Device, measured: Points | None) -> None:
    """Mean and spread of the change of conductance, over the range, after times that the source covers."""
    axes.set(xlabel="target, µS", ylabel="change since programming, µS", title="retention")
    if device.retention is None:
        axes.text(0.5, 0.5, "none published", transform=axes.transAxes, ha="center", color=GREY)
        return
    law = device.retention
    target_s = np.linspace(device.g_min_s, device.g_max_s, 15)
    many: Array = np.repeat(target_s[:, None], DEVICES, axis=1)
    rng = np.random.default_rng(0)
    reached: Array = many + device.programming(many) * rng.standard_normal(many.shape)
    drawn = law.draw(many, rng)
    if isinstance(law, Broadening):
        times = tuple((f"{t:g} s, measured", t) for t in law.seconds)
    else:
        times = tuple((name, t) for name, t in TIMES if t <= law.longest_s)
        times = times or ((f"{law.longest_s:g} s", law.longest_s),)
    for (name, seconds), colour in zip(times, (BLUE, RED, GREEN, "#aa3377", "#ccbb44", "#66ccee"), strict=False):
        change = (law.conductance(many, reached, drawn, seconds) - reached) * US
        axes.errorbar(target_s * US, change.mean(1), change.std(1), color=colour, capsize=2, label=name)
    if measured is not None:
        axes.plot([], [], " ", label=f"drift exponents: {_told(measured)}")
    elif not isinstance(law, Broadening):
        axes.plot([], [], " ", label=f"formula of the source; {NO_POINTS}")
    axes.legend(frameon=False, fontsize=7)


def _pulses(axes: Axes, device: Device, g_s: Array, measured: dict[str, Points]) -> None:
    """Mean step of a pulse up and down, over the range."""
    axes.set(xlabel="conductance, µS", ylabel="step of one pulse, µS", title="write pulses")
    if device.pulses is None:
        axes.text(0.5, 0.5, "none published", transform=axes.transAxes, ha="center", color=GREY)
        return
    mean = device.pulses.scaled(0.0)
    rng = np.random.default_rng(0)
    drawn = mean.draw(g_s.shape, rng)
    for up, colour in ((True, BLUE), (False, GREEN)):
        name = f"step {'up' if up else 'down'}"
        moved = np.abs(mean.pulse(g_s, np.full(g_s.shape, up), drawn, rng) - g_s)
        axes.plot(g_s * US, moved * US, color=colour, label=name)
        if name in measured:
            _measured(axes, measured[name], colour)
    if not measured.keys() & {"step up", "step down"}:
        axes.plot([], [], " ", label=f"formula of the source; {NO_POINTS}")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=7)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the card of a preset or a device file, or of all presets."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 3 or given[1] != "--output":
        print("usage: python -m hw.crossbar.devices.fit.card NAME|FILE|all --output PNG|DIR", file=sys.stderr)
        return 2
    name, output = given[0], Path(given[2])
    try:
        if name == "all":
            wanted = {output / f"{known}.png": device for known, device in PRESETS.items()}
        else:
            is_file = Path(name).suffix in (".toml", ".json")
            wanted = {output: load_device(name) if is_file else preset(name)}
            if output.suffix != ".png":
                raise ValueError(f"--output is {str(output)!r}, a picture ends in .png")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        for file, device in wanted.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            draw_card(device, (), file)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(wanted)} card{'s' if len(wanted) > 1 else ''} in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
