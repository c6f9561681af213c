"""The pictures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, ScalarFormatter

from bench.records.row import Row
from bench.records.statistics import accuracy_interval, estimate_of_dies
from bench.reports.colours import COLOURS, MANY_COLOURS
from models.files.whole import write_atomically

LINE_FROM = 3
"""Points that make a line: two make none."""
EVENTS = (("reads", "reads of tiles"), ("dac", "conversions to analog"), ("adc", "conversions to digital"))
"""What crossbars do, in place of synaptic operations."""


def draw_settling(rows: list[Row], file: Path) -> None:
    """Accuracy against step with intervals, and what machines do for it: synaptic operations of each step, of crossbars
    reads and conversions."""
    stepped = [row for row in rows if row.by_step and "times_s" not in row.by_step]
    timed = [row for row in rows if row.by_step and "times_s" in row.by_step]
    sending = [row for row in stepped if row.synops is not None and not tiles_of(row)]  # the reference always is one
    sender = next((row for row in sending if row.precision != "float"), None)
    crossbars = [row for row in rows if tiles_of(row)]
    work = [sender] if sender or not crossbars else []
    panels = 1 + bool(timed) + len(work) + bool(crossbars)
    figure = new_figure(4.6 * panels + 0.4, 4.0)
    first, *others = figure.subplots(1, panels, squeeze=False)[0]
    _draw_decisions(first, stepped, "step")
    if timed:
        _draw_decisions(others.pop(0), timed, "seconds of the machine")
    if work:
        _draw_work(others.pop(0), sender or sending[0])
    if crossbars:
        _draw_events(others.pop(0), crossbars)
    figure.suptitle(f"How fast the network decides: {subject(rows)}", fontsize="large")
    save_figure(figure, file)


def subject(rows: Sequence[Row]) -> str:
    """What a picture is of: network, device, dies, images."""
    models = dict.fromkeys(row.model for row in rows)
    devices = dict.fromkeys(str(row.point["device"]) for row in rows if row.point and "device" in row.point)
    dies = dict.fromkeys(len(dies_of(row)) for row in rows if dies_of(row))
    images = dict.fromkeys(row.images for row in rows if row.images)
    parts = [next(iter(models)) if len(models) == 1 else f"{len(models)} networks"]
    parts += [] if not devices else [next(iter(devices)) if len(devices) == 1 else f"{len(devices)} devices"]
    parts += [f"{count} {'die' if count == 1 else 'dies'}" for count in list(dies)[:1]]
    return ", ".join([*parts, *(f"{count:,} images" for count in list(images)[:1])])


def dies_of(row: Row) -> list[float]:
    """Accuracy of every die; none on machines without."""
    return list(row.details.get(row.backend, {}).get("accuracy_by_die") or ())


def tiles_of(row: Row) -> dict[str, Any]:
    """What the tiles of a crossbar did; nothing on other machines."""
    return dict(row.details.get(row.backend, {}).get("tiles") or {})


def intervals_of(row: Row) -> list[tuple[float, float]]:
    """Of the accuracy at every step; of rows that kept none, as if dies differed there as they do at the end."""
    curve, images, dies = row.by_step or {}, row.images or 1, dies_of(row)
    if "accuracy_ci95" in curve:
        return [(low, high) for low, high in curve["accuracy_ci95"]]
    if len(dies) < 2:
        return [accuracy_interval(round(share * images), images) for share in curve["accuracy"]]
    mean = fmean(dies)
    moved = [[min(1.0, max(0.0, die + share - mean)) for die in dies] for share in curve["accuracy"]]
    return [estimate_of_dies(shares, images).interval for shares in moved]


def _draw_decisions(axes: Axes, rows: list[Row], along: str) -> None:
    """Accuracy on the way to rest, on a logarithmic axis: most of it happens in the first steps."""
    for row, colour, dashes in zip(rows, COLOURS, _dashes(), strict=False):
        curve = row.by_step or {}
        places = curve.get("times_s", range(1, len(curve["accuracy"]) + 1))
        accuracy = [100 * value for value in curve["accuracy"]]
        low, high = zip(*intervals_of(row), strict=True)
        axes.plot(places, accuracy, color=colour, label=row.name, linestyle=dashes, linewidth=1.8)
        axes.fill_between(
            places, [100 * end for end in low], [100 * end for end in high], color=colour, alpha=0.1, linewidth=0
        )
    axes.set(xscale="log", xlabel=along, ylabel="accuracy, %", ylim=(0, 101), title="bands: 95 % intervals")
    _plain_numbers(axes, along)
    axes.legend(frameon=False, loc="lower right")


def _draw_work(axes: Axes, row: Row) -> None:
    """Synaptic operations that each step consumes, under each coding."""
    for (coding, title), colour in zip(
        (("dense", "every state"), ("zero_skip", "states that are not zero"), ("delta", "states that changed")),
        COLOURS,
        strict=False,
    ):
        values = (row.by_step or {})[f"synops_{coding}"]
        axes.plot(range(1, len(values) + 1), values, color=colour, label=title, linewidth=1.8)
    axes.set_yscale("symlog", linthresh=100)
    axes.set(
        xscale="log",
        xlabel="step",
        ylabel="synaptic operations per image and step",
        ylim=(0, None),
        title=f"work of a step, by what is sent ({row.name})",
    )
    _plain_numbers(axes, "step")
    axes.legend(frameon=False)


def _draw_events(axes: Axes, rows: list[Row]) -> None:
    """What tiles do for an image, all links and both directions together."""
    for row, colour in zip(rows, COLOURS, strict=False):
        counts = [sum(map(sum, tiles_of(row)[name])) for name, _ in EVENTS]
        axes.plot(counts, range(len(EVENTS)), "o", color=colour, label=row.name)
    axes.set_yticks(range(len(EVENTS)), [title for _, title in EVENTS])
    axes.set_ylim(len(EVENTS) - 0.5, -0.5)
    axes.set(xscale="log", xlabel="per image", title="work of dies")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False)


def draw_energy(rows: list[Row], file: Path) -> bool:
    """Modelled energy of every machine and profile, and where it goes; False if no row has such a cost.

    Left, nominal with low to high on one logarithmic axis; right, shares of the nominal.
    """
    priced = [(f"{row.name}, {profile}", cost) for row in rows for profile, cost in row.costs.items()]
    if not priced:
        return False
    parts = list(dict.fromkeys(part for _, cost in priced for part in cost["breakdown_j"]))
    figure = new_figure(10.0, 1.6 + 0.36 * len(priced) + 0.08 * len(parts))
    left, right = figure.subplots(1, 2, sharey=True)
    for place, (_, cost) in enumerate(priced):
        joules = cost["energy_j"]
        left.plot([joules["low"], joules["high"]], [place, place], color=COLOURS[0], linewidth=2)
        left.plot(joules["nominal"], place, "o", color=COLOURS[0])
    left.set(xscale="log", xlabel="modelled energy per image, J: nominal, low to high")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    left.grid(axis="x", alpha=0.3)
    left.set_yticks(range(len(priced)), [name for name, _ in priced])
    left.set_ylim(len(priced) - 0.5, -0.5)
    ends = [0.0] * len(priced)
    for part, colour in zip(parts, cycle(MANY_COLOURS), strict=False):
        shares = [100 * cost["breakdown_j"].get(part, 0.0) / sum(cost["breakdown_j"].values()) for _, cost in priced]
        right.barh(range(len(priced)), shares, 0.6, left=ends, color=colour, label=part)
        ends = [end + share for end, share in zip(ends, shares, strict=True)]
    right.set(xlabel="where the nominal energy goes, %", xlim=(0, 100))
    figure.legend(*right.get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside lower center", ncols=6)
    figure.suptitle(f"Energy: {subject(rows)}", fontsize="large")
    save_figure(figure, file)
    return True


def new_figure(width: float, height: float) -> Figure:
    # no pyplot: it keeps figures in a global list and wants a display
    with mpl.rc_context({"font.size": 9}):
        return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, file: Path) -> None:
    """Write it as PNG and, beside it, as SVG, without frames around the axes."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "ep-hardware"}):  # the same picture has the same bytes
        for path, about in ((file.with_suffix(".png"), {}), (file.with_suffix(".svg"), {"Date": None})):
            picture = BytesIO()
            figure.savefig(picture, format=path.suffix.removeprefix("."), dpi=150, metadata=about)
            figure.set_layout_engine("none")  # the drawing is laid out as the picture is: that takes as long as both
            write_atomically(path, picture.getvalue())


def _plain_numbers(axes: Axes, along: str) -> None:
    """Steps as 1, 10, 40 rather than as powers."""
    if along == "step":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())


def _dashes() -> list[str | tuple[int, tuple[int, ...]]]:
    """Lines that lie on each other stay visible through the gaps."""
    return ["-", (0, (6, 2)), (0, (4, 3)), (0, (2, 3)), "-.", ":"]
