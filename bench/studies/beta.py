"""What a noisy die sees of the gradient, against the strength of the nudge.

On a damaged die, EP asks every link for a change; the truth is the gradient by automatic differentiation through the
free phase of the network that the die holds, computed without noise. A small beta drowns in the noise of reading and in
the steps of the converters, a large one is no derivative any more; averaging and n-point nudges widen what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.machines.crossbar import CrossbarWork, Point, die
from bench.robustness.disturbances import Images
from bench.studies.curve import Labels
from bench.studies.options import LearnOptions, Nudging, nudged_phases
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


def beta_sweep(
    network: EPNetwork,
    point: Point,
    work: CrossbarWork,
    options: LearnOptions,
    betas: Sequence[float],
    train: tuple[Images, Labels],
    *,
    index: int,
    steps: int,
    advance: Callable[[], None],
) -> list[dict[str, Any]]:
    """Cosines between what the die asks for and the true descent, by remedy, beta and link: mean over batches."""
    machine = die(network, point, work, index=index, steps=steps, batch_size=BATCH, tolerance=None)
    held = network_with(network, machine.read_weights())
    batches = [slice(first, first + BATCH) for first in range(0, min(BATCHES * BATCH, len(train[1])), BATCH)]
    truths = [_truth(held, train[0][part], train[1][part]) for part in batches]
    found = []
    for remedy in REMEDIES:
        for beta in betas:
            phases = phases_of(remedy, beta, options)
            cosines = _cosines(machine, network, phases, train, batches, truths)
            found.append({"remedy": remedy.name, "beta": beta, "phases": len(phases.betas), "cosine": cosines})
            advance()
    return found


def phases_of(remedy: Remedy, beta: float, options: LearnOptions) -> UpdatePhases:
    """The phases of one point of the sweep."""
    return nudged_phases(remedy.nudging, beta, options, points=remedy.nudges).repeated(remedy.repeats)


def _cosines(
    machine: Crossbar,
    network: EPNetwork,
    phases: UpdatePhases,
    train: tuple[Images, Labels],
    batches: Sequence[slice],
    truths: Sequence[list[np.ndarray]],
) -> dict[str, float]:
    """By link, the mean over batches."""
    ones = [1.0] * len(machine.links)
    rule = LearningRule(phases, descent_of(network, ones), BATCH)
    totals = np.zeros(len(machine.links))
    machine.calibrate_phases(train[0][batches[0]], train[1][batches[0]], phases)
    for part, truth in zip(batches, truths, strict=True):
        asked = machine.wanted(train[0][part], train[1][part], rule)
        totals += [_cosine(change, true) for change, true in zip(asked, truth, strict=True)]
    return dict(zip(machine.names, (totals / len(batches)).tolist(), strict=True))


def _truth(network: EPNetwork, images: Images, labels: Labels) -> list[np.ndarray]:
    """Direction of steepest descent of every weight tensor, as (outputs, inputs)."""
    gradient = backprop_gradient(network, torch.as_tensor(images), torch.as_tensor(labels), steps=TRUE_STEPS)
    return [-tensor.numpy().reshape(len(tensor), -1) for name, tensor in gradient.items() if name.endswith("weight")]


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / size) if size else 0.0
