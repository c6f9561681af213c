"""What a robustness study leaves in its folder: report.md and pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.records.folders import environment_of
from bench.records.robust_row import RobustRow
from bench.reports.command import command_of
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.robust_noise import draw_noise
from bench.reports.robustness_figures import draw_attacked, draw_corruptions, draw_radii
from bench.reports.screen import tables
from bench.robustness.suites import WORST
from models.files.whole import write_atomically

if TYPE_CHECKING:
    from bench.robustness.sanity import Check
    from bench.robustness.study import Study

HEADING = ("machine", "threat", "attack", "ball", "gradient", "budget", "accuracy %", "clean %")
SCREEN = (6, 7, 1, 4, 5)
"""Columns of a terminal, behind attack and ball."""
FIGURES = {
    "radii.png": "Accuracy against eps",
    "corruptions.png": "Natural corruptions",
    "noise.png": "Robust accuracy against noise of the device",
    "attacked.png": "Attacked images",
}


def line_of(row: RobustRow) -> list[str]:
    """A row as a line of the table."""
    ball = NOTHING if row.norm is None else f"{row.norm} {row.eps:.4g}"
    if row.severity is not None:
        ball = f"severity {row.severity}"
    gradient, budget = row.gradient or NOTHING, NOTHING if row.budget is None else str(row.budget)
    score = percent(row.accuracy, row.accuracy_ci95)
    return [row.machine, row.threat, row.attack, ball, gradient, budget, score, f"{100 * row.clean:.1f}"]


def mean_corruption(rows: Sequence[RobustRow]) -> dict[str, float]:
    """Mean accuracy over corruptions and severities, by machine."""
    by_machine: dict[str, list[float]] = {}
    for row in rows:
        if row.severity is not None:
            by_machine.setdefault(row.machine, []).append(row.accuracy)
    return {machine: sum(values) / len(values) for machine, values in by_machine.items()}


def main_rows(rows: Sequence[RobustRow]) -> list[RobustRow]:
    """The rows of the table: single corruptions have a table and a picture of their own."""
    return [row for row in rows if row.severity is None]


def print_table(rows: list[RobustRow], folder: Path) -> None:
    """A table for each network and machine on a terminal; attack and ball say in each part of it which line it is."""
    console = Console()
    heading = ["attack", *(HEADING[index] for index in SCREEN)]
    groups: dict[str, list[list[str]]] = {}
    for row in main_rows(rows):
        line = line_of(row)
        name = row.attack if row.norm is None else f"{row.attack}, {line[3]}"
        groups.setdefault(f"{row.model}, {row.machine}", []).append([name, *(line[index] for index in SCREEN)])
    for title, lines in groups.items():
        for table in tables(heading, lines, console.width, title):
            console.print(table)
    for machine, mean in mean_corruption(rows).items():
        console.print(f"mean over corruptions (CIFAR-10-C-style), {machine}: {100 * mean:.1f} %", markup=False)
    console.print(f"report and figures: {folder}", soft_wrap=True)


def write_report(
    folder: Path, rows: list[RobustRow], checks: Sequence[Check], reach: Mapping[str, float], study: Study
) -> None:
    """report.md, summary.csv and figures, from finished rows."""
    from bench.robustness.trials import carry_out

    pictures = []
    if draw_radii(rows, folder / "radii.png"):
        pictures.append("radii.png")
    if draw_corruptions(rows, folder / "corruptions.png"):
        pictures.append("corruptions.png")
    if draw_noise([rows], folder / "noise.png"):
        pictures.append("noise.png")
    if study.strongest:
        made = {str(trial.ball): carry_out(study.plan, trial, lambda _: None).images for trial in study.strongest}
        draw_attacked(study.target, study.victim, made, folder / "attacked.png")
        pictures.append("attacked.png")
    _write_summary(folder, rows)
    first = rows[0]
    kind = "settles" if first.feedback else "runs once upwards"
    text = [
        f"# Robustness of {first.model}",
        "",
        environment_of(folder).words,
        "",
        f"    {command_of(folder)}",
        "",
        f"{first.images} test images of {first.data}, balanced over classes; the network {kind}; seed {first.seed}. "
        f"PGD of {study.suite.pgd_steps} steps, Auto-PGD of {study.suite.auto_steps or 'no'} steps (not the ensemble "
        f"AutoAttack), {study.suite.queries or 'no'} queries of Square. Brackets are 95 % intervals. *{WORST}* counts "
        "an image as right if no attack on the float network brought it down. In a digital twin the attacker knows the "
        "float network, in the loop the weights of the very die and its scores.",
        "",
        *markdown(HEADING, [line_of(row) for row in main_rows(rows)]),
        "",
        *(
            f"Mean over natural corruptions (CIFAR-10-C-style, frost synthesised), {machine}: {100 * mean:.1f} %.\n"
            for machine, mean in mean_corruption(rows).items()
        ),
        "## Are the attacks sound?",
        "",
        *markdown(
            ("check", "seen", "as it must be"),
            [[check.name, check.seen, "yes" if check.passed else "**no**"] for check in checks],
        ),
        "",
        "## What smoothness alone predicts",
        "",
        f"Median distance to the nearest wrong answer, to first order: {reach['l2']:.3f} in L2, {reach['linf']:.5f} in "
        f"Linf; median slope of the nearest lead {reach['slope_l2']:.2f} per unit of L2.",
        "",
        *(f"![{FIGURES[name]}]({name})\n" for name in pictures),
    ]
    write_atomically(folder / "report.md", "\n".join(text).encode())


def _write_summary(folder: Path, rows: Sequence[RobustRow]) -> None:
    out = StringIO()
    names = list(rows[0].contract())
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(row.contract() for row in rows)
    write_atomically(folder / "summary.csv", out.getvalue().encode())
