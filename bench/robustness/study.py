"""All rows of a study, in the order in which they are made: digital first, then other networks, then machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.corruptions import CORRUPTIONS, corrupt
from bench.machines.backend import INTEGERS, Backend, RowKey, Workload
from bench.records.robust_row import RobustRow
from bench.records.statistics import estimate
from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.hardware import Loop, Right, held_by, shown_to
from bench.robustness.sanity import Check, ordered
from bench.robustness.suites import (
    CLEAN,
    LOOP,
    NATURAL,
    QUERIES,
    RANDOM,
    STRONGEST,
    TRANSFER,
    TWIN,
    WHITE,
    WORST,
    Radii,
    Suite,
    Trial,
    trials_of,
)
from bench.robustness.trials import Plan, carry_out
from bench.robustness.victim import Victim
from hw.machine import Machine
from models.data import Dataset, ImageSet
from models.ep.network import EPNetwork
from models.files.provenance import now, this_program

ON_MACHINES = 40
"""Images of each corruption that machines are shown."""
JUDGED, LOOP_DRAWS, LOOP_QUERIES = 20, 4, 200
"""Of attacks on a die: fresh draws that score it, draws that every score of the attack is averaged over, and queries of
Square."""
AT_ONCE = 100
FOREIGN = (NATURAL, TRANSFER, TWIN, LOOP)
"""Threats that are not of the float network under attack."""
ORDER = (RANDOM, QUERIES, WHITE)
MOST_ZERO = 0.05
"""Share of zero gradients above which an attack is blind."""

Rows = Iterator[RobustRow]


@dataclass(frozen=True)
class Study:
    """What is attacked, by what, and which machines are shown what was found."""

    model: str
    data: str
    victim: Victim
    dataset: Dataset
    chosen: Tensor
    """Indices of the test images, balanced over classes."""
    suite: Suite
    radii: Radii
    seed: int
    device: str
    others: Mapping[str, Victim]
    """Networks that attacked images are shown to as well."""
    machines: tuple[tuple[Backend, RowKey], ...]
    work: Workload | None
    """For machines; None where there are none."""
    folder: Path
    origin: dict[str, Any]

    @cached_property
    def target(self) -> Target:
        """The images."""
        images, labels = self.dataset.test.batch(self.chosen)
        return self.victim.target(images.to(self.device), labels.to(self.device))

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All of them."""
        return trials_of(self.suite, self.radii, tuple(self.victim.gradients()), self.victim.exact)

    @cached_property
    def plan(self) -> Plan:
        """For trials."""
        return Plan(self.victim, self.target, self.seed, self.suite.targets, self.folder / "trials", self.origin)

    def row(self, right: Right, clean: float, **told: Any) -> RobustRow:
        """A row of answers (machines, N)."""
        found = estimate(right)
        basis = {"model": self.model, "backend": "torch", "precision": "float", "feedback": self.victim.settles}
        return RobustRow(
            **{**basis, **told},
            data=self.data,
            seed=self.seed,
            images=right.shape[1],
            accuracy=found.share,
            accuracy_ci95=found.interval,
            clean=clean,
            answers=written(right),
            made_by=this_program(),
            date=now(),
        )


def every_row(study: Study, done: Mapping[str, RobustRow], announce: Callable[[str], None]) -> Rows:
    """Rows as they are finished; those of `done` are given again and not made anew."""
    clean_row = study.row(*_clean(study), attack=CLEAN, threat=NATURAL)
    yield clean_row
    found: dict[str, Attacked] = {}
    for trial in study.trials:
        attacked = carry_out(study.plan, trial, announce)
        if trial.attack == STRONGEST:
            found[trial.name] = attacked
        yield _of_trial(study, trial, attacked, clean_row.accuracy)
    announce("corruptions")
    yield from _corrupted(study, done, announce)
    yield from _transferred(study, found)
    for backend, key in study.machines:
        yield from _on_machine(study, backend, key, found, done, announce)


def expected_rows(study: Study) -> int:
    """How many `every_row` gives."""
    strongest = sum(trial.attack == STRONGEST for trial in study.trials)
    corrupted = len(CORRUPTIONS) if corruptible(study.dataset.test) else 0
    digital = 1 + len(study.trials) + corrupted * len(study.suite.severities)
    return digital + strongest * len(study.others) + rows_of_machine(study) * len(study.machines)


def rows_of_machine(study: Study) -> int:
    """How many `every_row` gives of each machine."""
    strongest = sum(trial.attack == STRONGEST for trial in study.trials)
    corrupted = len(CORRUPTIONS) if corruptible(study.dataset.test) else 0
    return 1 + corrupted + strongest * (2 + (study.suite.queries > 0))


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
        queries=attacked.queries / right.shape[1],
        zero_slopes=attacked.zero_slopes,
        outside=float(outside.max()),
    )


def _corrupted(study: Study, done: Mapping[str, RobustRow], announce: Callable[[str], None]) -> Rows:
    """Every corruption at every severity of the suite, of the float network."""
    test = study.dataset.test
    if not corruptible(test):
        return
    indices = _spread(study, study.suite.corrupted)
    clean: float | None = None
    for severity in study.suite.severities:
        for name in CORRUPTIONS:
            told = {"attack": name, "threat": NATURAL, "severity": severity, "precision": "float"}
            if (row := _finished(done, study.model, told)) is not None:
                yield row
                continue
            announce(f"{name}, severity {severity}")
            if clean is None:
                clean = float(answered(study.victim, *_floats(study, indices)).mean())
            images, labels = _made(study, indices, name, severity)
            yield study.row(answered(study.victim, images, labels), clean, **told)


def _transferred(study: Study, found: Mapping[str, Attacked]) -> Rows:
    """What was found on this network, shown to others."""
    strongest = {trial.name: trial for trial in study.trials if trial.attack == STRONGEST}
    for name, other in study.others.items():
        clean = float(answered(other, study.target.images, study.target.labels).mean())
        for trial_name, trial in strongest.items():
            right = answered(other, found[trial_name].images, study.target.labels)
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
                same_wrong=_same_wrong(study.victim, other, found[trial_name]),
            )


@torch.no_grad()
def _same_wrong(victim: Victim, other: Victim, attacked: Attacked) -> float | None:
    """Of the images that fell, the share that the other network answers by the same wrong class; None if none fell."""
    fallen = attacked.images[attacked.fell]
    if not len(fallen):
        return None
    same = [victim.predict(part).argmax(dim=1) == other.predict(part).argmax(dim=1) for part in fallen.split(AT_ONCE)]
    return float(torch.cat(same).double().mean())


def _on_machine(
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
    told |= {"point": None if key.point is None else key.point.__dict__}
    noisy = key.precision not in (*INTEGERS, "float")
    draws = study.suite.draws if noisy else 1
    strongest = [trial for trial in study.trials if trial.attack == STRONGEST]
    finished = [row for row in done.values() if (row.backend, row.precision) == (key.backend, key.precision)]
    if len(finished) == rows_of_machine(study):
        yield from finished
        return
    images, labels = study.target.images.cpu().numpy(), study.target.labels.cpu().numpy()
    shown = {CLEAN: (images, labels)} | {
        trial.name: (found[trial.name].images.cpu().numpy(), labels) for trial in strongest
    }
    if corruptible(study.dataset.test):
        some, severity = _spread(study, ON_MACHINES), study.suite.severities[len(study.suite.severities) // 2]
        for name in CORRUPTIONS:
            made, truth = _made(study, some, name, severity)
            shown[name] = made.cpu().numpy(), truth.cpu().numpy()
    right = shown_to(backend, key, study.work, shown, draws, announce)
    clean = float(right[CLEAN].mean())
    yield study.row(right[CLEAN], clean, attack=CLEAN, threat=NATURAL, draws=draws, **told)
    for name in CORRUPTIONS:
        if name in right:
            yield study.row(right[name], clean, attack=name, threat=NATURAL, severity=severity, draws=draws, **told)
    for trial in strongest:
        attack = {"attack": trial.attack, "threat": TWIN, "norm": trial.norm, "eps": trial.eps}
        yield study.row(right[trial.name], clean, gradient=trial.gradient, draws=draws, **attack, **told)
    yield from _in_the_loop(study, backend, key, strongest, noisy, clean, told)


def _in_the_loop(
    study: Study, backend: Backend, key: RowKey, strongest: list[Trial], noisy: bool, clean: float, told: dict[str, Any]
) -> Rows:
    """Attacks on the first of several machines, by what can be read of it."""
    assert study.work is not None, "machines come with their work"
    make = backend.open(study.work, key)[0]
    count = min(study.suite.looped, len(study.chosen))
    images, labels = study.target.images[:count].cpu(), study.target.labels[:count].cpu()
    network, steps = study.work.network, study.work.conditions.settling.steps
    judged, draws = (JUDGED, LOOP_DRAWS) if noisy else (1, 1)
    way = "implicit" if network.feedback else "backpropagation"

    def held(machine: Machine) -> EPNetwork:
        return held_by(machine, network) if noisy else network

    for trial in strongest:
        loop = Loop(trial.ball, trial.budget, draws, judged, LOOP_QUERIES if study.suite.queries else 0, study.seed)
        for attack, right in loop.attack(make, held, images, labels, steps).items():
            yield study.row(
                right,
                clean,
                attack=attack,
                threat=LOOP,
                norm=trial.norm,
                eps=trial.eps,
                gradient=f"{way}, of the weights it holds" if noisy else f"{way}, straight through",
                budget=trial.budget if attack == "PGD" else LOOP_QUERIES,
                draws=judged,
                **{**told, "dies": 1},
            )


@torch.no_grad()
def answered(victim: Victim, images: Tensor, labels: Tensor) -> Right:
    """(1, N) which of the images are answered right."""
    parts = zip(images.split(AT_ONCE), labels.split(AT_ONCE), strict=True)
    right = [~victim.target(shown, truth).wrong(shown) for shown, truth in parts]
    return torch.cat(right).cpu().numpy()[None].astype(np.float64)


def corruptible(images: ImageSet) -> bool:
    """Whether natural corruptions are defined for them: 8-bit images."""
    return images.pixels.dtype == torch.uint8 and images.scale == 255


def written(right: Right) -> str:
    """Answers as characters: the mean over machines in tenths, X for all."""
    return "".join("X" if value == 1 else str(int(value * 10)) for value in right.mean(axis=0))


def _finished(done: Mapping[str, RobustRow], model: str, told: Mapping[str, Any]) -> RobustRow | None:
    for row in done.values():
        if row.model == model and row.backend == "torch" and all(getattr(row, name) == told[name] for name in told):
            return row
    return None


def _spread(study: Study, count: int) -> NDArray[np.int64]:
    """Indices of so many test images, from the first: an order that is random and fixed."""
    return np.arange(min(count, len(study.dataset.test)))


def _floats(study: Study, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    images, labels = study.dataset.test.batch(torch.from_numpy(indices))
    return images.to(study.device), labels.to(study.device)


def _made(study: Study, indices: NDArray[np.int64], name: str, severity: int) -> tuple[Tensor, Tensor]:
    """Corrupted images and their labels."""
    test = study.dataset.test
    pixels = test.pixels[torch.from_numpy(indices)].numpy().transpose(0, 2, 3, 1)
    made = corrupt(np.ascontiguousarray(pixels), name, severity, study.seed, indices=indices)
    images = torch.from_numpy(np.ascontiguousarray(made.transpose(0, 3, 1, 2))).float() / 255
    return images.to(study.device), test.labels[torch.from_numpy(indices)].to(study.device)
