"""One machine learns: what every epoch did, measured on the test images it never learns from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.learning_row import SCORES, LearningCurve
from bench.studies.training import Labelled, Training
from hw.learning.rule import Learned, LearningStoppedError
from hw.machine import LearningMachine
from mapping.learning import network_with, program_with
from mapping.program import Program
from mapping.training import train_on_machine
from models.ep.network import EPNetwork
from models.files.checkpoint import save_network


class Measured:
    """Accuracies of a machine that changes, one after the other, and what it answered first and last."""

    def __init__(self, machine: LearningMachine, shown: Labelled) -> None:
        self.shown, self.accuracy = shown, list[float]()
        self.before = self.after = self.take(machine)

    def take(self, machine: LearningMachine) -> NDArray[np.float32]:
        """One more, of the machine as it is now; (N, classes) its scores."""
        self.after = machine.settle(self.shown.images).logits.astype(np.float32)
        self.accuracy.append(float((self.after.argmax(axis=1) == self.shown.labels).mean()))
        return self.after

    def curve(self, **figures: Any) -> LearningCurve:
        """As rows hold it, the scores beside (`SCORES`)."""
        return {"accuracy": self.accuracy, **figures, SCORES: {"before": self.before, "after": self.after}}


def learning_curve(
    machine: LearningMachine,
    source: EPNetwork | Program,
    training: Training,
    keep: Path,
    *,
    refresh: Callable[[], None] = lambda: None,
    effort: Callable[[Any, list[Learned]], LearningCurve] = lambda _machine, _done: {},
    advance: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Learn, and measure before and after every epoch; `refresh` prepares a measurement, e.g. sets converter ranges;
    `effort` says what a machine was put through in the epochs that are done.

    What was learnt so far is in the file `keep` after every epoch. A machine that has to stop keeps what it has learnt;
    the curve ends there and says why.
    """
    test, train = training.material.test, training.material.train
    refresh()
    measured = Measured(machine, test)
    curve: LearningCurve = {"train_accuracy": [], "stopped": None}
    done: list[Learned] = []
    try:
        for _, learned in train_on_machine(
            machine, source, train.images, train.labels, training.schedule, seed=training.seed, augment=training.augment
        ):
            done.append(learned)
            save_learnt(machine, source, keep)
            refresh()
            measured.take(machine)
            curve["train_accuracy"].append(learned.accuracy)
            advance()
    except LearningStoppedError as error:
        curve["stopped"] = str(error)
        done += [] if error.learned is None else [error.learned]
        save_learnt(machine, source, keep)
        refresh()
        measured.take(machine)
    curve["agreement"] = [None if one.agreement is None else list(one.agreement) for one in done]
    return measured.curve(**curve, **effort(machine, done))


def save_learnt(machine: LearningMachine, source: EPNetwork | Program, file: Path) -> None:
    """Write what a machine holds now: a checkpoint, as `--model` takes it, or the program of a machine of integers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Program):
        program_with(source, machine.read_weights()).save(file)
    else:
        save_network(network_with(source, machine.read_weights()), file)
