"""The rows of a machine: what was found on the float network, natural corruptions, and attacks on one die itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.corruptions import CORRUPTIONS
from bench.machines.backend import INTEGERS, Backend, RowKey
from bench.records.robust_row import RobustRow
from bench.robustness.attacks.target import Attacked
from bench.robustness.hardware import Loop, held_by, shown_to
from bench.robustness.study import Rows, Study, corruptible, made, spread
from bench.robustness.suites import CLEAN, LOOP, NATURAL, PGD_, SQUARE, TWIN
from hw.machine import Machine
from models.ep.network import EPNetwork

ON_MACHINES = 40
"""Images of each corruption that machines are shown."""
JUDGED = 20
"""Fresh draws that score an attack on a die."""


def on_machine(
    study: Study,
    backend: Backend,
    key: RowKey,
    found: Mapping[str, Attacked],
    done: Mapping[str, RobustRow],
    announce: Callable[[str], None],
) -> Rows:
    """One machine: clean images, what was found on the float network, corruptions, and attacks on itself."""
    assert study.work is not None, "machines come with their work"
    told = {"backend": key.backend, "precision": key.precision, "dies": backend.machines()}
    told |= {"device": backend.computed_on(study.device)}
    told |= {"point": None if key.point is None else key.point.__dict__}
    noisy = is_noisy(key)
    draws = max(study.suite.draws, backend.draws()) if noisy else 1
    this = (key.backend, key.precision, told["point"])
    finished = [row for row in done.values() if (row.backend, row.precision, row.point) == this]
    if len(finished) == rows_of_machine(study, key):
        yield from finished
        return
    images, labels = study.target.images.cpu().numpy(), study.target.labels.cpu().numpy()
    shown = {CLEAN: (images, labels)} | {
        trial.name: (found[trial.name].images.cpu().numpy(), labels) for trial in study.shown
    }
    if corruptible(study.dataset.test):
        some, severity = spread(study, ON_MACHINES), study.suite.severities[len(study.suite.severities) // 2]
        for name in CORRUPTIONS:
            corrupted, truth = made(study, some, name, severity)
            shown[name] = corrupted.cpu().numpy(), truth.cpu().numpy()
    right = shown_to(backend, key, study.work, shown, draws, announce)
    clean = float(right[CLEAN].mean())
    yield study.row(right[CLEAN], clean, attack=CLEAN, threat=NATURAL, draws=draws, **told)
    for name in CORRUPTIONS:
        if name in right:
            yield study.row(right[name], clean, attack=name, threat=NATURAL, severity=severity, draws=draws, **told)
    for trial in study.shown:
        attack = {"attack": trial.attack, "threat": TWIN, "norm": trial.norm, "eps": trial.eps}
        yield study.row(right[trial.name], clean, gradient=trial.gradient, draws=draws, **attack, **told)
    yield from _in_the_loop(study, backend, key, clean, told)


def _in_the_loop(study: Study, backend: Backend, key: RowKey, clean: float, told: dict[str, Any]) -> Rows:
    """Attacks on the first of several machines, by what can be read of it."""
    assert study.work is not None, "machines come with their work"
    count = min(study.suite.looped, len(study.chosen))
    if not count:
        return
    make, noisy = backend.open(study.work, key)[0], is_noisy(key)
    images, labels = study.target.images[:count].cpu(), study.target.labels[:count].cpu()
    network, steps = study.work.network, study.work.conditions.settling.steps
    way = "implicit" if network.feedback else "backpropagation"

    def held(machine: Machine) -> EPNetwork:
        return held_by(machine, network) if noisy else network

    for trial in study.strongest:
        told |= {"threat": LOOP, "norm": trial.norm, "eps": trial.eps, "draws": JUDGED if noisy else 1, "dies": 1}
        loop = Loop(trial.ball, trial.budget, JUDGED if noisy else 1, study.seed)
        for draws in averaged(study, key):
            right = loop.by_slopes(make, held, images, labels, steps, draws)
            gradient = f"{way}, of the weights it holds, mean of {draws}" if noisy else f"{way}, straight through"
            yield study.row(right, clean, attack=PGD_, gradient=gradient, budget=trial.budget, **told)
        if study.suite.asked:
            draws = max(averaged(study, key))
            right = loop.by_queries(make, images, labels, study.suite.asked, draws)
            yield study.row(right, clean, attack=SQUARE, budget=study.suite.asked, **told)


def is_noisy(key: RowKey) -> bool:
    """Whether a machine answers the same image differently."""
    return key.precision not in (*INTEGERS, "float")


def averaged(study: Study, key: RowKey) -> tuple[int, ...]:
    """Draws that scores of an attack on a machine are averaged over, one attack for each."""
    return study.suite.averaged if is_noisy(key) else (1,)


def rows_of_machine(study: Study, key: RowKey) -> int:
    """How many `on_machine` gives."""
    corrupted = len(CORRUPTIONS) if corruptible(study.dataset.test) else 0
    looped = len(averaged(study, key)) + (study.suite.asked > 0) if study.suite.looped else 0
    return 1 + corrupted + len(study.shown) + len(study.strongest) * looped
