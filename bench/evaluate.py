"""One row: a machine settles the clean and the disturbed images, and its work is priced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from bench.backends import BACKENDS, Workload
from bench.robustness import Images, accuracy_interval
from bench.rows import Row
from hw.cost.meters import measure_energy, open_meters
from hw.ledger import COLUMNS, Coding, Ledger
from hw.machine import Machine, Settled

CODINGS: tuple[Coding, ...] = ("dense", "zero_skip", "delta")
LATENCY_REPEATS = 5


def evaluate(
    backend: str,
    precision: str,
    work: Workload,
    images: Images,
    labels: NDArray[np.int64],
    disturbances: Mapping[str, Images],
    advance: Callable[[str], None],
) -> Row:
    """The row of one machine in one precision; `advance` is told what is about to be settled."""
    entry = BACKENDS[backend]
    with entry.open(work, precision) as machine:
        advance(f"{backend} {precision}: warm-up")
        machine.settle(images)
        advance(f"{backend} {precision}: clean images")
        start = time.perf_counter()
        settled = machine.settle(images)
        wall_s = (time.perf_counter() - start) / len(images)
        robust, robust_ci95 = {}, {}
        for name, changed in disturbances.items():
            advance(f"{backend} {precision}: {name}")
            correct = int((machine.settle(changed).logits.argmax(axis=1) == labels).sum())
            robust[name] = correct / len(labels)
            robust_ci95[name] = accuracy_interval(correct, len(labels))
        latency_s, energy_j = _measured(machine, images, work.device) if entry.clocked else (None, None)
    costs = entry.costs(settled.ledger, precision, work, wall_s)
    hits = settled.logits.argmax(axis=1) == labels
    main = next(iter(costs.values()), None)
    return {
        "backend": backend,
        "precision": precision,
        "images": len(labels),
        "accuracy": float(hits.mean()),
        "accuracy_ci95": accuracy_interval(int(hits.sum()), len(labels)),
        "robust": robust,
        "robust_ci95": robust_ci95,
        "steps": float(settled.steps.mean()),
        "residual": {"median": float(np.median(settled.residual)), "max": float(settled.residual.max())},
        "synops": _synops(settled.ledger),
        "energy_j": {**_range(main and main.energy_j), "profile": main.profile if main else None},
        "energy_measured_j": energy_j,
        "latency_s": {
            "measured": latency_s,
            **_range(main and main.latency_s),
            "profile": main.profile if main and main.latency_s else None,
        },
        "wall_s_per_image": wall_s,
        "costs": {name: asdict(cost) for name, cost in costs.items()},
        "by_step": _by_step(settled, labels),
    }


def _measured(machine: Machine, images: Images, device: str) -> tuple[float, float | None]:
    """Seconds to settle a single image, and joules per image by a counter of the computer, if it has one."""

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


def _synops(ledger: Ledger) -> dict[str, float]:
    """Synaptic operations per image of all links in both directions, under each coding, without the readout."""
    return {name: ledger.synops(name) / ledger.images for name in CODINGS}


def _range(values: object) -> dict[str, float | None]:
    return {name: getattr(values, name, None) for name in ("low", "nominal", "high")}


def _by_step(settled: Settled, labels: NDArray[np.int64]) -> dict[str, list[float]]:
    """What the figures draw: accuracy after each step, and synaptic operations each step consumed, per image."""
    ledger = settled.ledger
    hits = settled.logits_by_step.argmax(axis=2) == labels
    work = {f"synops_{name}": (ledger.synops_by_step(name) / ledger.images).tolist() for name in CODINGS}
    spikes = ledger.column(ledger.coding, COLUMNS[-1]).sum(axis=1) / ledger.images
    return {"accuracy": hits.mean(axis=1).tolist(), "spikes": spikes.tolist(), **work}
