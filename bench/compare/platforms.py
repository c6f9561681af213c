"""What is run: a network on a machine, its rules of stopping chosen on validation images and judged on test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.compare.courses import BOUNDS, Paid, Stopped, stop_all, watched
from bench.compare.places import place_of
from bench.compare.row import ALL, CompareRow, Platform, Way, row_of, rows_of, rule_name
from bench.compare.stopping import KINDS, Looks, Rule, candidates, choose
from bench.machines.backend import Backend, Images, Prices, RowKey, Workload
from bench.records.statistics import accuracy_interval
from hw.cost.cost import Cost
from hw.cost.roofline import gpu_cost
from hw.ledger import Ledger, merge
from mapping.machines import steps_of

BOARD = "H200"
"""The GPU that is paid for arithmetic, whatever computer this is."""
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
class Entry:
    """One network on one machine in one number format."""

    network: str
    backend: Backend
    key: RowKey
    work: Workload

    @property
    def name(self) -> str:
        """As progress tells it."""
        return f"{self.network} on {self.key.backend} {self.key.precision}"

    @property
    def settles(self) -> bool:
        """Whether states go down too; a twin is one pass."""
        return self.work.network.feedback

    @property
    def way(self) -> Way:
        """How it comes to its answer."""
        return "settles" if self.settles else "one pass"

    @property
    def in_floats(self) -> bool:
        """On a clocked processor: it is priced as a published GPU too."""
        return (self.key.backend, self.key.precision) == ("torch", "float")


@dataclass(frozen=True)
class Compared:
    """What came of an entry."""

    rows: list[CompareRow]
    curves: list[dict[str, Any]]
    """Points of accuracy against time and energy: network, platform, profile, kind, threshold, accuracy, its 95 %
    interval, stops, energy_j, latency_s."""
    unpriced: Mapping[str, str]
    ledger: Ledger
    """Of all test images, each run to the end alone."""
    together: Ledger | None
    """Of all test images in one batch, on a processor."""
    place: dict[str, str] | None
    """What it takes of a chip, in words; None of machines without places."""


def on_board(ledger: Ledger) -> dict[str, Cost]:
    """The published GPU's price of arithmetic, by its profile."""
    cost = gpu_cost(ledger, BOARD)
    assert cost is not None, "the board is in the table"
    return {cost.profile: cost}


def pricer_of(entry: Entry) -> Callable[[Ledger], Prices]:
    """Prices by all profiles of the machine, and by the GPU where it computes in floats."""
    pricer = entry.backend.pricer(entry.key, entry.work)
    if not entry.in_floats:
        return pricer

    def priced(ledger: Ledger) -> Prices:
        own = pricer(ledger)
        return Prices({**own.costs, **on_board(ledger)}, own.unpriced)

    return priced


def compare_on(entry: Entry, shown: Shown, loss: float, done: Callable[[str], None]) -> Compared:
    """Every rule on one machine, on the first of its dies; a network without feedback runs once through."""

    def told(what: str) -> None:
        done(f"{entry.name}: {what}")

    backend, pricer = entry.backend, pricer_of(entry)
    with backend.open(entry.work, entry.key)[0]() as machine:
        picked: dict[str, Rule] = {}
        curve: list[Rule] = []
        if entry.settles:
            looks = watched(backend, machine, shown.validation, told)
            picked = {
                rule_name(kind): choose(candidates(kind, looks), looks, shown.validation_labels, loss) for kind in KINDS
            }
            curve, count = _curve(looks), looks.count
        else:
            count = steps_of(entry.work.network, entry.work.conditions.settling.steps)
        rules = [Rule("steps", count), *picked.values(), *curve]
        whole, *stopped = stop_all(backend, machine, (shown.test, shown.test_labels), rules, pricer, told)
        together = machine.settle(shown.test).ledger if entry.in_floats else None
        told_of = backend.describe(machine)
        details = None if told_of is None else backend.details(whole.ledgers[0], [told_of], [])
    rows = rows_of(entry.network, entry.way, entry.key, whole, ALL)
    for name, one in zip(picked, stopped, strict=False):
        rows += rows_of(entry.network, entry.way, entry.key, one, name)
    if together is not None:
        rows.append(_shared(entry, whole, together))
    curves = [point for one in (whole, *stopped) for point in _points(entry, one)] if entry.settles else []
    return Compared(rows, curves, whole.unpriced, merge(list(whole.ledgers)), together, place_of(details))


def _shared(entry: Entry, whole: Stopped, ledger: Ledger) -> CompareRow:
    """The GPU with all images in one batch: weights are fetched once for all."""
    (profile, cost), *_ = on_board(ledger).items()
    key = entry.key
    platform = Platform(key.backend, key.precision, profile, ledger.images)
    steps = {"steps": whole.stops.astype(np.float64)}
    taken = repeated(cost, ledger.images)
    # an image of a batch has its answer when the batch has
    waited = None if taken.latency_s is None else taken.latency_s * ledger.images
    paid = replace(taken, latency_s=waited)
    return row_of(entry.network, entry.way, platform, (ALL, None), whole.right, paid, steps)


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


def _points(entry: Entry, one: Stopped) -> list[dict[str, Any]]:
    backend, precision = entry.key.backend, entry.key.precision
    return [
        {
            "network": entry.network,
            "platform": Platform(backend, precision, profile).name,
            "profile": profile,
            "kind": one.rule.kind,
            "threshold": one.rule.threshold,
            "accuracy": float(one.right.mean()),
            "accuracy_ci95": accuracy_interval(int(one.right.sum()), len(one.right)),
            "stops": float(one.stops.mean()),
            "energy_j": float(paid.energy_j[:, 1].mean()),
            "latency_s": None if paid.latency_s is None else float(paid.latency_s[:, 1].mean()),
        }
        for profile, paid in one.paid.items()
    ]
