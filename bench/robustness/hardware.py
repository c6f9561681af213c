"""Machines under attack: images made on the float network are shown to them, and one die is attacked on itself.

What is frozen in a die (errors of programming, drift, stuck devices) is part of its weights, and the attacker of a die
reads it; what is drawn anew at every read is averaged over. A machine is scored by how often it is right over fresh
draws, never by "once wrong, always wrong", which counts noise as an attack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.evaluate import all_at_once, settle
from bench.machines.backend import Backend, Images, RowKey, Workload
from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.square import Square
from bench.robustness.attacks.target import Target
from bench.robustness.ball import Ball
from bench.robustness.losses import Loss
from bench.robustness.slopes.slope import by_scores
from hw.dies import Together
from hw.machine import LearningMachine, Machine
from mapping.learning import network_with
from models.controls.classifier import FeedForward
from models.ep.adjoint import adjoint_slope
from models.ep.network import EPNetwork
from models.ep.relaxation import relax

Right = NDArray[np.float64]
"""(machines, N) how often each of several machines (dies) is right about each image."""


def shown_to(
    backend: Backend,
    key: RowKey,
    work: Workload,
    shown: Mapping[str, tuple[Images, NDArray[np.int64]]],
    draws: int,
    announce: Callable[[str], None],
) -> dict[str, Right]:
    """How often each machine of a row is right about the images of each name, over `draws` fresh draws."""
    right: dict[str, list[NDArray[np.float64]]] = {name: [] for name in shown}
    makers = backend.open(work, key)
    if (dies := all_at_once(backend, makers, work)) is not None:
        return {
            name: how_often_right(dies, images, labels, draws, len(makers)) for name, (images, labels) in shown.items()
        }
    for number, make in enumerate(makers, start=1):
        with make() as machine:
            for name, (images, labels) in shown.items():
                announce(f"{key.backend} {key.precision} {number}: {name}")
                right[name].extend(how_often_right(machine, images, labels, draws))
    return {name: np.stack(found) for name, found in right.items()}


@dataclass(frozen=True)
class OnDie:
    """Scores of the die, averaged over draws; the slope through the network that the die holds, at its state of rest,
    or, without feedback, through its one pass.

    What the die does besides its weights (converters, wires, noise) is passed straight through, as integers are
    (Bengio, Leonard & Courville 2013, arXiv:1308.3432; in attacks, Athalye, Carlini & Wagner 2018).
    """

    machine: Machine
    held: EPNetwork
    steps: int
    draws: int

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        scores = self.scores(images)
        if not self.held.feedback:
            with torch.enable_grad():
                shown = images.clone().requires_grad_()
                (slope,) = torch.autograd.grad(FeedForward(self.held)(shown), shown, by_scores(loss, scores))
            return scores, slope
        with torch.no_grad():
            states = relax(self.held, images, steps=self.steps, schedule="synchronous").states
        return scores, adjoint_slope(self.held, images, states, by_scores(loss, scores), tolerance=1e-4)

    def scores(self, images: Tensor) -> Tensor:
        """(B, K) mean over the draws."""
        return mean_scores(self.machine, self.draws, images)


@dataclass(frozen=True)
class Loop:
    """Attacks on one machine with itself in the loop; what they find is shown to it over and over."""

    ball: Ball
    steps: int
    judged: int
    """Fresh draws that the result is scored by."""
    seed: int

    def by_slopes(
        self,
        make: Callable[[], Machine],
        held: Callable[[Machine], EPNetwork],
        images: Tensor,
        labels: Tensor,
        steps: int,
        draws: int,
    ) -> Right:
        """(1, N) how often it is right after PGD by what `held` knows of it; scores are means of so many draws."""
        with make() as machine:
            slope = OnDie(machine, held(machine), steps, draws)
            target = Target(slope.scores, images, labels)
            found = PGD(self.ball, self.steps, seed=self.seed).strongest(target, slope).images
            return self._scored(machine, found, labels)

    def by_queries(
        self, make: Callable[[], Machine], images: Tensor, labels: Tensor, queries: int, draws: int
    ) -> Right:
        """(1, N) the same after Square, which sees scores only."""
        with make() as machine:
            target = Target(partial(mean_scores, machine, draws), images, labels)
            return self._scored(machine, Square(self.ball, queries, self.seed).find(target).images, labels)

    def _scored(self, machine: Machine, found: Tensor, labels: Tensor) -> Right:
        return how_often_right(machine, found.cpu().numpy(), labels.cpu().numpy(), self.judged)


def mean_scores(machine: Machine, draws: int, images: Tensor) -> Tensor:
    """(B, K) class scores, the mean over so many settles."""
    shown = images.cpu().numpy()
    read = [machine.settle(shown).logits for _ in range(draws)]
    return torch.from_numpy(np.mean(read, axis=0, dtype=np.float32)).to(images)


def how_often_right(
    machine: Machine | Together, images: Images, labels: NDArray[np.int64], draws: int, dies: int = 1
) -> Right:
    """(dies, N) over so many settles of the same images, noise drawn anew."""
    answers = [settle(machine, images, dies).logits.argmax(axis=1).reshape(dies, -1) == labels for _ in range(draws)]
    return np.mean(answers, axis=0, dtype=np.float64)


def held_by(machine: Machine, network: EPNetwork) -> EPNetwork:
    """The network with the weights that an analog machine holds, its frozen errors included."""
    reader: LearningMachine = machine  # type: ignore[assignment]
    return network_with(network, reader.read_weights())
