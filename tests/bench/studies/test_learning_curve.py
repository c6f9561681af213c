"""The curve of one machine that learns, and the sums of a report over several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.learning_studies import furthest

from bench.machines.crossbar_prices import effort
from bench.records.learning_row import LearningRow
from bench.studies.curve import learning_curve
from bench.studies.repair import ARMS, summary, won_back
from bench.studies.training import Labelled, Material, Training
from hw.circuit import weights_of
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.updates.rewriting import Rewriting
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned
from mapping.circuit import circuit_of
from mapping.learning import network_with
from mapping.machines import to_crossbar
from mapping.training import LearningSchedule
from models.ep.network import Dense, EPNetwork, build_network
from models.files.checkpoint import load_network

LEARNT, REWRITTEN, LEFT = ARMS[0], ARMS[1], ARMS[2]


def _tiny() -> tuple[EPNetwork, Labelled]:
    network = build_network((1, 4, 4), (Dense(6), Dense(3)), None, torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    return network, Labelled(rng.random((12, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 12))


def _course(epochs: int) -> LearningSchedule:
    phases = UpdatePhases.centered(0.5, free_steps=6, nudged_steps=3)
    return LearningSchedule(phases, (0.1, 0.1), epochs, batch_size=4)


def test_the_curve_of_a_machine_that_wears_out_says_so_and_keeps_what_was_learnt(tmp_path: Path) -> None:
    network, data = _tiny()
    device = replace(preset("ideal"), endurance=4.0)
    design = Design(input_bits=None, adc_bits=None)
    machine = to_crossbar(network, Fabrication(device, design, headroom=3.0), steps=6, update=Rewriting(0.0))
    refreshed: list[int] = []
    curve = learning_curve(
        machine,
        network,
        Training(Material(data, data, 3), _course(3), seed=0),
        tmp_path / "learnt.safetensors",
        refresh=lambda: refreshed.append(int(machine.writes().max())),
        effort=effort,
    )
    kept, held = load_network(tmp_path / "learnt.safetensors"), network_with(network, machine.read_weights())
    assert furthest(kept, held) == 0
    assert "stands 4: stopped" in curve["stopped"]
    # the first epoch is whole, 3 updates; the second ended after its first
    assert refreshed == [0, 3, 4]
    assert len(curve["accuracy"]) == 3
    assert len(curve["train_accuracy"]) == 1
    assert len(curve["written"]) == len(curve["energy_j"]) == 2
    # the programming of the die is no part of learning
    assert sum(events["devices"] for events in curve["written"]) == int(machine.writes().sum())
    assert curve["writes_per_device"]["max"] == 4
    assert curve["accuracy"][-1] == float((machine.settle(data.images).logits.argmax(axis=1) == data.labels).mean())


def test_the_curve_of_a_machine_without_devices_counts_no_writes(tmp_path: Path) -> None:
    class Learner:
        def __init__(self) -> None:
            self.passes = 0

        def settle(self, images: Any) -> Any:
            class Settled:
                logits = np.eye(3)[np.full(len(images), self.passes)]

            return Settled

        def learn(self, images: Any, labels: Any, rule: Any) -> Learned:  # noqa: ARG002
            self.passes += 1
            return Learned(len(images), 3, None)  # type: ignore[arg-type]

        def read_weights(self) -> Any:
            return weights_of(circuit_of(network))

    network, data = _tiny()
    done: list[None] = []
    curve = learning_curve(
        Learner(),  # type: ignore[arg-type]
        network,
        Training(Material(data, data, 3), _course(2), seed=0),
        tmp_path / "learnt.safetensors",
        advance=lambda: done.append(None),
    )
    assert curve["accuracy"] == [float((data.labels == answer).mean()) for answer in range(3)]
    assert {when: set(scores.argmax(axis=1)) for when, scores in curve["scores"].items()} == {
        "before": {0},
        "after": {2},
    }
    assert curve["train_accuracy"] == [0.25, 0.25]
    assert curve["agreement"] == [None, None]
    assert "written" not in curve
    assert len(done) == 2


def test_sums_over_dies_by_hand() -> None:
    def row(before: float, after: float, written: list[int]) -> LearningRow:
        events = [{"devices": devices} for devices in written]
        arms = {LEARNT: {"accuracy": [before, 0.7, after], "written": events}, LEFT: {"accuracy": [0.8]}}
        return LearningRow("repair", "crossbar", "analog", 0, 8, float_accuracy=0.9, arms=arms)

    rows = [row(0.5, 0.9, [3, 4]), row(0.7, 0.8, [5, 6]), row(0.9, 0.85, [0, 1])]
    medians = summary(rows)
    assert list(medians) == [LEARNT, LEFT]
    assert medians[LEARNT]["before"] == [0.5, 0.7, 0.9]
    assert medians[LEARNT]["after"] == [0.9, 0.8, 0.85]
    # all of 0.4 and half of 0.2; the last die had lost nothing
    assert medians[LEARNT]["won_back"] == pytest.approx([1.0, 0.5])
    assert won_back(rows[2].arms[LEARNT], 0.9) is None
    assert won_back({"accuracy": [0.5, 0.4]}, 0.9) == pytest.approx(-0.25)
