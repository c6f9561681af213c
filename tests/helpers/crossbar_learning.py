"""Crossbars and rules that the tests of learning on devices share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.crossbar_examples import EXACT, IDEAL
from helpers.learning_examples import FREE, NUDGED
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import Crossbar
from hw.crossbar.tiles.design import Design
from hw.crossbar.updates.rewriting import Rewriting
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping.learning import descent_of
from mapping.machines import to_crossbar
from models.ep.network import EPNetwork

EVERY_CHANGE = Rewriting(0.0)
RATES = (0.15, 0.1, 0.1, 0.05)
SMALL = replace(EXACT, rows=20, columns=24)
"""Tiles that cut every link of the examples."""
G_MAX = IDEAL.g_max_s


def phases_of(estimator: str = "centered", beta: float = 0.5, **other: Any) -> UpdatePhases:
    return getattr(UpdatePhases, estimator)(beta, free_steps=FREE, nudged_steps=NUDGED, **other)


def rule_for(network: EPNetwork, batch_size: int = 4, phases: UpdatePhases | None = None, **other: Any) -> LearningRule:
    links = len(network.links) + (network.readout is not None)
    return LearningRule(
        phases or phases_of(), descent_of(network, other.pop("rates", RATES)[:links], **other), batch_size
    )


def crossbar_of(network: EPNetwork, device: Device = IDEAL, design: Design = SMALL, **other: Any) -> Crossbar:
    other = {"steps": FREE, "headroom": 3.0, "update": EVERY_CHANGE} | other
    made = {name: other.pop(name) for name in ("headroom", "programming") if name in other}
    seeds = {name: (other.pop(name, 0),) for name in ("seed", "noise_seed")}
    return to_crossbar(network, Fabrication(device, design, **made, **seeds), **other)


def fine_steps(steps: int = 2000, **changes: Any) -> Device:
    fields: dict[str, Any] = {"g_min_s": 0.0, "g_max_s": G_MAX, "zero_s": G_MAX / 2, "step_s": G_MAX / steps}
    return replace(IDEAL, pulses=LinearStep(**(fields | changes)))


def accuracy_of(machine: Crossbar, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float((machine.settle(images).logits.argmax(axis=1) == labels).mean())
