"""Repair: a trained network on a damaged die, made better by EP on the die, and by what else could be done.

Four ways, each on the same die made anew: EP on the die; as many writes spent on writing and verifying the trained
weights again; a network trained off chip with programming noise, left as it is; and that network with EP on the die.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.machines.backend import Conditions
from bench.machines.crossbar_dies import Point, die, remedies_of
from bench.machines.crossbar_options import CrossbarOptions
from bench.machines.crossbar_prices import effort
from bench.records.learning_row import LearningCurve, LearningRow
from bench.studies.curve import Measured, learning_curve
from bench.studies.training import Material, Training
from hw.crossbar.machine import Crossbar
from hw.crossbar.updates.update import Update
from hw.crossbar.updates.write_back import WriteBack
from hw.events.tiles import ProgrammingEvents
from mapping.training import LearningSchedule
from models.ep.network import EPNetwork

EP, WRITE_VERIFY = "EP on the die", "write-verify"
NOISE_AWARE, NOISE_AWARE_EP = "noise-aware training", "noise-aware training, EP on the die"
ARMS = (EP, WRITE_VERIFY, NOISE_AWARE, NOISE_AWARE_EP)


@dataclass(frozen=True)
class Repair:
    """What all dies of a repair have in common."""

    network: EPNetwork
    twin: EPNetwork | None
    """The same network trained with programming noise, if the zoo has it."""
    options: CrossbarOptions
    conditions: Conditions
    update: Update
    schedule: LearningSchedule
    material: Material

    def machine(self, network: EPNetwork, point: Point, index: int) -> Crossbar:
        """Die number `index` with a network on it, damaged, aged and with its remedies applied."""
        return die(network, point, self.options, self.conditions, index, update=self.update)

    def curve(
        self, network: EPNetwork, point: Point, index: int, keep: Path, advance: Callable[[], None]
    ) -> LearningCurve:
        """EP on die number `index`; what it learns goes into the file `keep`."""
        machine = self.machine(network, point, index)
        return learning_curve(
            machine,
            network,
            Training(self.material, self.schedule, self.conditions.seed),
            keep,
            refresh=lambda: self.refresh(machine),
            effort=effort,
            advance=advance,
        )

    def refresh(self, machine: Crossbar) -> None:
        """Set converter ranges before a measurement."""
        machine.set_ranges(self.conditions.calibration, remedies_of(self.options))


def repair_die(
    repair: Repair, point: Point, index: int, keep: Path, advance: Callable[[], None]
) -> dict[str, LearningCurve]:
    """All ways, on one die; what EP learns goes into the file `keep`, and one beside it for the twin."""
    learnt = repair.curve(repair.network, point, index, keep, advance)
    writes = [events["devices"] for events in learnt["written"]]
    curves = {EP: learnt, WRITE_VERIFY: write_back(repair, point, index, writes)}
    if repair.twin is not None:
        machine = repair.machine(repair.twin, point, index)
        curves[NOISE_AWARE] = Measured(machine, repair.material.test).curve()
        curves[NOISE_AWARE_EP] = repair.curve(
            repair.twin, point, index, keep.with_stem(f"{keep.stem}-noise-aware"), advance
        )
    return curves


def write_back(repair: Repair, point: Point, index: int, budgets: list[int]) -> LearningCurve:
    """Write and verify the trained weights, with as many writes per epoch as learning took, in rounds."""
    machine = repair.machine(repair.network, point, index)
    targets = [np.asarray(link.wire.weight, np.float64) for link in machine.links]
    tolerance = repair.options.device.verify_tolerance
    writer = WriteBack([link.matrix for link in machine.links], targets, repair.conditions.seed + index, tolerance)
    measured, written = Measured(machine, repair.material.test), []
    for budget in budgets:
        events = _spend(writer, budget)
        repair.refresh(machine)
        measured.take(machine)
        written.append(asdict(events))
    writes = machine.writes()
    per_device = {"mean": float(writes.mean()), "max": int(writes.max())}
    return measured.curve(written=written, writes_per_device=per_device)


def _spend(writer: WriteBack, budget: int) -> ProgrammingEvents:
    """Rounds until the budget is spent or nothing is off any more."""
    events = writer.round(budget)
    latest = events
    while latest.devices and events.devices < budget:
        latest = writer.round(budget - events.devices)
        events = events + latest
    return events


def won_back(curve: LearningCurve, float_accuracy: float) -> float | None:
    """Share of the accuracy lost on the die that is there again at the end; None where nothing was lost."""
    before, after = curve["accuracy"][0], curve["accuracy"][-1]
    return None if float_accuracy <= before else (after - before) / (float_accuracy - before)


def summary(rows: list[LearningRow]) -> dict[str, dict[str, list[float]]]:
    """Of every way: accuracy before and after, and the share won back, one entry per die."""
    ways: dict[str, dict[str, list[float]]] = {}
    for arm in ARMS:
        curves = [(row.arms[arm], row.float_accuracy or 0.0) for row in rows if row.arms and arm in row.arms]
        if curves:
            shares = [won_back(curve, reference) for curve, reference in curves]
            ways[arm] = {
                "before": [curve["accuracy"][0] for curve, _ in curves],
                "after": [curve["accuracy"][-1] for curve, _ in curves],
                "won_back": [share for share in shares if share is not None],
            }
    return ways
