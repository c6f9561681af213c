"""How a machine comes to its answers: one settle of every image, from which all rules of stopping are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.compare.stopping import Array, Looks, Rule, answers_at
from bench.machines.backend import Backend, Images, Prices
from hw.ledger import Ledger
from hw.machine import Settled

BOUNDS = ("low", "nominal", "high")
BATCH = 16
"""Images of which a trace is kept at once."""

Pricer = Callable[[Ledger], Prices]


@dataclass(frozen=True)
class Paid:
    """What N images took under one rule, by one profile."""

    energy_j: Array
    """(N, 3) low, nominal, high."""
    latency_s: Array | None
    """(N, 3); None where the profile has no times."""
    breakdown_j: Mapping[str, float]
    """Where the nominal joules of the mean image went."""
    note: str


@dataclass(frozen=True)
class Stopped:
    """N images under one rule."""

    rule: Rule
    stops: NDArray[np.int64]
    """(N,) looks."""
    right: NDArray[np.bool_]
    """(N,)"""
    paid: Mapping[str, Paid]
    """By profile."""
    unpriced: Mapping[str, str]
    times_s: Array | None
    """(R,) of the looks, on machines without a clock: how long the settle itself took, converters aside."""
    ledgers: tuple[Ledger, ...]
    """Of each image."""


def looks_of(settled: Settled, tau_s: float | None = None) -> Looks:
    """What could be seen of a settle with a trace; `tau_s` is the time constant of a machine without a clock."""
    if settled.trace is None:
        raise ValueError("a settle without its trace says nothing of how states moved: settle with trace=True")
    before = _look_before(settled, tau_s)
    moved = np.zeros(settled.logits_by_step.shape[:2])
    for layer in settled.trace:
        flat = np.asarray(layer, np.float32).reshape(*layer.shape[:2], -1)
        for look, earlier in enumerate(before):
            change = flat[look] if earlier < 0 else flat[look] - flat[earlier]
            moved[look] = np.maximum(moved[look], np.abs(change).max(axis=1) / settled.one)
    return Looks(np.asarray(settled.logits_by_step, np.float64), moved)


def _look_before(settled: Settled, tau_s: float | None) -> NDArray[np.int64]:
    """(R,) the look that a move is measured from: the one before, or the last that is a time constant ago or more; -1
    is the start, from zero."""
    if settled.times_s is None:
        return np.arange(len(settled.logits_by_step)) - 1
    if tau_s is None:
        raise ValueError("a machine without a clock needs its time constant")
    rounding = 1e-9 * tau_s
    found: NDArray[np.int64] = np.searchsorted(settled.times_s, settled.times_s - tau_s + rounding, side="right") - 1
    return found


def watched(backend: Backend, machine: Any, images: Images, done: Callable[[str], None]) -> Looks:
    """What can be seen of many images, settled in batches."""
    seen = []
    for first in range(0, len(images), BATCH):
        done(f"validation image {first + 1} of {len(images)}")
        settled = machine.settle(images[first : first + BATCH], trace=True)
        seen.append(looks_of(settled, tau_of(backend, machine)))
    return Looks(
        np.concatenate([one.scores for one in seen], axis=1), np.concatenate([one.moved for one in seen], axis=1)
    )


def tau_of(backend: Backend, machine: Any) -> float | None:
    """Time constant of a machine without a clock; None of one with a clock."""
    told = backend.describe(machine)
    return None if told is None else told.get("tau_s")


def stop_all(
    backend: Backend,
    machine: Any,
    shown: tuple[Images, NDArray[np.int64]],
    rules: Sequence[Rule],
    pricer: Pricer,
    done: Callable[[str], None],
) -> list[Stopped]:
    """Every rule on all of N images, each settled once, alone: what it took is its own."""
    images, labels = shown
    tau_s, times_s = tau_of(backend, machine), None
    taken: list[list[_One]] = [[] for _ in rules]
    for index in range(len(images)):
        done(f"test image {index + 1} of {len(images)}")
        settled, until = backend.course(machine, images[index : index + 1])
        looks, times_s = looks_of(settled, tau_s), settled.times_s
        priced: dict[tuple[int, int], tuple[Ledger, Prices]] = {}
        for rule, ones in zip(rules, taken, strict=True):
            stop = int(rule.stops(looks)[0])
            seen = stop if rule.looks_at_scores else 1
            if (stop, seen) not in priced:
                ledger = until(stop, seen)
                priced[stop, seen] = (ledger, pricer(ledger))
            answer = int(answers_at(looks, np.array([stop]))[0])
            ones.append(_One(stop, answer == int(labels[index]), *priced[stop, seen]))
    return [_joined(rule, ones, times_s) for rule, ones in zip(rules, taken, strict=True)]


@dataclass(frozen=True)
class _One:
    stop: int
    right: bool
    ledger: Ledger
    prices: Prices


def _joined(rule: Rule, ones: Sequence[_One], times_s: Array | None) -> Stopped:
    first = ones[0].prices
    return Stopped(
        rule,
        np.array([one.stop for one in ones]),
        np.array([one.right for one in ones]),
        {name: _paid([one.prices.costs[name] for one in ones]) for name in first.costs},
        first.unpriced,
        times_s,
        tuple(one.ledger for one in ones),
    )


def _paid(costs: Sequence[Any]) -> Paid:
    ranges = [cost.latency_s for cost in costs]
    latency = None if ranges[0] is None else np.array([[getattr(one, bound) for bound in BOUNDS] for one in ranges])
    names = dict.fromkeys(name for cost in costs for name in cost.breakdown_j)
    parts = {name: float(np.mean([cost.breakdown_j.get(name, 0.0) for cost in costs])) for name in names}
    energy = np.array([[getattr(cost.energy_j, bound) for bound in BOUNDS] for cost in costs])
    return Paid(energy, latency, parts, costs[0].note)
