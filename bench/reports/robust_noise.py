"""The picture of attacked networks on noisier and noisier dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from bench.records.robust_row import RobustRow, point_words
from bench.reports.colours import MANY_COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.reports.robustness_figures import Look, mark
from bench.robustness.suites import CLEAN, LOOP, STRONGEST

SCALE = "noise_scale"
Curves = Mapping[tuple[str, str], list[RobustRow]]
"""(what was shown, network and dies) to rows, less noisy dies first."""


def by_noise(rows: Sequence[RobustRow]) -> Curves:
    """Dies that differ in the noise of their devices alone: clean images, what was found on the float network, and
    attacks in the loop, by scores averaged over most draws. What was run at one noise is left out."""
    curves: dict[tuple[str, str], dict[float, RobustRow]] = {}
    for row in rows:
        if row.point is None or SCALE not in row.point or row.severity is not None:
            continue
        if row.attack in (CLEAN, STRONGEST) or row.threat == LOOP:
            dies = f"{row.model}, {point_words({**row.point, SCALE: 1.0})}"
            # of several attacks in the loop the last one averages over most draws
            curves.setdefault((_what(row), dies), {})[row.point[SCALE]] = row
    return {name: [found[scale] for scale in sorted(found)] for name, found in curves.items() if len(found) > 1}


def draw_noise(studies: Sequence[Sequence[RobustRow]], file: Path) -> bool:
    """A panel for clean images and for every ball and threat, a colour for every network and device; dotted, what is
    left on the float network. Nothing is drawn where no study has dies of several noises."""
    curves = {name: rows for study in studies for name, rows in by_noise(study).items()}
    if not curves:
        return False
    panels = list(dict.fromkeys(what for what, _ in curves))
    colours = dict(zip(dict.fromkeys(dies for _, dies in curves), cycle(MANY_COLOURS), strict=False))
    floats = {(row.model, _what(row)): row for study in studies for row in study if _on_float(row)}
    figure = new_figure(3.6 * len(panels), 3.8)
    grid = dict(zip(panels, figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], strict=True))
    for (what, dies), rows in curves.items():
        scales = [(row.point or {})[SCALE] for row in rows]
        mark(grid[what], scales, rows, Look(colours[dies]), dies)
        if (reference := floats.get((rows[0].model, what))) is not None:
            grid[what].axhline(100 * reference.accuracy, color=colours[dies], linestyle=":")
    for what, axes in grid.items():
        axes.set(xlabel="noise of the device, published = 1", title=what, ylim=(0, 101))
    grid[panels[0]].set(ylabel="right, %; dotted: float network")
    grid[panels[0]].legend(frameon=False, fontsize=7, loc="lower left")
    save_figure(figure, file)
    return True


def _what(row: RobustRow) -> str:
    if row.attack == CLEAN:
        return "clean"
    return f"{row.norm} {row.eps:.3g}, {LOOP if row.threat == LOOP else 'shown'}"


def _on_float(row: RobustRow) -> bool:
    return (row.backend, row.precision) == ("torch", "float") and row.attack in (CLEAN, STRONGEST)
