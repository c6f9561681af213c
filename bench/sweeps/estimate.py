"""How long a sweep will take, before its first row: judged by finished rows, or by a probe, and which.

A probe is the first point with few images: what a run takes is taken to be a + b * images, a study of learning a + b *
images learnt from + c * images shown, of each of its rows, an epoch like any other.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.learn import LearnConfig
from bench.robustness.options import RobustConfig
from bench.run import RunConfig
from bench.sweeps.commands import COMMANDS
from bench.sweeps.place import Place
from bench.sweeps.points import Point

if TYPE_CHECKING:
    from bench.studies.run import StudyRun

FEW, MORE = 8, 32
"""Images of a probe of bench.run, and of bench.learn."""
FEW_BATCHES, MORE_BATCHES = 1, 3
"""Updates of a probe of bench.learn."""


@dataclass(frozen=True)
class Estimate:
    """What a point takes."""

    seconds: float
    """Of one process."""
    judged_by: str

    def words(self, left: int, workers: int) -> str:
        """Of so many points."""
        rounds = -(-left // workers)
        return f"about {self.seconds * rounds:,.0f} s with {workers} processes, judged by {self.judged_by}"


def estimate(place: Place, points: Sequence[Point]) -> Estimate:
    """By rows that are finished, of these points or of others in the folder, else by a probe of the first point."""
    finished = place.keys("rows")
    kept = [point.key for point in points if point.key in finished] or sorted(finished)
    if kept:
        seconds = [float(place.get("rows", key)["seconds"]) for key in kept]
        return Estimate(median(seconds), f"{len(kept)} finished rows")
    return probe(points[0])


def probe(point: Point) -> Estimate:
    """The first point with few images and with more."""
    config = point.config
    with contextlib.redirect_stderr(io.StringIO()), TemporaryDirectory(prefix="ep-probe-") as folder:
        if isinstance(config, RunConfig):
            return _of_run(point, config)
        if isinstance(config, RobustConfig):
            return _of_robustness(point, config, Path(folder))
        assert isinstance(config, LearnConfig), "there is no other command"
        return _of_learning(config, Path(folder))


def _of_run(point: Point, config: RunConfig) -> Estimate:
    images = config.run.shown or _images(config)
    if images <= MORE:
        return Estimate(_timed(point, images), f"a probe of {images} images")
    _timed(point, FEW)  # the first time loads what a worker loads once
    return _along(point, FEW, MORE, images)


def _of_robustness(point: Point, config: RobustConfig, folder: Path) -> Estimate:
    """From an image per class on, which it needs."""
    from bench.robustness.__main__ import prepare

    study = prepare(config, folder)
    images, classes = len(study.chosen), study.dataset.classes
    if images <= 2 * classes:
        return Estimate(_timed(point, images), f"a probe of {images} images")
    return _along(point, classes, 2 * classes, images)


def _along(point: Point, few: int, more: int, images: int) -> Estimate:
    """By the line through two probes."""
    short, long = _timed(point, few), _timed(point, more)
    each = max(long - short, 0.0) / (more - few)
    return Estimate(short + each * (images - few), f"a probe of {few} and {more} images of the first point")


def _of_learning(config: LearnConfig, folder: Path) -> Estimate:
    """Its first row, an epoch of few images and of more; the study of beta, whose images are always as many, one of its
    nudges."""
    from bench.learn import prepare
    from bench.studies.run import tasks_of

    study = prepare(config, folder)
    rows = tasks_of(study)
    if config.learning.study == "beta":
        one = replace(study, learning=replace(study.learning, beta=config.learning.beta[:1] or (0.5,)))
        share = rows[0].units / tasks_of(one)[0].units
        return Estimate(len(rows) * share * _first_row(one), "a probe of one nudge of the first point")
    epochs = rows[0].units / tasks_of(_shorter(study, 1, FEW))[0].units
    batch, material = config.learning.learning_batch, study.material
    _first_row(_shorter(study, FEW_BATCHES, FEW))
    base, learning, showing = (
        _first_row(_shorter(study, batches, images))
        for batches, images in ((FEW_BATCHES, FEW), (MORE_BATCHES, FEW), (FEW_BATCHES, MORE))
    )
    each_learnt = max(learning - base, 0.0) / ((MORE_BATCHES - FEW_BATCHES) * batch)
    # before and after the epoch
    each_shown = max(showing - base, 0.0) / (2 * (MORE - FEW))
    fixed = max(base - each_learnt * FEW_BATCHES * batch - each_shown * 2 * FEW, 0.0)
    row = fixed + epochs * len(material.train.labels) * each_learnt
    row += (epochs + 1) * len(material.test.labels) * each_shown
    return Estimate(len(rows) * row, f"a probe of {MORE_BATCHES * batch} images of the first point")


def _shorter(study: StudyRun, batches: int, images: int) -> StudyRun:
    """An epoch of so many updates, measured on so many images."""
    material, count = study.material, batches * study.learning.learning_batch
    little = replace(material, train=material.train.first(count), test=material.test.first(images))
    return replace(study, learning=replace(study.learning, epochs=1), material=little)


def _first_row(study: StudyRun) -> float:
    """Seconds of it."""
    from bench.studies.run import tasks_of

    task = tasks_of(study)[0]
    with TemporaryDirectory(prefix="ep-probe-") as folder:
        return _seconds(lambda: task.make(Path(folder, "learnt.safetensors"), lambda: None))


def _images(config: RunConfig) -> int:
    from models.data import load_data
    from models.zoo.manifests import trained_on

    return len(load_data(config.run.data or trained_on(config.run.model), config.run.data_dir).test)


def _timed(point: Point, images: int) -> float:
    """Seconds of a point that is shown so many images."""
    config = replace(point.config, run=replace(point.config.run, limit=images))
    with TemporaryDirectory(prefix="ep-probe-") as folder:
        return _seconds(lambda: list(COMMANDS[point.command].rows(config, Path(folder), Path(folder))))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
