"""What a noisy die sees of the gradient, against the strength of the nudge.

On a damaged die, EP asks every link for a change; the truth is the gradient by automatic differentiation through the
free phase of the network that the die holds, computed without noise. A small beta drowns in the noise of reading and in
the steps of the converters, a large one is no derivative any more; averaging and n-point nudges widen what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bench.machines.backend import Conditions
from bench.machines.crossbar_dies import Point, die
from bench.machines.crossbar_options import CrossbarOptions
from bench.studies.options import LearnOptions, Nudging, nudged_phases
from bench.studies.training import Labelled
from hw.crossbar.machine import Crossbar
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping.learning import descent_of, network_with
from models.ep.gradient import backprop_gradient
from models.ep.network import EPNetwork

BATCHES = 2
BATCH = 32
TRUE_STEPS = 30
"""Odd-even sweeps of the free phase that is differentiated."""


@dataclass(frozen=True)
class Remedy:
    """One way to estimate the gradient."""

    name: str
    nudging: Nudging
    nudges: int = 4
    repeats: int = 1


REMEDIES = (
    Remedy("one_sided", "one_sided"),
    Remedy("centered", "centered"),
    Remedy("centered, 8 averaged", "centered", repeats=8),
    Remedy("4 nudges", "n_point", nudges=4),
)


@dataclass(frozen=True)
class BetaSweep:
    """What all dies of a sweep have in common."""

    network: EPNetwork
    options: CrossbarOptions
    conditions: Conditions
    """Settles `BATCH` images at a time."""
    learning: LearnOptions
    betas: Sequence[float]
    train: Labelled


def beta_sweep(sweep: BetaSweep, point: Point, index: int, advance: Callable[[], None]) -> list[dict[str, Any]]:
    """Cosines between what the die asks for and the true descent, by remedy, beta and link: mean over batches."""
    network, train = sweep.network, sweep.train
    settling = replace(sweep.conditions.settling, batch_size=BATCH, tolerance=None)
    machine = die(network, point, sweep.options, replace(sweep.conditions, settling=settling), index)
    held = network_with(network, machine.read_weights())
    parts = [slice(first, first + BATCH) for first in range(0, min(BATCHES * BATCH, len(train.labels)), BATCH)]
    batches = [Labelled(train.images[part], train.labels[part]) for part in parts]
    truths = [_truth(held, batch) for batch in batches]
    cosines = []
    for remedy in REMEDIES:
        for beta in sweep.betas:
            phases = phases_of(remedy, beta, sweep.learning)
            by_link = _cosines(machine, network, phases, batches, truths)
            cosines.append({"remedy": remedy.name, "beta": beta, "phases": len(phases.betas), "cosine": by_link})
            advance()
    return cosines


def phases_of(remedy: Remedy, beta: float, options: LearnOptions) -> UpdatePhases:
    """The phases of one point of the sweep."""
    return nudged_phases(remedy.nudging, beta, options, points=remedy.nudges).repeated(remedy.repeats)


def _cosines(
    machine: Crossbar,
    network: EPNetwork,
    phases: UpdatePhases,
    batches: Sequence[Labelled],
    truths: Sequence[list[np.ndarray]],
) -> dict[str, float]:
    """By link, the mean over batches."""
    rule = LearningRule(phases, descent_of(network, [1.0] * len(machine.links)), BATCH)
    totals = np.zeros(len(machine.links))
    machine.calibrate_phases(batches[0].images, batches[0].labels, phases)
    for batch, truth in zip(batches, truths, strict=True):
        changes = machine.weight_changes(batch.images, batch.labels, rule)
        totals += [cosine(change, true) for change, true in zip(changes, truth, strict=True)]
    return dict(zip(machine.names, (totals / len(batches)).tolist(), strict=True))


def _truth(network: EPNetwork, batch: Labelled) -> list[np.ndarray]:
    """Direction of steepest descent of every weight tensor, as (outputs, inputs)."""
    images, labels = torch.as_tensor(batch.images), torch.as_tensor(batch.labels)
    gradient = backprop_gradient(network, images, labels, steps=TRUE_STEPS)
    return [-tensor.numpy().reshape(len(tensor), -1) for name, tensor in gradient.items() if name.endswith("weight")]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two arrays; 0 where one is nought."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / size) if size else 0.0
