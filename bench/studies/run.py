"""The rows of a learning run: one per machine or die, appended as it is finished, and the report over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from bench.config import NOISE_AWARE, QUICK_LIMIT, RunConfig
from bench.machines.crossbar import DIE_CALIBRATION_IMAGES, CrossbarOptions, CrossbarWork, Point, points
from bench.machines.registry import BACKENDS
from bench.records.rows import Row, append_row, read_rows
from bench.robustness.disturbances import Images
from bench.studies.beta import REMEDIES, beta_sweep, phases_of
from bench.studies.curve import Labels
from bench.studies.options import (
    REPAIR,
    SCRATCH_DIES,
    SCRATCH_FIXED,
    SCRATCH_FLOAT,
    UPDATES,
    betas_of,
    check_rates,
    dies_of,
    schedule_of,
)
from bench.studies.repair import Repair, repair_die
from bench.studies.scratch import DIE_LAYERS, default_update, scratch_clocked, scratch_die
from mapping.circuit import circuit_of
from models.data import Dataset, ImageSet
from models.recipes import recipe_for
from models.zoo import load_model, zoo_names

LEARNING_PRECISIONS = ("float", "fixed")
"""Number formats a clocked machine learns in."""
QUICK_TRAINING = 128
DAMAGE = ("stuck_on", "stuck_off", "transpose_terminals")
"""Options that say, beside the point, what is wrong with a die that is repaired."""
LEARNT = "learnt"
"""Folder, in that of the run, of what was learnt: one file per row."""


@dataclass(frozen=True)
class LearningKey:
    """One row of a learning run."""

    backend: str
    precision: str
    update: str | None = None
    point: Point | None = None
    die: int | None = None

    @property
    def key(self) -> str:
        """What identifies the row in a run folder."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Material:
    """What everything is learnt from and measured on."""

    train: tuple[Images, Labels]
    test: tuple[Images, Labels]
    calibration: Images


def learning_jobs(config: RunConfig) -> list[LearningKey]:
    """Every row of the run."""
    learn, options = config.learning, _dies(config)
    dies = range(1, (2 if config.quick else options.dies) + 1)
    if learn.learn != "scratch":
        update = (learn.update or ("rewrite",))[0] if learn.learn == "repair" else None
        return [LearningKey("crossbar", "analog", update, point, die) for point in points(options) for die in dies]
    work = CrossbarWork(options, config.seed, np.zeros(0, np.float32))
    jobs = []
    for backend in config.backend:
        if backend == "crossbar":
            for point in points(options):
                updates = learn.update or (default_update(point, work),)
                jobs += [LearningKey("crossbar", "analog", update, point, die) for update in updates for die in dies]
        else:
            offered = [name for name in BACKENDS[backend].precisions if name in LEARNING_PRECISIONS]
            jobs += [LearningKey(backend, name) for name in offered if not config.precision or name in config.precision]
    return jobs


def learn(config: RunConfig, dataset: Dataset, folder: Path, progress: Progress) -> list[Row]:
    """Make every row that the folder does not hold yet."""
    file = folder / "rows.jsonl"
    done = {_job(row).key: row for row in read_rows(file)}
    todo = learning_jobs(config)
    left = [job for job in todo if job.key not in done]
    material = _material(config, dataset)
    bar = progress.add_task("learning", total=len(left) * _effort(config))

    def advance() -> None:
        progress.advance(bar)

    files = {job.key: folder / LEARNT / f"{number}.safetensors" for number, job in enumerate(todo, start=1)}
    for job, row in _rows(config, left, material, files, advance):
        whole = {
            "learn": config.learning.learn,
            **asdict(job),
            **row,
            "seed": config.seed,
            "images": len(material.test[1]),
        }
        append_row(file, whole)
        done[job.key] = json.loads(json.dumps(whole))
    return [done[job.key] for job in todo]


def _rows(
    config: RunConfig, left: list[LearningKey], material: Material, files: dict[str, Path], advance: Callable[[], None]
) -> Iterator[tuple[LearningKey, Row]]:
    """(job, row) as they are finished: dies side by side, one thread each; other machines one after the other."""
    for job in left:
        if job.die is None:
            yield job, _clocked(config, job, material, files, advance)
    dies = [job for job in left if job.die is not None]
    make = {"repair": _repair, "scratch": _scratch, "beta": _beta}[str(config.learning.learn)](
        config, material, files, advance
    )
    with _one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        running = {pool.submit(make, job): job for job in dies}
        try:
            for finished in as_completed(running):
                yield running[finished], finished.result()
        except BaseException:
            for other in running:
                other.cancel()
            raise


@contextmanager
def _one_thread_each() -> Iterator[int]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _repair(
    config: RunConfig, material: Material, files: dict[str, Path], advance: Callable[[], None]
) -> Callable[[LearningKey], Row]:
    network = load_model(config.model)
    twin = f"{config.model}{NOISE_AWARE}"
    work = CrossbarWork(_dies(config), config.seed, material.calibration)
    images, labels = material.test
    right = _float_accuracy(config, images, labels)

    def row(job: LearningKey) -> Row:
        assert job.point is not None
        assert job.die is not None
        assert job.update is not None
        repair = Repair(
            network,
            load_model(twin) if twin in zoo_names() else None,
            work,
            UPDATES[job.update],
            schedule_of(config.learning, REPAIR, config.quick),
            material.train,
            material.test,
            config.steps,
            config.batch_size,
            config.tolerance,
        )
        arms = repair_die(repair, job.point, job.die - 1, files[job.key], advance)
        damage = {name: getattr(work.options, name) for name in DAMAGE}
        learnt = _name(files[job.key])
        return {"model": config.model, "float_accuracy": right, "damage": damage, "arms": arms, "learnt": learnt}

    return row


def _scratch(
    config: RunConfig, material: Material, files: dict[str, Path], advance: Callable[[], None]
) -> Callable[[LearningKey], Row]:
    work = CrossbarWork(_dies(config), config.seed, material.calibration)

    def row(job: LearningKey) -> Row:
        assert job.point is not None
        assert job.die is not None
        assert job.update is not None
        schedule = schedule_of(config.learning, SCRATCH_DIES, config.quick)
        curve = scratch_die(
            job.point,
            UPDATES[job.update],
            work,
            schedule,
            material.train,
            material.test,
            index=job.die - 1,
            steps=config.steps,
            batch_size=config.batch_size,
            keep=files[job.key],
            advance=advance,
        )
        return {"curve": curve, "learnt": _name(files[job.key])}

    return row


def _beta(
    config: RunConfig,
    material: Material,
    files: dict[str, Path],  # noqa: ARG001 - nothing is learnt
    advance: Callable[[], None],
) -> Callable[[LearningKey], Row]:
    network = load_model(config.model)
    work = CrossbarWork(_dies(config), config.seed, material.calibration)
    betas = betas_of(config.learning, config.quick)

    def row(job: LearningKey) -> Row:
        assert job.point is not None
        assert job.die is not None
        found = beta_sweep(
            network,
            job.point,
            work,
            config.learning,
            betas,
            material.train,
            index=job.die - 1,
            steps=config.steps,
            advance=advance,
        )
        return {"model": config.model, "cosines": found}

    return row


def _clocked(
    config: RunConfig, job: LearningKey, material: Material, files: dict[str, Path], advance: Callable[[], None]
) -> Row:
    curve = scratch_clocked(
        job.backend,
        job.precision,
        recipe_for(config.data or "digits"),
        schedule_of(config.learning, SCRATCH_FIXED if job.precision == "fixed" else SCRATCH_FLOAT, config.quick),
        material.train,
        material.test,
        seed=config.seed,
        steps=config.steps,
        batch_size=config.batch_size,
        device=config.device,
        keep=files[job.key],
        advance=advance,
    )
    return {"curve": curve, "learnt": _name(files[job.key])}


def _name(file: Path) -> str:
    """As a row names it: within the folder of the run."""
    return f"{LEARNT}/{file.name}"


def check_schedule(config: RunConfig) -> None:
    """Refuse learning rates and nudges that do not fit what learns; ValueError counts its links, or names the nudge."""
    counts, options = {}, config.learning
    if options.learn == "scratch":
        recipe = recipe_for(config.data or "digits")
        for backend in config.backend:
            name = "the network of dies" if backend == "crossbar" else "the recipe's network"
            counts[name] = len(DIE_LAYERS) if backend == "crossbar" else len(recipe.layers) + 1
    else:
        network = load_model(config.model)
        counts[f"model {config.model}"] = len(network.links) + (network.readout is not None)
        phases = [schedule_of(options, REPAIR, config.quick).phases]
        if options.learn == "beta":
            betas = betas_of(options, config.quick)
            phases = [phases_of(remedy, beta, options) for remedy in REMEDIES for beta in betas]
        for nudged in phases:
            nudged.check(circuit_of(network))
    check_rates(options, counts)


def _dies(config: RunConfig) -> CrossbarOptions:
    return dies_of(config.learning.learn, config.crossbar)


def _float_accuracy(config: RunConfig, images: Images, labels: Labels) -> float:
    from mapping.machines import to_digital

    machine = to_digital(load_model(config.model), steps=config.steps, batch_size=config.batch_size)
    return float((machine.settle(images).logits.argmax(axis=1) == labels).mean())


def _material(config: RunConfig, dataset: Dataset) -> Material:
    limit = min(config.limit or len(dataset.test), QUICK_LIMIT if config.quick else len(dataset.test))
    shown = QUICK_TRAINING if config.quick else len(dataset.train)
    return Material(
        _numpy(dataset.train.first(shown)),
        _numpy(dataset.test.first(limit)),
        dataset.train.first(DIE_CALIBRATION_IMAGES).floats().numpy(),
    )


def _numpy(images: ImageSet) -> tuple[Images, Labels]:
    return images.floats().numpy(), images.labels.numpy()


def _effort(config: RunConfig) -> int:
    """Steps of the progress bar that a row takes."""
    if config.learning.learn == "beta":
        return len(REMEDIES) * len(betas_of(config.learning, config.quick))
    defaults = REPAIR if config.learning.learn == "repair" else SCRATCH_DIES
    return schedule_of(config.learning, defaults, config.quick).epochs * (2 if config.learning.learn == "repair" else 1)


def _job(row: dict[str, Any]) -> LearningKey:
    """The job that a row of the file answers."""
    point = row.get("point")
    return LearningKey(
        row["backend"], row["precision"], row["update"], None if point is None else Point(**point), row["die"]
    )
