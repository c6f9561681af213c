"""Recipes under attack: networks of one recipe and several seeds as one line, as dies of a chip are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.records.statistics import difference, estimate
from bench.reports.format import NOTHING, markdown, percent
from bench.reports.studied import Studied, balls_of

SEED = re.compile(r"-(\d+)( \(cut\))?$")
"""What the names of controls end with."""


def by_recipe(studies: Sequence[Studied]) -> dict[str, list[Studied]]:
    """Networks that were trained more than once, by the name of their recipe, in the order of their seeds."""
    groups: dict[str, dict[int, Studied]] = {}
    for study in studies:
        if (found := SEED.search(study.name)) is not None:
            name = SEED.sub(lambda match: match[2] or "", study.name)
            groups.setdefault(name, {})[int(found[1])] = study
    return {name: [seeds[seed] for seed in sorted(seeds)] for name, seeds in groups.items() if len(seeds) > 1}


def recipes_table(studies: Sequence[Studied]) -> list[str]:
    """Markdown: what the worst attack leaves, the mean over seeds, with 95 % intervals of both seeds and images; below
    every recipe but the first, its difference to the first in points, paired image by image."""
    recipes = by_recipe(studies)
    if not recipes:
        return []
    balls = balls_of([study for seeds in recipes.values() for study in seeds])
    first: Mapping[str, NDArray[np.float64] | None] = {}
    lines = []
    for name, seeds in recipes.items():
        answers = {"clean": stacked([study.rows[0].right for study in seeds])}
        answers |= {f"{norm} {eps:.3g}": stacked([_worst(study, norm, eps) for study in seeds]) for norm, eps in balls}
        lines.append([name, str(len(seeds)), *(_score(right) for right in answers.values())])
        if first:
            changes = (_change(right, first[what]) for what, right in answers.items())
            lines.append([f"less {next(iter(recipes))}", "", *changes])
        first = first or answers
    return markdown(["recipe", "seeds", "clean %", *(f"{norm} {eps:.3g}" for norm, eps in balls)], lines)


def stacked(answers: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """(seeds, images); None where seeds were shown different numbers of images."""
    return np.concatenate(answers) if len({right.shape for right in answers}) == 1 else None


def _worst(study: Studied, norm: str, eps: float) -> NDArray[np.float64]:
    row = study.worst(norm, eps)
    assert row is not None, "a ball that all were attacked in"
    return row.right


def _score(right: NDArray[np.float64] | None) -> str:
    if right is None:
        return NOTHING
    found = estimate(right)
    return percent(found.share, found.interval)


def _change(right: NDArray[np.float64] | None, first: NDArray[np.float64] | None) -> str:
    if right is None or first is None or right.shape[1] != first.shape[1]:
        return NOTHING
    change, (low, high) = difference(right, first)
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
