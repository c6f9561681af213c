"""All rows of a study, in the order in which they are made: digital first, then other networks, then machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bench.corruptions import CORRUPTIONS
from bench.records.robust_row import RobustRow
from bench.robustness.attacks.target import Attacked
from bench.robustness.hardware import Right
from bench.robustness.on_machines import on_machine, rows_of_machine
from bench.robustness.sanity import Check, ordered
from bench.robustness.study import AT_ONCE, Rows, Study, answered, corruptible, floats, made, spread
from bench.robustness.suites import (
    CLEAN,
    LOOP,
    NATURAL,
    QUERIES,
    RANDOM,
    TRANSFER,
    TWIN,
    WHITE,
    WORST,
    Trial,
)
from bench.robustness.trials import carry_out
from bench.robustness.victim import Victim

FOREIGN = (NATURAL, TRANSFER, TWIN, LOOP)
"""Threats that are not of the float network under attack."""
ORDER = (RANDOM, QUERIES, WHITE)
MOST_ZERO = 0.05
"""Share of zero gradients above which an attack is blind."""


def every_row(study: Study, done: Mapping[str, RobustRow], announce: Callable[[str], None]) -> Rows:
    """Rows as they are finished; those of `done` are given again and not made anew."""
    clean_row = study.row(*_clean(study), attack=CLEAN, threat=NATURAL)
    yield clean_row
    found: dict[str, Attacked] = {}
    for trial in study.trials:
        attacked = carry_out(study.plan, trial, announce)
        if trial in study.shown:
            found[trial.name] = attacked
        yield _of_trial(study, trial, attacked, clean_row.accuracy)
    announce("corruptions")
    yield from _corrupted(study, done, announce)
    yield from _transferred(study, found)
    for backend, key in study.machines:
        yield from on_machine(study, backend, key, found, done, announce)


def expected_rows(study: Study) -> int:
    """How many `every_row` gives."""
    corrupted = len(CORRUPTIONS) if corruptible(study.dataset.test) else 0
    digital = 1 + len(study.trials) + corrupted * len(study.suite.severities)
    return (
        digital
        + len(study.strongest) * len(study.others)
        + sum(rows_of_machine(study, key) for _, key in study.machines)
    )


def worst_rows(study: Study, rows: list[RobustRow]) -> Rows:
    """Per ball, the images that no attack on the float network brought down."""
    own = [row for row in rows if row.threat not in FOREIGN and row.model == study.model]
    clean = next(row for row in rows if row.attack == CLEAN and row.backend == "torch" and row.precision == "float")
    for ball in study.radii.balls():
        same = [row for row in own if (row.norm, row.eps) == (ball.norm, ball.eps)]
        if same:
            left = np.min([clean.right, *(row.right for row in same)], axis=0)
            yield study.row(left, clean.accuracy, attack=WORST, threat=WHITE, norm=ball.norm, eps=ball.eps)


def checks_of_rows(study: Study, rows: list[RobustRow]) -> list[Check]:
    """What the rows themselves show: their order, slopes that are there, images that lie where they may."""
    checks = []
    for ball in study.radii.middle():
        same = [row for row in rows if (row.norm, row.eps) == (ball.norm, ball.eps) and row.threat not in FOREIGN]
        by_threat = [
            (threat, min((row.accuracy for row in same if row.threat == threat), default=None)) for threat in ORDER
        ]
        checks.append(ordered([(threat, value) for threat, value in by_threat if value is not None], len(study.chosen)))
    zero = max((row.zero_slopes for row in rows if row.zero_slopes is not None), default=0.0)
    checks.append(Check("share of gradients that are zero", f"{100 * zero:.2f} % at most", zero < MOST_ZERO))
    outside = max((row.outside for row in rows if row.outside is not None), default=0.0)
    checks.append(Check("furthest outside the ball or the range", f"{outside:g}", outside == 0))
    unharmed = [row.attack for row in rows if row.threat == WHITE and row.attack != WORST and row.accuracy >= row.clean]
    seen = ", ".join(sorted(set(unharmed))) or "none"
    checks.append(Check("attacks that never succeed", seen, not unharmed))
    return checks


def _clean(study: Study) -> tuple[Right, float]:
    right = answered(study.victim, study.target.images, study.target.labels)
    return right, float(right.mean())


def _of_trial(study: Study, trial: Trial, attacked: Attacked, clean: float) -> RobustRow:
    right = (~attacked.fell).cpu().numpy()[None].astype(np.float64)
    outside = trial.ball.outside(attacked.images, study.target.images)
    return study.row(
        right,
        clean,
        attack=trial.attack,
        threat=trial.threat,
        norm=trial.norm,
        eps=trial.eps,
        gradient=trial.gradient,
        budget=trial.budget,
        starts=trial.starts if trial.starts > 1 else None,
        queries=attacked.queries / right.shape[1],
        zero_slopes=attacked.zero_slopes,
        outside=float(outside.max()),
    )


def _corrupted(study: Study, done: Mapping[str, RobustRow], announce: Callable[[str], None]) -> Rows:
    """Every corruption at every severity of the suite, of the float network."""
    test = study.dataset.test
    if not corruptible(test):
        return
    indices = spread(study, study.suite.corrupted)
    clean: float | None = None
    for severity in study.suite.severities:
        for name in CORRUPTIONS:
            told = {"attack": name, "threat": NATURAL, "severity": severity, "precision": "float"}
            if (row := _finished(done, study.model, told)) is not None:
                yield row
                continue
            announce(f"{name}, severity {severity}")
            if clean is None:
                clean = float(answered(study.victim, *floats(study, indices)).mean())
            images, labels = made(study, indices, name, severity)
            yield study.row(answered(study.victim, images, labels), clean, **told)


def _transferred(study: Study, found: Mapping[str, Attacked]) -> Rows:
    """What was found on this network, shown to others."""
    for name, other in study.others.items():
        clean = float(answered(other, study.target.images, study.target.labels).mean())
        for trial in study.strongest:
            attacked = found[trial.name]
            right = answered(other, attacked.images, study.target.labels)
            yield study.row(
                right,
                clean,
                model=name,
                feedback=other.settles,
                attack=trial.attack,
                threat=TRANSFER,
                norm=trial.norm,
                eps=trial.eps,
                gradient=f"{trial.gradient} of {study.model}",
                budget=trial.budget,
                same_wrong=same_wrong(study.victim, other, attacked),
            )


@torch.no_grad()
def same_wrong(victim: Victim, other: Victim, attacked: Attacked) -> float | None:
    """Of the images that fell, the share that the other network answers by the same wrong class; None if none fell."""
    fallen = attacked.images[attacked.fell]
    if not len(fallen):
        return None
    same = [victim.predict(part).argmax(dim=1) == other.predict(part).argmax(dim=1) for part in fallen.split(AT_ONCE)]
    return float(torch.cat(same).double().mean())


def _finished(done: Mapping[str, RobustRow], model: str, told: Mapping[str, Any]) -> RobustRow | None:
    for row in done.values():
        if row.model == model and row.backend == "torch" and all(getattr(row, name) == told[name] for name in told):
            return row
    return None
