"""One machine learns: what every epoch did, measured on the test images it never learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.robustness.disturbances import Images
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES
from hw.crossbar.machine import Crossbar
from hw.learning.rule import Learned, LearningStoppedError
from hw.ledger import counted
from hw.machine import LearningMachine
from mapping.learning import network_with, program_with
from mapping.program import Program
from mapping.training import Change, LearningSchedule, teach
from models.ep.network import EPNetwork
from models.files.checkpoint import save_network

Labels = NDArray[np.int64]
LearningCurve = dict[str, Any]
"""accuracy: before and after every epoch; what else was counted: one entry per epoch."""
PROFILE = "hermes-14nm"
"""Cost profile of what reads cost while learning."""


def accuracy(machine: LearningMachine, images: Images, labels: Labels) -> float:
    """Share of these images that the machine gets right."""
    return float((machine.settle(images).logits.argmax(axis=1) == labels).mean())


def learning_curve(
    machine: LearningMachine,
    source: EPNetwork | Program,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    schedule: LearningSchedule,
    *,
    seed: int,
    keep: Path,
    refresh: Callable[[], None] = lambda: None,
    augment: Change | None = None,
    advance: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Teach, and measure before and after every epoch; `refresh` prepares a measurement, e.g. sets converter ranges.

    What was learnt so far is in the file `keep` after every epoch. A machine that has to stop keeps what it has learnt;
    the curve ends there and says why.
    """
    refresh()
    curve: LearningCurve = {"accuracy": [accuracy(machine, *test)], "train_accuracy": [], "stopped": None}
    done: list[Learned] = []
    try:
        for _, learned in teach(machine, source, *train, schedule, seed=seed, augment=augment):
            done.append(learned)
            save_learnt(machine, source, keep)
            refresh()
            curve["accuracy"].append(accuracy(machine, *test))
            curve["train_accuracy"].append(learned.accuracy)
            advance()
    except LearningStoppedError as error:
        curve["stopped"] = str(error)
        done += [] if error.learned is None else [error.learned]
        save_learnt(machine, source, keep)
        refresh()
        curve["accuracy"].append(accuracy(machine, *test))
    curve["agreement"] = [None if one.agreement is None else list(one.agreement) for one in done]
    if isinstance(machine, Crossbar):
        curve |= effort(machine, done)
    return curve


def save_learnt(machine: LearningMachine, source: EPNetwork | Program, file: Path) -> None:
    """Write what a machine holds now: a checkpoint, as `--model` takes it, or the program of a machine of integers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Program):
        program_with(source, machine.read_weights()).save(file)
    else:
        save_network(network_with(source, machine.read_weights()), file)


def effort(machine: Crossbar, done: list[Learned]) -> LearningCurve:
    """What every epoch took on the devices: writes, reads between them, joules; None where nothing is published."""
    writes = machine.writes()
    tiles = [counted(one.ledger.tiles, "tiles") for one in done]
    return {
        "written": [asdict(events.written) for events in tiles],
        "energy_j": [_read_energy(one) for one in done],
        "writes_per_device": {"mean": float(writes.mean()), "max": int(writes.max())},
    }


def _read_energy(learned: Learned) -> dict[str, Any] | None:
    """Modelled joules of one epoch without its writes; None where the profile has no price for these converters."""
    ledger = learned.ledger
    tiles = counted(ledger.tiles, "tiles")
    updates = float(counted(ledger.messages, "messages").neuron_updates_by_step().sum())
    try:
        cost = crossbar_cost(tiles, updates, ledger.images, CROSSBAR_PROFILES[PROFILE])
    except ValueError:
        return None
    return {name: ledger.images * getattr(cost.energy_j, name) for name in ("low", "nominal", "high")}
