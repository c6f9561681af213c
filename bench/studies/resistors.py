"""Repair and nudges of dies of resistors: the studies of `repair` and `beta` where nothing has a clock.

Repair: equilibrium propagation on the die, or as many writes spent on programming what is farthest off again. Beta:
what a die asks of its resistors, with the noise of its devices in every phase, against what the same die would ask
without noise in the limit of small nudges, which is the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.machines.backend import Conditions
from bench.machines.resistive import ResistiveBackend, ResistivePoint, circuit, effort
from bench.records.learning_row import LearningCurve
from bench.studies.beta import BATCH, BATCHES, REMEDIES, cosine, phases_of
from bench.studies.curve import Measured, learning_curve
from bench.studies.options import LearnOptions
from bench.studies.repair import EP, WRITE_VERIFY
from bench.studies.training import Labelled, Material, Training
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule
from hw.resistive.die import Die, fabricate, written_back
from hw.resistive.links import Operator
from hw.resistive.machine import Resistive
from mapping.machines import to_resistive
from mapping.resistive import resistive_of
from mapping.training import LearningSchedule
from models.ep.network import EPNetwork
from models.resistive.equivalent import ResistiveEP

SMALL_SHARE = 1e-3
"""Of the load of an output: a nudge so small is a derivative."""


@dataclass(frozen=True)
class Dies:
    """What all dies of a study have in common."""

    network: EPNetwork
    backend: ResistiveBackend
    conditions: Conditions
    update: str
    material: Material

    def machine(self, point: ResistivePoint, index: int) -> Resistive:
        """Die number `index` of a point, as it is when the study begins."""
        return circuit(self.network, self.backend, self.conditions, point, index, self.update)


def check_nudges(model: str, network: EPNetwork, phases: Sequence[UpdatePhases]) -> None:
    """Refuse a network that is not one of resistors, and nudges that outweigh what holds its outputs; ValueError."""
    if not isinstance(network, ResistiveEP) or network.circuit is None:
        raise ValueError(f"--model {model} is no resistive network, which alone learn on their dies: use drn-digits")
    held = largest_push(network)
    for of_update in phases:
        if -min(of_update.betas) >= held:
            raise ValueError(
                f"a nudge of beta {min(of_update.betas):g} outweighs what holds an output, {held:.3g}: no point of "
                "rest, use a smaller --beta, or --estimator one_sided"
            )


def largest_push(network: EPNetwork) -> float:
    """The nudge away from its target at which an output of the network as designed has no point of rest any more."""
    mapped = resistive_of(network)
    weights = [1.0]
    for row in mapped.network.amplifiers:
        weights.append(weights[-1] * (1.0 if row is None else float((row.back / row.gain).mean())))
    return weights[-1] * float(Operator(mapped.network.links[-1], "cpu").load_above.min()) / mapped.siemens


def repair_die(
    dies: Dies, schedule: LearningSchedule, point: ResistivePoint, index: int, keep: Path, advance: Callable[[], None]
) -> dict[str, LearningCurve]:
    """Both ways, on one die; what EP learns goes into the file `keep`."""
    machine = dies.machine(point, index)
    written: list[int] = []

    def next_epoch() -> None:
        written.append(int(machine.writes().sum()) - sum(written))
        advance()

    training = Training(dies.material, schedule, dies.conditions.seed)
    learnt = learning_curve(machine, dies.network, training, keep, effort=effort, advance=next_epoch)
    learnt["written"] = [{"devices": count} for count in written]
    return {EP: learnt, WRITE_VERIFY: _write_back(dies, point, index, written)}


def _write_back(dies: Dies, point: ResistivePoint, index: int, budgets: Sequence[int]) -> LearningCurve:
    """Program what is farthest off again, with as many writes per epoch as learning took."""
    machine = dies.machine(point, index)
    die, device = machine.die, machine.die.arrays[0][0].device
    perfect = fabricate(machine.designed, device, (0,))
    rng = np.random.default_rng((dies.conditions.seed, index, 13))
    measured = Measured(machine, dies.material.test)
    for budget in budgets:
        die = written_back(die, perfect, budget, rng)
        measured.take(_remade(dies, die))
    writes = np.concatenate([one.writes.ravel() for pair in die.arrays for one in pair if one is not None])
    per_device = {"mean": float(writes.mean()), "max": int(writes.max())}
    return measured.curve(written=[{"devices": budget} for budget in budgets], writes_per_device=per_device)


def _remade(dies: Dies, die: Die) -> Resistive:
    """A machine with this die in it."""
    return to_resistive(
        dies.network,
        batch_size=dies.conditions.settling.batch_size,
        input_v=dies.backend.supply_v,
        g_max_s=die.arrays[0][0].device.g_max_s,
        fabricated=lambda _: die,
        device=dies.conditions.torch_device,
    )


def beta_sweep(
    dies: Dies,
    learning: LearnOptions,
    betas: Sequence[float],
    point: ResistivePoint,
    index: int,
    advance: Callable[[], None],
) -> list[dict[str, Any]]:
    """Cosines between what the die asks for and the true descent, by remedy, beta and link: mean over batches."""
    machine, train = dies.machine(point, index), dies.material.train
    parts = [slice(first, first + BATCH) for first in range(0, min(BATCHES * BATCH, len(train.labels)), BATCH)]
    batches = [Labelled(train.images[part], train.labels[part]) for part in parts]
    small = UpdatePhases.centered(SMALL_SHARE * largest_push(dies.network), free_steps=1, nudged_steps=1)
    truths = [_asked(machine, batch, small, noise=False) for batch in batches]
    cosines = []
    for remedy in REMEDIES:
        for beta in betas:
            phases = phases_of(remedy, beta, learning)
            asked = [_asked(machine, batch, phases, noise=True) for batch in batches]
            pairs = [list(zip(one, true, strict=True)) for one, true in zip(asked, truths, strict=True)]
            by_link = {
                f"link{number + 1}": float(np.mean([cosine(*pair[number]) for pair in pairs]))
                for number in range(len(truths[0]))
            }
            cosines.append({"remedy": remedy.name, "beta": beta, "phases": len(phases.betas), "cosine": by_link})
            advance()
    return cosines


def _asked(machine: Resistive, batch: Labelled, phases: UpdatePhases, *, noise: bool) -> list[np.ndarray]:
    """By link, what is asked of all of its resistors."""
    links = len(machine.network.links)
    one, nothing = (1.0,) * links, (0.0,) * links
    rule = LearningRule(phases, Descent(one, one, nothing, nothing), BATCH)
    asked = machine.asked(batch.images, batch.labels, rule, noise=noise)
    return [
        plus if link.minus_s is None else np.concatenate([plus, minus])
        for plus, minus, link in zip(asked.plus_s, asked.minus_s, machine.network.links, strict=True)
    ]
