"""Training on a machine: the loop, the order of the images and the schedule of the rates, the same for all machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned, LearningRule
from hw.machine import LearningMachine
from mapping.learning import descent_of
from mapping.program import Program
from models.ep.network import EPNetwork

Change = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True)
class LearningSchedule:
    """How a machine is trained. Rates follow a cosine from `learning_rates` down to 0 over the epochs."""

    phases: UpdatePhases
    learning_rates: tuple[float, ...]
    """Of every link and of the readout, if there is one."""
    epochs: int
    batch_size: int = 16
    weight_decay: tuple[float, ...] | None = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}, must be at least 1")

    def rule(self, source: EPNetwork | Program, epoch: int) -> LearningRule:
        """The rule of epoch 1, 2, ..."""
        share = 0.5 * (1 + np.cos(np.pi * (epoch - 1) / self.epochs))
        rates = [rate * float(share) for rate in self.learning_rates]
        descent = descent_of(source, rates, weight_decay=self.weight_decay, momentum=self.momentum)
        return LearningRule(self.phases, descent, self.batch_size)


def train_on_machine(
    machine: LearningMachine,
    source: EPNetwork | Program,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    schedule: LearningSchedule,
    *,
    seed: int,
    augment: Change | None = None,
) -> Iterator[tuple[int, Learned]]:
    """Every epoch of a schedule as it is done: (epoch, what the machine did).

    Every image once per epoch, in an order that (seed, epoch) decides. `source` is what the machine was made of;
    `augment` changes a copy of the images before each epoch. What a machine that must stop has learnt stays on it, and
    its error holds the part of the epoch that was done.
    """
    for epoch in range(1, schedule.epochs + 1):
        rng = np.random.default_rng([seed, epoch, 1])
        order = rng.permutation(len(images))
        shown = images[order] if augment is None else augment(images[order], rng)
        yield epoch, machine.learn(shown, labels[order], schedule.rule(source, epoch))
