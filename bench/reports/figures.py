"""The pictures of a run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records.row import Row
from bench.reports.colours import COLOURS
from models.files.whole import write_atomically

ENERGIES = (("J", 1.0), ("mJ", 1e3), ("µJ", 1e6), ("nJ", 1e9), ("pJ", 1e12))
"""Units of energy, and how many of them make a joule."""


def draw_settling(rows: list[Row], file: Path) -> None:
    """Accuracy against step, and synaptic operations that each step consumed under each coding."""
    stepped = [row for row in rows if row.by_step and "times_s" not in row.by_step]
    timed = [row for row in rows if row.by_step and "times_s" in row.by_step]
    figure = new_figure(9.5 if not timed else 13.5, 3.8)
    left, right, *others = figure.subplots(1, 2 if not timed else 3)
    _draw_decisions(left, stepped, "step")
    for axes in others:
        _draw_decisions(axes, timed, "seconds of the machine")
    sending = [row for row in stepped if row.synops is not None]  # the reference always is one
    _draw_work(right, next((row for row in sending if row.precision != "float"), sending[0]))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    save_figure(figure, file)


def _draw_decisions(axes: Axes, rows: list[Row], along: str) -> None:
    """Accuracy on the way to rest."""
    for row, colour, dashes in zip(rows, COLOURS, _dashes(), strict=False):
        curve = row.by_step or {}
        places = curve.get("times_s", range(1, len(curve["accuracy"]) + 1))
        accuracy = [100 * value for value in curve["accuracy"]]
        axes.plot(places, accuracy, color=colour, label=row.name, linestyle=dashes, linewidth=1.8)
    axes.set(xlabel=along, ylabel="accuracy, %", ylim=(0, 101), title="How fast the network decides")
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
        xlabel="step",
        ylabel="synaptic operations per image and step",
        ylim=(0, None),
        title=f"Work of a step, by what is sent ({row.name})",
    )
    axes.legend(frameon=False)


def draw_energy(rows: list[Row], file: Path) -> bool:
    """Where the modelled energy goes, by machine and profile; False if no row has such a cost."""
    priced = [(f"{row.name}\n{profile}", cost) for row in rows for profile, cost in row.costs.items()]
    families = dict.fromkeys(tuple(cost["breakdown_j"]) for _, cost in priced)
    kinds = [
        (parts, [(name, cost) for name, cost in priced if tuple(cost["breakdown_j"]) == parts]) for parts in families
    ]
    if not kinds:
        return False
    figure = new_figure(max(6.0, 1.5 * sum(len(bars) for _, bars in kinds) + 1.5), 4.0)
    many = figure.subplots(1, len(kinds), squeeze=False, width_ratios=[len(bars) for _, bars in kinds])[0]
    for axes, (parts, bars) in zip(many, kinds, strict=True):
        _stack(axes, parts, bars)
    # one title for all: a panel of two bars has no room for it
    figure.suptitle("Where the energy goes: nominal (low to high)", fontsize="large")
    save_figure(figure, file)
    return True


def unit_of(energy_j: float) -> tuple[str, float]:
    """The largest unit that the energy is at least one of, and how many of them make a joule."""
    return next((unit for unit in ENERGIES if energy_j * unit[1] >= 1), ENERGIES[-1])


def short(value: float) -> str:
    """Three digits, and from a thousand on whole numbers: 0.0123, 46.8, 1,099."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def _stack(axes: Axes, parts: tuple[str, ...], bars: list[tuple[str, dict[str, Any]]]) -> None:
    unit, per_j = unit_of(max(sum(cost["breakdown_j"].values()) for _, cost in bars))
    bottom = [0.0] * len(bars)
    for part, colour in zip(parts, COLOURS, strict=False):
        values = [per_j * cost["breakdown_j"][part] for _, cost in bars]
        axes.bar(range(len(bars)), values, 0.6, bottom=bottom, color=colour, label=part)
        bottom = [below + value for below, value in zip(bottom, values, strict=True)]
    for place, (top, (_, cost)) in enumerate(zip(bottom, bars, strict=True)):
        low, high = (per_j * cost["energy_j"][end] for end in ("low", "high"))
        axes.annotate(
            f"{short(top)}\n({short(low)} to {short(high)})",
            (place, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    axes.margins(y=0.15)
    axes.set_xticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylabel(f"modelled energy per image, {unit}")
    # below the bars: a panel of one bar has no room beside it
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def new_figure(width: float, height: float) -> Figure:
    # no pyplot: it keeps figures in a global list and wants a display
    with mpl.rc_context({"font.size": 9}):
        return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, file: Path) -> None:
    """Write it, without frames around the axes."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    picture = BytesIO()
    figure.savefig(picture, format=file.suffix.removeprefix("."), dpi=150)
    write_atomically(file, picture.getvalue())


def _dashes() -> list[str | tuple[int, tuple[int, ...]]]:
    """Lines that lie on each other stay visible through the gaps."""
    return ["-", (0, (6, 2)), (0, (4, 3)), (0, (2, 3)), "-.", ":"]
