"""What is run: every machine in every number format, its rules chosen on validation and judged on test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.compare.courses import BOUNDS, Paid, Stopped, stop_all, watched
from bench.compare.row import ALL, CompareRow, Platform, row_of, rows_of, rule_name
from bench.compare.stopping import KINDS, Looks, Rule, candidates, choose
from bench.machines.backend import Backend, Images, Prices, RowKey, Workload
from hw.cost.cost import Cost
from hw.cost.roofline import gpu_cost
from hw.ledger import Ledger

BOARD = "H200"
"""The GPU that pays for arithmetic, whatever computer this is."""
CURVE = 8
"""Thresholds of each rule that make its curve."""


@dataclass(frozen=True)
class Shown:
    """Images: what thresholds are chosen on, and what everything is judged on."""

    validation: Images
    validation_labels: NDArray[np.int64]
    test: Images
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class Compared:
    """One machine in one number format."""

    rows: list[CompareRow]
    curves: list[dict[str, Any]]
    """Points of accuracy against time and energy: backend, precision, profile, kind, threshold, accuracy, stops,
    energy_j, latency_s."""
    unpriced: Mapping[str, str]


def with_boards(pricer: Callable[[Ledger], Prices], backend: str, precision: str) -> Callable[[Ledger], Prices]:
    """Prices, and of a processor that computes in floats those of a published GPU too."""
    if (backend, precision) != ("torch", "float"):
        return pricer

    def priced(ledger: Ledger) -> Prices:
        own = pricer(ledger)
        return Prices({**own.costs, **on_board(ledger)}, own.unpriced)

    return priced


def on_board(ledger: Ledger) -> dict[str, Cost]:
    """The published GPU's price of arithmetic."""
    cost = gpu_cost(ledger, BOARD)
    assert cost is not None, "the board is in the table"
    return {cost.profile: cost}


def settle_on(
    backend: Backend,
    key: RowKey,
    work: Workload,
    shown: Shown,
    network: str,
    loss: float,
    done: Callable[[str], None],
) -> Compared:
    """Every rule on one machine; of dies, on the first."""
    pricer = with_boards(backend.pricer(key, work), key.backend, key.precision)
    name = f"{key.backend} {key.precision}"
    with backend.open(work, key)[0]() as machine:
        looks = watched(backend, machine, shown.validation, lambda what: done(f"{name}: {what}"))
        picked = {kind: choose(candidates(kind, looks), looks, shown.validation_labels, loss) for kind in KINDS}
        rules = [*picked.values(), Rule("steps", looks.count), *_curve(looks)]
        test = (shown.test, shown.test_labels)
        stopped = stop_all(backend, machine, test, rules, pricer, lambda what: done(f"{name}: {what}"))
        batch = _batch_ledger(machine, shown.test) if (key.backend, key.precision) == ("torch", "float") else None
    platform, rows = (key.backend, key.precision), []
    for rule, one in zip(picked.values(), stopped, strict=False):
        rows += rows_of(network, platform, one, rule_name(rule))
    whole = stopped[len(picked)]
    rows += rows_of(network, platform, whole, ALL)
    if batch is not None:
        rows += _shared(network, key, whole, batch)
    curves = [point for one in stopped for point in _points(platform, one)]
    return Compared(rows, curves, whole.unpriced)


def _batch_ledger(machine: Any, images: Images) -> Ledger:
    ledger: Ledger = machine.settle(images).ledger
    return ledger


def _shared(network: str, key: RowKey, whole: Stopped, ledger: Ledger) -> list[CompareRow]:
    """The GPU with all images in one batch: weights are fetched once for all."""
    (profile, cost), *_ = on_board(ledger).items()
    platform = Platform(key.backend, key.precision, profile, ledger.images)
    steps = {"steps": whole.stops.astype(np.float64)}
    return [row_of(network, "settles", platform, (ALL, None), whole.right, repeated(cost, ledger.images), steps)]


def repeated(cost: Cost, images: int) -> Paid:
    """What every image took, where all took the same."""
    energy = np.tile([getattr(cost.energy_j, bound) for bound in BOUNDS], (images, 1))
    latency = cost.latency_s
    times = None if latency is None else np.tile([getattr(latency, bound) for bound in BOUNDS], (images, 1))
    return Paid(energy, times, cost.breakdown_j, cost.note)


def _curve(looks: Looks) -> list[Rule]:
    """Some rules of every kind, loose to tight."""
    rules = []
    for kind in KINDS:
        every = candidates(kind, looks)
        index = np.unique(np.geomspace(1, len(every), CURVE).round().astype(int)) - 1
        rules += [every[one] for one in index]
    return rules


def _points(platform: tuple[str, str], one: Stopped) -> list[dict[str, Any]]:
    backend, precision = platform
    return [
        {
            "backend": backend,
            "precision": precision,
            "profile": profile,
            "kind": one.rule.kind,
            "threshold": one.rule.threshold,
            "accuracy": float(one.right.mean()),
            "stops": float(one.stops.mean()),
            "energy_j": float(paid.energy_j[:, 1].mean()),
            "latency_s": None if paid.latency_s is None else float(paid.latency_s[:, 1].mean()),
        }
        for profile, paid in one.paid.items()
    ]
