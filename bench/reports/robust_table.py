"""`python -m bench.reports.robust_table FOLDER...`: studies of robustness of several networks, one line each.

Each folder holds a run of `bench.robustness`. Where several hold the same network, attacks are those of the first, and
corruptions those of the run that corrupted the most images. Networks that were shown the same images are compared with
one of them (`--against`; else the first) image by image: the difference of what the worst attack leaves, and its 95 %
interval; recipes that were trained from several seeds stand below as one line each. The last lines say how much of
robust accuracy smoothness alone predicts: the rank correlation over networks with the median distance to the nearest
wrong answer to first order (`bench.robustness.theory`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from scipy.stats import spearmanr

from bench.command_line import ConfigError, choose
from bench.records.robust_row import RobustRow
from bench.records.statistics import difference
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.robust_networks import draw_networks
from bench.reports.robust_noise import draw_noise
from bench.reports.robust_seeds import recipes_table
from bench.reports.robustness import mean_corruption
from bench.reports.studied import Studied, balls_of, one_per_network, read_study
from models.command_line import before_work, exit_code, refuse_empty

DIGITAL = "torch float"


@dataclass(frozen=True)
class Options:
    """The command line."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of bench.robustness."""
    against: str | None = None
    """Network that all others are compared with; the first one if not given."""
    picture: Path | None = None
    """PNG to draw: what is left by eps, by smoothness and by feedback."""
    noise: Path | None = None
    """PNG to draw: what is left on dies of several noises."""


def robust_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown: a line for every network."""
    balls = balls_of(studies)
    heading = ["network", "clean %", *(f"{norm} {eps:.3g}" for norm, eps in balls)]
    heading += ["corrupted, of clean % (images)", "nearest, L2"]
    lines = []
    for study in studies:
        clean = study.rows[0]
        cells = [study.name, percent(clean.accuracy, clean.accuracy_ci95)]
        for norm, eps in balls:
            row = study.worst(norm, eps)
            cells.append(NOTHING if row is None else percent(row.accuracy, row.accuracy_ci95))
        cells += [_corrupted(study), f"{study.reach['l2']:.3f}"]
        lines.append(cells)
    return markdown(heading, lines)


def _corrupted(study: Studied) -> str:
    """Mean over natural corruptions, of what the same images leave as they are, and how many: few may be easy ones."""
    mean = mean_corruption(study.rows).get(DIGITAL)
    row = next((row for row in study.rows if row.severity is not None and row.machine == DIGITAL), None)
    return NOTHING if mean is None or row is None else f"{100 * mean:.1f} of {100 * row.clean:.1f} ({row.images})"


def differences(studies: Sequence[Studied], first: Studied) -> list[str]:
    """Markdown: every network less one of them, at every ball, paired image by image."""
    balls = balls_of(studies)
    lines = []
    for study in (study for study in studies if study is not first):
        cells = [f"{study.name} - {first.name}"]
        for norm, eps in balls:
            one, other = study.worst(norm, eps), first.worst(norm, eps)
            cells.append(NOTHING if one is None or other is None else _paired(one, other))
        lines.append(cells)
    return markdown(["difference, points", *(f"{norm} {eps:.3g}" for norm, eps in balls)], lines)


def smoothness(studies: Sequence[Studied]) -> list[str]:
    """Rank correlation over networks of what is left with the median first-order distance, one line per ball."""
    lines = []
    for norm, eps in balls_of(studies):
        reach = [study.reach["l2" if norm == "L2" else "linf"] for study in studies]
        left = [row.accuracy for study in studies if (row := study.worst(norm, eps)) is not None]
        if len(left) >= 4:
            lines.append(f"{norm} {eps:.3g}: {float(spearmanr(reach, left).statistic):.2f}")
    return lines


def _paired(one: RobustRow, other: RobustRow) -> str:
    right = one.right, other.right
    if right[0].shape != right[1].shape:
        return NOTHING
    change, (low, high) = difference(*right)
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for folders that hold no such run."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)

    def work() -> None:
        options = tyro.cli(Options, args=arguments, prog="bench.reports.robust_table", description=__doc__)
        folders = options.folders
        refuse_empty(arguments)
        with before_work():
            if not folders:
                raise ConfigError("no folder: name runs of bench.robustness")
            studies = one_per_network([read_study(folder) for folder in folders])
            names = [study.name for study in studies]
            first = options.against or names[0]
            choose("--against", first, names)
        less = differences(studies, studies[names.index(first)])
        print("\n".join([*robust_table(studies), "", *less, "", *recipes_table(studies), ""]))
        if options.picture is not None:
            draw_networks(studies, options.picture)
        if options.noise is not None and not draw_noise([study.rows for study in studies], options.noise):
            print("no run has dies of several noises (--noise-scale): no picture of noise")
        if lines := smoothness(studies):
            print("rank correlation with the first-order distance: " + "; ".join(lines))

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped"):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
