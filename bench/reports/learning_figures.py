"""The picture of a learning run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.records.learning_row import LearningRow
from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.reports.lessons import cosines, groups, point_title
from bench.studies.repair import ARMS, mean_curve

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
        axes.set_title(title, fontsize=9)
    for axes in many if rows[0].learn == "scratch" else many[:1]:
        axes.legend(frameon=False, fontsize=8)
    save_figure(figure, file)


def _machines(rows: list[LearningRow]) -> list[tuple[str, list[LearningRow]]]:
    """A panel for machines that compute step by step, and one for every kind of die."""
    panels: dict[str, list[LearningRow]] = {}
    for row in rows:
        panels.setdefault("from scratch" if row.point is None else point_title(row), []).append(row)
    return list(panels.items())


def _repair(axes: Axes, rows: list[LearningRow]) -> None:
    axes.axhline(100 * (rows[0].float_accuracy or 0.0), color="#000000", linewidth=0.8, label="float network")
    for arm, colour in zip(ARMS, COLOURS, strict=False):
        if arm in (rows[0].arms or {}):
            mean, spread = mean_curve(rows, arm)
            if len(mean) == 1:
                axes.axhline(100 * mean[0], color=colour, linestyle="--", label=arm)
            else:
                _band(axes, mean, spread, colour, arm)
    _epochs(axes, "epochs on the die; bands: standard deviation over dies")


def _scratch(axes: Axes, rows: list[LearningRow]) -> None:
    for number, (_, group) in enumerate(groups(rows)):
        # a machine and its reference lie on each other: gaps in one show the other
        colour, dashes = COLOURS[number % len(COLOURS)], "--" if group[0].backend == "lava" else "-"
        name = group[0].update or f"{group[0].backend} {group[0].precision}"
        for place, row in enumerate(group):
            curve, label = [100 * value for value in (row.curve or {})["accuracy"]], None if place else name
            axes.plot(curve, color=colour, linestyle=dashes, linewidth=1.4, label=label)
    _epochs(axes, "epochs, one line per die" if rows[0].point else "epochs")


def _epochs(axes: Axes, name: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=name, ylabel="accuracy, %", ylim=(0, 101))


def _beta(axes: Axes, rows: list[LearningRow]) -> None:
    entries = rows[0].cosines or []
    betas = list(dict.fromkeys(entry["beta"] for entry in entries))
    for remedy, colour in zip(dict.fromkeys(entry["remedy"] for entry in entries), COLOURS, strict=False):
        means = [fmean(cosines(rows, remedy, beta)) for beta in betas]
        axes.plot(betas, means, color=colour, marker="o", markersize=3, linewidth=1.6, label=remedy)
    axes.set_xscale("log")
    axes.set(xlabel="beta", ylabel="cosine with the true gradient", ylim=(-0.1, 1.02))


def _band(axes: Axes, mean: Sequence[float], spread: Sequence[float], colour: str, name: str) -> None:
    epochs = range(len(mean))
    axes.plot(epochs, [100 * value for value in mean], color=colour, linewidth=1.8, label=name)
    low = [100 * (value - part) for value, part in zip(mean, spread, strict=True)]
    high = [100 * (value + part) for value, part in zip(mean, spread, strict=True)]
    axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
