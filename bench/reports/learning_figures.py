"""The picture of a learning run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.records.learning_row import LearningRow
from bench.records.statistics import estimate_of_dies, mean_interval
from bench.reports.colours import COLOURS
from bench.reports.figures import LINE_FROM, new_figure, save_figure
from bench.reports.lessons import cosines, groups, point_title
from bench.studies.repair import ARMS

APART = 0.08
"""Of an epoch, between series."""
LIMIT = 4
"""Panels beside each other; further points of a sweep are in the report's tables."""


def draw_learning(rows: list[LearningRow], file: Path) -> None:
    """Accuracy against epochs, or cosine against beta, one panel per point."""
    panels = (_machines(rows) if rows[0].learn == "scratch" else groups(rows))[:LIMIT]
    figure = new_figure(max(6.0, 4.4 * len(panels)), 3.8)
    many = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    draw = {"repair": _repair, "scratch": _scratch, "beta": _beta}[rows[0].learn]
    for axes, (title, group) in zip(many, panels, strict=True):
        draw(axes, group)
        axes.set_title(_title(title, group), fontsize=9)
    for axes in many if rows[0].learn == "scratch" else many[:1]:
        axes.legend(frameon=False, fontsize=8)
    save_figure(figure, file)


def _title(title: str, rows: list[LearningRow]) -> str:
    """With the network and the number of dies."""
    dies = len({row.die for row in rows if row.die is not None})
    return ", ".join([*([rows[0].model] if rows[0].model else []), title, *([f"{dies} dies"] if dies else [])])


def _machines(rows: list[LearningRow]) -> list[tuple[str, list[LearningRow]]]:
    """A panel for machines that compute step by step, and one for every kind of die."""
    panels: dict[str, list[LearningRow]] = {}
    for row in rows:
        panels.setdefault("from scratch" if row.point is None else point_title(row), []).append(row)
    return list(panels.items())


def _repair(axes: Axes, rows: list[LearningRow]) -> None:
    axes.axhline(100 * (rows[0].float_accuracy or 0.0), color="#000000", linewidth=0.8, label="float network")
    for number, (arm, colour) in enumerate(zip(ARMS, COLOURS, strict=False)):
        if arm in (rows[0].arms or {}):
            _course(axes, [row.arms[arm]["accuracy"] for row in rows if row.arms], rows[0].images, colour, number, arm)
    _epochs(axes, "epochs on the die")


def _scratch(axes: Axes, rows: list[LearningRow]) -> None:
    for number, (_, group) in enumerate(groups(rows)):
        colour = COLOURS[number % len(COLOURS)]
        name = group[0].update or f"{group[0].backend} {group[0].precision}"
        # a machine and its reference lie on each other: gaps in one show the other
        dashes = "--" if group[0].backend == "lava" else "-"
        curves = [(row.curve or {})["accuracy"] for row in group]
        _course(axes, curves, group[0].images, colour, number, name, dashes)
    _epochs(axes, "epochs")


def _course(
    axes: Axes, curves: Sequence[Sequence[float]], images: int, colour: str, number: int, name: str, dashes: str = "-"
) -> None:
    """Means over dies with 95 % intervals, every die a dot beside them; a line where there are points enough."""
    length = min(map(len, curves))
    made = [estimate_of_dies([curve[epoch] for curve in curves], images) for epoch in range(length)]
    heights = [100 * one.share for one in made]
    below = [100 * (one.share - one.interval[0]) for one in made]
    above = [100 * (one.interval[1] - one.share) for one in made]
    places = [epoch + APART * number for epoch in range(length)]
    form = f"o{dashes}" if length >= LINE_FROM else "o"
    style: dict[str, Any] = {"color": colour, "markersize": 3, "linewidth": 1.4, "capsize": 2}
    axes.errorbar(places, heights, (below, above), fmt=form, label=name, **style)
    if len(curves) > 1:
        dots = [(place + APART / 2, 100 * curve[epoch]) for epoch, place in enumerate(places) for curve in curves]
        across, up = zip(*dots, strict=True)
        axes.scatter(across, up, s=6, color=colour, alpha=0.5, linewidths=0)


def _epochs(axes: Axes, name: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=name, ylabel="accuracy, %", ylim=(0, 101))


def _beta(axes: Axes, rows: list[LearningRow]) -> None:
    """Means over dies with Student's 95 % intervals, every die a dot beside them."""
    entries = rows[0].cosines or []
    betas = list(dict.fromkeys(entry["beta"] for entry in entries))
    for number, remedy in enumerate(dict.fromkeys(entry["remedy"] for entry in entries)):
        colour = COLOURS[number % len(COLOURS)]
        by_beta = [cosines(rows, remedy, beta) for beta in betas]
        made = [mean_interval(values) for values in by_beta]
        means = [mean for mean, _ in made]
        bars = [[mean - low for mean, (low, _) in made], [high - mean for mean, (_, high) in made]]
        places = [beta * 1.05**number for beta in betas]
        axes.errorbar(places, means, bars, fmt="o-", color=colour, markersize=3, linewidth=1.4, capsize=2, label=remedy)
        dots = [(1.02 * place, value) for place, values in zip(places, by_beta, strict=True) for value in values]
        across, up = zip(*dots, strict=True)
        axes.scatter(across, up, s=6, color=colour, alpha=0.5, linewidths=0)
    axes.set_xscale("log")
    axes.set(xlabel="beta", ylabel="cosine with the true gradient", ylim=(-0.1, 1.02))
