"""The pictures of a robustness study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from bench.records.robust_row import RobustRow
from bench.reports.attacked_networks import Shown, draw_side_by_side
from bench.reports.colours import COLOURS, MANY_COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.robustness.attacks.target import Target
from bench.robustness.suites import TRANSFER
from bench.robustness.victim import Victim

SHOWN = 8
"""Images of the picture of attacked ones."""
APART = 0.006
"""Between attacks in the same ball, of the largest radius."""


def draw_radii(rows: Sequence[RobustRow], file: Path) -> bool:
    """Accuracy against eps on the float network, by attack, with intervals; machines at the radii they were shown."""
    balls = [row for row in rows if row.norm is not None]
    if not balls:
        return False
    figure = new_figure(10, 4.4)
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), ("L2", "Linf"), strict=True):
        groups: dict[str, list[RobustRow]] = {}
        for row in (row for row in balls if row.norm == norm):
            digital = (row.backend, row.precision) == ("torch", "float") and row.model == rows[0].model
            name = row.attack if digital else f"{row.model if row.threat == TRANSFER else row.machine}: {row.threat}"
            groups.setdefault(name, []).append(row)
        furthest = max(row.eps or 0.0 for row in balls if row.norm == norm)
        for number, ((name, group), colour) in enumerate(zip(groups.items(), cycle(MANY_COLOURS), strict=False)):
            by_eps = {row.eps or 0.0: row for row in sorted(group, key=lambda row: -row.accuracy)}
            drawn = [by_eps[eps] for eps in sorted(by_eps)]
            line = "-" if len(drawn) > 2 else "none"
            # many were made in the same ball alone: side by side, around it
            aside = 0.0 if line == "-" else (number - (len(groups) - 1) / 2) * APART * furthest
            mark(axes, [(row.eps or 0.0) + aside for row in drawn], drawn, Look(colour, line), name)
        axes.axhline(100 * rows[0].clean, color="#bbbbbb", linestyle=":", label="clean")
        axes.set(xlabel=f"eps, {norm}", ylim=(0, 101), xlim=(0, None))
    figure.axes[0].set(ylabel="accuracy, %", title=f"{rows[0].model}, {rows[0].images} images")
    names = max((axes.get_legend_handles_labels() for axes in figure.axes), key=lambda found: len(found[1]))
    figure.legend(*names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save_figure(figure, file)
    return True


@dataclass(frozen=True)
class Look:
    """How a network is drawn."""

    colour: str
    line: str = "-"
    symbol: str = "o"
    hollow: bool = False


def mark(axes: Axes, x: Sequence[float], rows: Sequence[RobustRow], look: Look, name: str) -> None:
    """Accuracies with their intervals."""
    y = [100 * row.accuracy for row in rows]
    # at 0 and 100 % an interval ends there but for its last digit
    low = [max(100 * (row.accuracy - row.accuracy_ci95[0]), 0.0) for row in rows]
    high = [max(100 * (row.accuracy_ci95[1] - row.accuracy), 0.0) for row in rows]
    axes.errorbar(
        x,
        y,
        (low, high),
        fmt=look.symbol,
        linestyle=look.line,
        color=look.colour,
        label=name,
        capsize=3,
        markersize=4,
        mfc="white" if look.hollow else look.colour,
    )


def draw_corruptions(rows: Sequence[RobustRow], file: Path) -> bool:
    """Accuracy by corruption, one mark per severity, of the float network; machines beside it."""
    corrupted = [row for row in rows if row.severity is not None]
    if not corrupted:
        return False
    names = list(dict.fromkeys(row.attack for row in corrupted))
    machines = list(dict.fromkeys(row.machine for row in corrupted))
    figure = new_figure(11, 4.2)
    axes = figure.subplots()
    for number, (machine, colour) in enumerate(zip(machines, COLOURS, strict=False)):
        shift = (number - (len(machines) - 1) / 2) * 0.8 / max(len(machines), 1)
        of_machine = [row for row in corrupted if row.machine == machine]
        for row in of_machine:
            place = names.index(row.attack) + shift
            low, high = row.accuracy_ci95
            axes.plot([place, place], [100 * low, 100 * high], color=colour, alpha=0.3, linewidth=1)
            axes.plot(place, 100 * row.accuracy, "o", color=colour, markersize=2 + (row.severity or 1))
        severities = ", ".join(map(str, sorted({row.severity or 0 for row in of_machine})))
        axes.plot([], [], "o", color=colour, label=f"{machine}, severity {severities}")
    axes.axhline(100 * corrupted[0].clean, color="#bbbbbb", linestyle=":")
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=40, ha="right")
    axes.set(ylabel="accuracy, %", ylim=(0, 101), title=f"{rows[0].model}: CIFAR-10-C-style, larger marks are severer")
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, file)
    return True


@torch.no_grad()
def draw_attacked(target: Target, victim: Victim, made: Mapping[str, Tensor], file: Path) -> None:
    """Clean images, attacked ones of each ball and what was added, with the answers."""
    places = torch.linspace(0, len(target.labels) - 1, min(SHOWN, len(target.labels))).long()
    balls = [
        Shown(name, images[places], tuple(victim.predict(images[places]).argmax(dim=1).tolist()))
        for name, images in made.items()
    ]
    draw_side_by_side(target.images[places], target.labels[places].tolist(), balls, "! marks a wrong answer", file)
