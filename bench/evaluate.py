"""One row: a machine settles the clean and the disturbed images, and its work is priced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import ceil
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.machines.crossbar import tile_counts
from bench.machines.registry import BACKENDS, RowKey, Workload
from bench.records.rows import Row
from bench.robustness.disturbances import Images, accuracy_interval
from hw.cost.meters import measure_energy, open_meters
from hw.events.messages import CODINGS
from hw.ledger import Ledger
from hw.machine import Machine, Settled, concatenate

LATENCY_REPEATS = 5
AT_ONCE = 2048
"""Images whose states a machine hands over together; only their scores are kept, which are small."""


@dataclass(frozen=True)
class _Answers:
    """What one machine answered, without states: a list holds one entry for every draw."""

    clean: list[Settled]
    hits: dict[str, list[int]]
    said: Mapping[str, Any] | None
    wall_s: float
    latency_s: float | None
    energy_j: float | None


def evaluate(
    job: RowKey,
    work: Workload,
    images: Images,
    labels: NDArray[np.int64],
    disturbances: Mapping[str, Images],
    advance: Callable[[str], None],
) -> Row:
    """The row of one machine, or of all dies of one point; `advance` is told what is about to be settled."""
    entry, name = BACKENDS[job.backend], f"{job.backend} {job.precision}"
    draws = 1 if job.point is None else work.crossbar.options.draws

    def answer(number: int, make: Callable[[], Machine]) -> _Answers:
        which = name if job.point is None else f"{name}, die {number}"
        with make() as machine:
            batch = images[: _first_batch(len(images), work.batch_size)]
            if job.point is None:
                machine.settle(batch)  # warm up
            advance(f"{which}: clean images")
            start = time.perf_counter()
            clean = [settle(machine, images) for _ in range(draws)]
            wall_s = time.perf_counter() - start
            hits = {}
            for disturbance, changed in disturbances.items():
                advance(f"{which}: {disturbance}")
                hits[disturbance] = [_correct(settle(machine, changed), labels) for _ in range(draws)]
            latency_s, energy_j = _measured(machine, batch, work.device) if entry.clocked else (None, None)
            said = None if entry.describe is None else entry.describe(machine)
        return _Answers(clean, hits, said, wall_s, latency_s, energy_j)

    answers = _side_by_side(answer, entry.open(work, job))
    settles = [one.clean for one in answers]
    hits = {disturbance: [one.hits[disturbance] for one in answers] for disturbance in disturbances}
    described = [one.said for one in answers if one.said is not None]
    latency_s, energy_j = answers[0].latency_s, answers[0].energy_j
    clean = [[_correct(settled, labels) for settled in draws_of_die] for draws_of_die in settles]
    settled = concatenate([settled for draws_of_die in settles for settled in draws_of_die])
    wall_s = sum(one.wall_s for one in answers) / len(settled.logits)
    costs, unpriced = entry.costs(settled.ledger, job, work, wall_s)
    main = next(iter(costs.values()), None)
    accuracy, interval = share_correct(clean, len(labels))
    robust = {disturbance: share_correct(counts, len(labels)) for disturbance, counts in hits.items()}
    return {
        "backend": job.backend,
        "precision": job.precision,
        "point": None if job.point is None else asdict(job.point),
        "images": len(labels),
        "accuracy": accuracy,
        "accuracy_ci95": interval,
        "accuracy_by_die": None if job.point is None else [float(np.mean(die)) / len(labels) for die in clean],
        "robust": {disturbance: share for disturbance, (share, _) in robust.items()},
        "robust_ci95": {disturbance: bounds for disturbance, (_, bounds) in robust.items()},
        "steps": None if settled.steps is None else float(settled.steps.mean()),
        "rest_s": None if settled.rest_s is None else float(settled.rest_s.mean()),
        "residual": {
            "median": float(np.median(settled.residual)),
            "p95": float(np.quantile(settled.residual, 0.95)),
            "max": float(settled.residual.max()),
        },
        "synops": _synops(settled.ledger),
        "energy_j": {**_range(main and main.energy_j), "profile": main.profile if main else None},
        "energy_measured_j": energy_j,
        "latency_s": {
            "measured": latency_s,
            **_range(main and main.latency_s),
            "profile": main.profile if main and main.latency_s else None,
        },
        "wall_s_per_image": wall_s,
        "costs": {profile: asdict(cost) for profile, cost in costs.items()},
        "unpriced": dict(unpriced),
        "dies": described,
        "tiles": None if settled.ledger.tiles is None else tile_counts(settled.ledger),
        "by_step": _by_step(settled, np.tile(labels, len(settled.logits) // len(labels))),
    }


def _side_by_side(
    answer: Callable[[int, Callable[[], Machine]], _Answers], makers: Sequence[Callable[[], Machine]]
) -> list[_Answers]:
    """Every machine's answers; several machines share the cores, one thread each, and answer as they would alone."""
    if len(makers) == 1:
        return [answer(1, makers[0])]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(answer, range(1, len(makers) + 1), makers))
    finally:
        torch.set_num_threads(threads)


def unpublished(job: RowKey) -> Row:
    """The row of a point at which the source of the device says nothing."""
    assert job.point is not None
    return {"backend": job.backend, "precision": job.precision, "point": asdict(job.point), "accuracy": None}


def share_correct(counts: list[list[int]], images: int) -> tuple[float, tuple[float, float]]:
    """Mean accuracy of dies (each a list of draws) and its 95 % interval.

    Of one machine: Wilson's interval, for the images are a sample. Of several dies: Student's interval of the mean over
    dies, for the dies are the sample and the images those of the benchmark.
    """
    means = [float(np.mean(draws)) / images for draws in counts]
    if len(means) == 1:
        return means[0], accuracy_interval(round(means[0] * images), images)
    mean, (low, high) = mean_interval(means)
    return mean, (max(0.0, low), min(1.0, high))


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean over dies and Student's 95 % interval of it; of a single die there is none, and it is the value itself."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, (mean, mean)
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, (mean - half, mean + half)


def settle(machine: Machine, images: Images) -> Settled:
    """What a machine answers to any number of images, without the final states: they would fill the memory."""
    parts = np.array_split(images, ceil(len(images) / AT_ONCE))
    return concatenate([replace(machine.settle(part), states=()) for part in parts])


def _first_batch(images: int, batch_size: int) -> int:
    """Images in the first batch that `settle` has a machine settle; the batches of Lava, which are equal, too."""
    part = ceil(images / ceil(images / AT_ONCE))
    return ceil(part / ceil(part / batch_size))


def _correct(settled: Settled, labels: NDArray[np.int64]) -> int:
    return int((settled.logits.argmax(axis=1) == labels).sum())


def _measured(machine: Machine, images: Images, device: str) -> tuple[float, float | None]:
    """Seconds to settle a single image, and joules per image of a batch by a counter of the computer, if it has one."""

    def settle_one() -> None:
        machine.settle(images[:1])

    def settle_all() -> None:
        machine.settle(images)
        if device != "cpu":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(LATENCY_REPEATS):
        start = time.perf_counter()
        settle_one()
        times.append(time.perf_counter() - start)
    energy = measure_energy(settle_all, open_meters(device))
    return median(times), None if energy is None else energy.energy_j / len(images)


def _synops(ledger: Ledger) -> dict[str, float | None]:
    """Synaptic operations per image of all links in both directions, under each coding, without the readout; None on a
    machine that sends no messages."""
    sent = ledger.messages
    return {name: None if sent is None else sent.synops(name) / ledger.images for name in CODINGS}


def _range(values: object) -> dict[str, float | None]:
    return {name: getattr(values, name, None) for name in ("low", "nominal", "high")}


def _by_step(settled: Settled, labels: NDArray[np.int64]) -> dict[str, list[float] | None]:
    """What the figures draw: accuracy after each step, or at each of the times, and spikes and synaptic operations that
    each step consumed, per image; None on a machine that sends no messages."""
    hits = (settled.logits_by_step.argmax(axis=2) == labels).mean(axis=1).tolist()
    times_s = None if settled.times_s is None else settled.times_s.tolist()
    sent, images = settled.ledger.messages, settled.ledger.images
    if sent is None:
        return {"accuracy": hits, "times_s": times_s, "spikes": None, **{f"synops_{name}": None for name in CODINGS}}
    work = {f"synops_{name}": (sent.synops_by_step(name) / images).tolist() for name in CODINGS}
    spikes = sent.column(sent.coding, "spikes").sum(axis=1) / images
    return {"accuracy": hits, "times_s": times_s, "spikes": spikes.tolist(), **work}
