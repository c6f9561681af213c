"""What each kind of attack leaves, beside the others: one line for each network and ball of several studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.records.robust_row import RobustRow
from bench.records.statistics import Z, accuracy_interval
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.robustness import mean_corruption
from bench.reports.studied import Studied
from bench.robustness.suites import (
    AUTO,
    AUTO_END,
    NOISE,
    OFFICIAL,
    PGD_,
    SQUARE,
    SQUARE_END,
    STRONGEST,
    TARGETED,
    WORST,
)

DIGITAL = ("torch", "float")
Corrupted = Mapping[tuple[str, int | None], RobustRow]
"""Rows by corruption and severity."""
KINDS: dict[str, Callable[[RobustRow, str | None], bool]] = {
    "random noise": lambda row, _: row.attack == NOISE,
    "Square": lambda row, _: row.attack in (SQUARE, SQUARE_END),
    "PGD": lambda row, main: row.attack in (PGD_, STRONGEST) and row.gradient == main,
    "PGD, other gradients": lambda row, main: row.attack == PGD_ and row.gradient != main,
    "Auto-PGD": lambda row, _: row.attack in (AUTO, TARGETED, AUTO_END),
    OFFICIAL: lambda row, _: row.attack == OFFICIAL,
    WORST: lambda row, _: row.attack == WORST,
}
"""By what a line tells, whether a row is of it, given the main gradient. Several rows of one kind are counted together:
an image is right if none of them brought it down."""


def attacks_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown. At the balls that every kind of attack was made in, weakest attacks first."""
    lines = []
    for study in studies:
        rows = [row for row in study.rows if (row.backend, row.precision, row.model) == (*DIGITAL, study.name)]
        attacked = [row for row in rows if row.attack in (AUTO, SQUARE)]
        main = next((row.gradient for row in rows if row.attack == PGD_), None)
        for norm, eps in dict.fromkeys((row.norm, row.eps) for row in attacked):
            same = [row for row in rows if (row.norm, row.eps) == (norm, eps)]
            cells = [_left([row for row in same if of_kind(row, main)]) for of_kind in KINDS.values()]
            lines.append([study.name, f"{norm} {eps:.3g}", str(rows[0].images), f"{100 * rows[0].clean:.1f}", *cells])
    heading = ["network", "ball", "images", "clean %", *KINDS]
    # a kind that nobody ran needs no column
    kept = [place for place in range(len(heading)) if place < 4 or any(line[place] != NOTHING for line in lines)]
    return markdown([heading[place] for place in kept], [[line[place] for place in kept] for line in lines])


def corrupted_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown: the mean over natural corruptions of the float network, over so many severities and images, and what it
    has less or more than the first study, image by image."""
    lines = []
    first: Corrupted = {}
    for study in studies:
        rows = [row for row in study.rows if row.severity is not None and (row.backend, row.precision) == DIGITAL]
        if not rows:
            continue
        severities = sorted({row.severity or 0 for row in rows})
        mean = mean_corruption(rows)[rows[0].machine]
        by_severity = [
            f"{100 * float(np.mean([row.accuracy for row in rows if row.severity == one])):.1f}" for one in severities
        ]
        weakest = min(rows, key=lambda row: row.accuracy)
        words = f"{weakest.attack.replace('_', ' ')} {weakest.severity}: {100 * weakest.accuracy:.1f}"
        told = ", ".join(map(str, severities))
        every = {(row.attack, row.severity): row for row in rows}
        first = first or every
        lines.append(
            [
                study.name,
                str(rows[0].images),
                f"{100 * rows[0].clean:.1f}",
                f"{100 * mean:.1f}",
                told,
                " / ".join(by_severity),
                NOTHING if every is first else _mean_difference(every, first),
                words,
            ]
        )
    heading = ["network", "images", "clean %", "mean %", "severities", "by severity %", "less the first, points"]
    return markdown([*heading, "worst of them %"], lines)


def _mean_difference(rows: Corrupted, others: Corrupted) -> str:
    """Mean difference and its 95 % interval over images, of which each counts with all that was done to it."""
    if rows.keys() != others.keys() or any(rows[key].images != others[key].images for key in rows):
        return NOTHING
    by_image = np.mean([rows[key].right[0] - others[key].right[0] for key in rows], axis=0)
    half = Z * float(by_image.std(ddof=1)) / len(by_image) ** 0.5
    return f"{100 * float(by_image.mean()):+.2f} +- {100 * half:.2f}"


def _left(rows: Sequence[RobustRow]) -> str:
    """What all of these leave, each image counted once."""
    if not rows:
        return NOTHING
    right = np.min([row.right for row in rows], axis=0)
    correct, images = int(right.sum()), right.shape[1]
    return percent(correct / images, accuracy_interval(correct, images))
