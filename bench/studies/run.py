"""The rows of a study: one per machine or die, appended as it is finished, and the report over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.command_line import ConfigError
from bench.evaluate import one_thread_each
from bench.machines.backend import Backend, Conditions, LearningKey, ScratchLearner
from bench.machines.crossbar import NOISE_AWARE, CrossbarBackend
from bench.machines.crossbar_updates import UPDATES
from bench.machines.resistive import ResistiveBackend
from bench.options import RunOptions, check_fit, check_limit
from bench.progress import Progress
from bench.records.answers import Answers, read_answers
from bench.records.folders import ROWS
from bench.records.learning_row import SCORES, LearningCurve, LearningRow
from bench.records.rows_file import append_row, finished_rows
from bench.studies import resistors
from bench.studies.beta import REMEDIES, BetaSweep, beta_sweep, phases_of
from bench.studies.defaults import REPAIR, REPAIR_RESISTORS, SCRATCH
from bench.studies.options import LearnOptions, betas_of, check_rates, schedule_of
from bench.studies.repair import Repair, repair_die
from bench.studies.resistors import Dies
from bench.studies.scratch import links_of, scratch_curve
from bench.studies.training import Labelled, Material
from mapping.circuit import circuit_of
from mapping.machines import to_digital
from models.data import Dataset
from models.ep.network import EPNetwork
from models.files.provenance import now, this_program
from models.recipes import Recipe, recipe_for, recipe_names
from models.zoo import load_model, zoo_names

QUICK_TRAINING = 128
LEARNT = "learnt"
"""Folder, in that of the run, of what was learnt: one file per row."""
Figures = dict[str, Any]
"""What a study adds to the key of a row: fields of `LearningRow`."""


@dataclass(frozen=True)
class StudyRun:
    """A study with everything it needs, loaded."""

    run: RunOptions
    learning: LearnOptions
    machines: dict[str, Backend]
    """Those that run."""
    conditions: Conditions
    material: Material
    folder: Path
    answers: Path
    """Folder of what was answered to every image."""

    @property
    def dies(self) -> CrossbarBackend:
        """The dies of a study that runs on crossbars alone."""
        dies = self.machines["crossbar"]
        assert isinstance(dies, CrossbarBackend)
        return dies

    def row(self, key: LearningKey, figures: Figures) -> LearningRow:
        """A finished row; what was answered is in its file before."""
        figures, answers = _answers_taken(figures, self.material.test.labels)
        point = None if key.point is None else asdict(key.point)
        return LearningRow(
            self.learning.study,
            key.backend,
            key.precision,
            self.run.seed,
            len(self.material.test.labels),
            key.update,
            point,
            key.die,
            answers=None if answers is None else answers.keep(self.answers),
            device=self.machines[key.backend].computed_on(self.run.device),
            made_by=this_program(),
            date=now(),
            **figures,
        )


@dataclass(frozen=True)
class Task:
    """One row that is to be made."""

    key: LearningKey
    units: int
    """Of the progress bar."""
    make: Callable[[Path, Callable[[], None]], Figures]
    """Given the file for what is learnt, and what to call after every unit."""


def material_of(run: RunOptions, dataset: Dataset) -> Material:
    """What is learnt from and measured on; little of it in a quick run."""
    train = dataset.train.at_most(QUICK_TRAINING) if run.quick else dataset.train
    test = dataset.test.at_most(run.shown or len(dataset.test))
    return Material(Labelled.of(train), Labelled.of(test), dataset.classes)


def recipe_of(data: str | None) -> Recipe:
    """The recipe whose network learns from scratch: that of the data set. Raises `ConfigError` if it has none."""
    name = data or "digits"
    if name not in recipe_names():
        raise ConfigError(
            f"--data {name}: no recipe of that name says what learns, recipes: {', '.join(recipe_names())}"
        )
    return recipe_for(name)


def tasks_of(study: StudyRun) -> list[Task]:
    """Every row of the study, whether or not it is finished."""
    made = {"repair": _repair, "scratch": _scratch, "beta": _beta}
    if "resistive" in study.machines:
        made |= {"repair": _repair_resistors, "beta": _beta_resistors}
    return made[study.learning.study](study)


def finished_of(study: StudyRun, tasks: Sequence[Task]) -> dict[str, LearningRow]:
    """The rows that the folder holds, by key; ConfigError names one that is damaged, or of another study."""
    keys = {task.key.key for task in tasks}
    asked = (study.learning.study, study.run.seed, len(study.material.test.labels))

    def check(row: LearningRow) -> None:
        if (row.learn, row.seed, row.images) != asked or row.key.key not in keys:
            raise ValueError(
                f"a row of {row.learn}, {row.key.key}, seed {row.seed}, {row.images} images: not one of this run"
            )
        if row.model not in (study.run.model, None):
            raise ValueError(f"a row of {row.model}, this run is of {study.run.model}")
        if row.answers is not None:
            read_answers(study.answers, row.answers)

    return finished_rows(study.folder / ROWS, LearningRow.from_json, lambda row: row.key.key, check)


def _answers_taken(figures: Figures, labels: NDArray[np.int64]) -> tuple[Figures, Answers | None]:
    """Figures without the scores in their curves, and these as answers; None where nothing was answered."""
    curves = {f"{arm}, ": curve for arm, curve in figures.get("arms", {}).items()}
    curves |= {"": figures["curve"]} if "curve" in figures else {}
    scores = {f"{arm}{when}": made for arm, curve in curves.items() for when, made in curve.get(SCORES, {}).items()}
    if not scores:
        return figures, None

    def bare(curve: LearningCurve) -> LearningCurve:
        return {name: value for name, value in curve.items() if name != SCORES}

    kept = dict(figures)
    if "arms" in figures:
        kept["arms"] = {arm: bare(curve) for arm, curve in figures["arms"].items()}
    if "curve" in figures:
        kept["curve"] = bare(figures["curve"])
    return kept, Answers(labels, {name: made[None, None] for name, made in scores.items()})


def learn(study: StudyRun, tasks: Sequence[Task], finished: Mapping[str, LearningRow]) -> list[LearningRow]:
    """Make every row that is not finished; all of them, in the order of the tasks."""
    done = dict(finished)
    files = {task.key.key: study.folder / LEARNT / f"{number}.safetensors" for number, task in enumerate(tasks, 1)}
    left = [task for task in tasks if task.key.key not in done]
    with Progress("learning", sum(task.units for task in left)) as progress:
        for task, figures in _made(left, files, lambda: progress.advance("learning")):
            row = study.row(task.key, figures)
            append_row(study.folder / ROWS, row.to_json())
            done[task.key.key] = LearningRow.from_json(json.loads(json.dumps(row.to_json())))
            progress.finished(" ".join(map(str, filter(None, (task.key.backend, task.key.precision, task.key.die)))))
    return [done[task.key.key] for task in tasks]


def _made(left: Sequence[Task], files: dict[str, Path], advance: Callable[[], None]) -> Iterator[tuple[Task, Figures]]:
    """(task, figures) as they are finished: dies side by side, one thread each; other machines one after the other."""
    for task in left:
        if task.key.die is None:
            yield task, task.make(files[task.key.key], advance)
    with one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        running = {
            pool.submit(task.make, files[task.key.key], advance): task for task in left if task.key.die is not None
        }
        try:
            for finished in as_completed(running):
                yield running[finished], finished.result()
        except BaseException:
            for other in running:
                other.cancel()
            raise


def _die_keys(study: StudyRun, update: str | None) -> list[LearningKey]:
    dies = study.dies
    return [
        LearningKey(dies.name, precision, update, point, number + 1)
        for precision in dies.precisions
        for point in dies.points()
        for number in range(dies.device.dies)
    ]


def _right(study: StudyRun, network: EPNetwork) -> float:
    """Share of the test images that a network gets right without a die."""
    settling, test = study.conditions.settling, study.material.test
    reference = to_digital(network, steps=settling.steps, batch_size=settling.batch_size).settle(test.images)
    return float((reference.logits.argmax(axis=1) == test.labels).mean())


def _resistors(study: StudyRun) -> tuple[Dies, list[LearningKey]]:
    """Dies of resistors, and a key for every one of them."""
    backend, update = study.machines["resistive"], (study.learning.update or ("rewrite",))[0]
    assert isinstance(backend, ResistiveBackend)
    written = None if study.learning.study == "beta" else update
    keys = [
        LearningKey(backend.name, precision, written, point, number + 1)
        for precision in backend.precisions
        for point in backend.points()
        for number in range(backend.machines())
    ]
    return Dies(load_model(study.run.model), backend, study.conditions, update, study.material), keys


def _repair_resistors(study: StudyRun) -> list[Task]:
    dies, keys = _resistors(study)
    schedule = schedule_of(study.learning, REPAIR_RESISTORS, study.run.quick)
    same = {"model": study.run.model, "float_accuracy": _right(study, dies.network)}
    damage = {"stuck_on": dies.backend.stuck, "stuck_off": dies.backend.stuck}

    def make(key: LearningKey, keep: Path, advance: Callable[[], None]) -> Figures:
        arms = resistors.repair_die(dies, schedule, key.point, (key.die or 1) - 1, keep, advance)
        return {**same, "damage": damage, "arms": arms, "learnt": _name(keep)}

    return [_task(key, schedule.epochs, make) for key in keys]


def _beta_resistors(study: StudyRun) -> list[Task]:
    dies, keys = _resistors(study)
    betas = betas_of(study.learning, study.run.quick)

    def make(key: LearningKey, keep: Path, advance: Callable[[], None]) -> Figures:  # noqa: ARG001 - nothing is learnt
        found = resistors.beta_sweep(dies, study.learning, betas, key.point, (key.die or 1) - 1, advance)
        return {"model": study.run.model, "cosines": found}

    return [_task(key, len(REMEDIES) * len(betas), make) for key in keys]


def _repair(study: StudyRun) -> list[Task]:
    model = study.run.model
    network, twin = load_model(model), f"{model}{NOISE_AWARE}"
    update = (study.learning.update or ("rewrite",))[0]
    right = _right(study, network)
    schedule = schedule_of(study.learning, REPAIR, study.run.quick)
    # a measured chip holds one network: there is no telling how it would hold another
    noise_aware = load_model(twin) if twin in zoo_names() and study.dies.device.measured is None else None
    repair = Repair(network, noise_aware, study.dies, study.conditions, UPDATES[update], schedule, study.material)
    device, tiles = study.dies.device, study.dies.tiles
    damage = {
        "stuck_on": device.stuck_on,
        "stuck_off": device.stuck_off,
        "transpose_terminals": tiles.transpose_terminals,
    }

    def make(key: LearningKey, keep: Path, advance: Callable[[], None]) -> Figures:
        arms = repair_die(repair, key.point, (key.die or 1) - 1, keep, advance)
        return {"model": model, "float_accuracy": right, "damage": damage, "arms": arms, "learnt": _name(keep)}

    ways = 1 if noise_aware is None else 2
    return [_task(key, ways * schedule.epochs, make) for key in _die_keys(study, update)]


def _beta(study: StudyRun) -> list[Task]:
    model, betas = study.run.model, betas_of(study.learning, study.run.quick)
    sweep = BetaSweep(load_model(model), study.dies, study.conditions, study.learning, betas, study.material.train)

    def make(key: LearningKey, keep: Path, advance: Callable[[], None]) -> Figures:  # noqa: ARG001 - nothing is learnt
        return {"model": model, "cosines": beta_sweep(sweep, key.point, (key.die or 1) - 1, advance)}

    return [_task(key, len(REMEDIES) * len(betas), make) for key in _die_keys(study, None)]


def _scratch(study: StudyRun) -> list[Task]:
    recipe = recipe_of(study.run.data)
    tasks = []
    for learner in learners_of(study.run, study.learning, study.machines, study.conditions):
        schedule = schedule_of(study.learning, SCRATCH[learner.study], study.run.quick)

        def make(
            _: LearningKey,
            keep: Path,
            advance: Callable[[], None],
            learner: ScratchLearner = learner,
            how: Any = schedule,
        ) -> Figures:
            steps = study.conditions.settling.steps
            curve = scratch_curve(learner, recipe, how, study.material, steps, keep, advance)
            return {"curve": curve, "learnt": _name(keep)}

        tasks.append(_task(learner.key, schedule.epochs, make))
    return tasks


def learners_of(
    run: RunOptions, learning: LearnOptions, machines: dict[str, Backend], conditions: Conditions
) -> list[ScratchLearner]:
    """Every machine that learns from scratch, in the precisions that were asked for."""
    return [
        learner
        for machine in machines.values()
        for learner in machine.learners(
            conditions,
            [name for name in machine.learns if not run.precision or name in run.precision],
            learning.update,
        )
    ]


def _task(key: LearningKey, units: int, make: Callable[[LearningKey, Path, Callable[[], None]], Figures]) -> Task:
    return Task(key, units, lambda keep, advance: make(key, keep, advance))


def _name(file: Path) -> str:
    """As a row names it: within the folder of the run."""
    return f"{LEARNT}/{file.name}"


def check_study(
    run: RunOptions,
    learning: LearnOptions,
    machines: dict[str, Backend],
    conditions: Conditions,
    dataset: Dataset,
) -> None:
    """Refuse images, learning rates and nudges that do not fit what learns. Raises `ConfigError`."""
    check_limit(run, dataset)
    if learning.study == "scratch":
        recipe = recipe_of(run.data)
        words = {"die": "the network of dies", "recipe": "the recipe's network", "resistive": "that of resistors"}
        learners = learners_of(run, learning, machines, conditions)
        check_rates(learning, {words[learner.network]: links_of(learner, recipe) for learner in learners})
        return
    network = load_model(run.model)
    check_fit(run.model, network, dataset)
    check_rates(learning, {f"model {run.model}": len(network.links) + (network.readout is not None)})
    analog = "resistive" in machines
    phases = [schedule_of(learning, REPAIR_RESISTORS if analog else REPAIR, run.quick).phases]
    if learning.study == "beta":
        betas = betas_of(learning, run.quick)
        phases = [phases_of(remedy, beta, learning) for remedy in REMEDIES for beta in betas]
    try:
        if analog:
            resistors.check_nudges(run.model, network, phases)
            return
        for of_update in phases:
            of_update.check(circuit_of(network))
    except ValueError as error:
        raise ConfigError(str(error)) from error
