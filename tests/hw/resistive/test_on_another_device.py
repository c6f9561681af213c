"""That nothing is left behind on the CPU: a device that is forgotten is found on a computer that has no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.device_trap import ForgottenDeviceError, Watched
from helpers.resistive_dies import dies
from helpers.resistive_examples import random_inputs, random_network

from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, LearningRule
from hw.resistive import dynamics, newton, settling
from hw.resistive.die import Mismatch
from hw.resistive.dies import ResistiveDies
from hw.resistive.diodes import Diode, Ideal, Junction, Knee
from hw.resistive.dynamics import integrate, settle_in_time, time_constants_s
from hw.resistive.parasitics import Parasitics, node_capacities
from hw.resistive.power import delivered_w, dissipated_w
from hw.resistive.settling import pulled, settle
from hw.resistive.solver import Solver
from mapping.machines import to_resistive
from models.resistive.equivalent import equivalent
from models.resistive.network import build_resistive

ON_THE_CPU = ("network.py", "links.py", "alone.py")
"""A network is checked there, links are unrolled there, and single images of small networks settle there alone."""


@pytest.fixture
def watched() -> Iterator[None]:
    with Watched(Path(newton.__file__).parent, __file__, ON_THE_CPU):
        yield


@pytest.mark.usefixtures("watched")
def test_the_trap_springs() -> None:
    here = torch.ones(3, device="cpu")
    with pytest.raises(ForgottenDeviceError, match=r"zeros in .* was told no device"):
        torch.zeros(3)
    with pytest.raises(ForgottenDeviceError, match="did not bring"):
        here.numpy()
    assert here.cpu().numpy().sum() == 3


@pytest.mark.parametrize("diode", [Ideal(), Knee(0.05, 1e4), Junction(1e-14, 1.0, 100.0)])
@pytest.mark.usefixtures("watched")
def test_rest_power_and_time_stay_on_their_device(diode: Diode, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network((4, 6, 5, 3), 1, gain=2.0, diode=diode)
    inputs, farad = random_inputs(network, 2, 0), node_capacities(network, Parasitics(), "cpu")
    solver = Solver(network, "cpu")
    sources = solver.sources(inputs)
    nudged = [None, None, pulled(1e-7, torch.zeros(2, 3, dtype=torch.float64, device="cpu"))]
    monkeypatch.setattr(settling, "SWEEPS", 1)  # Newton's rule at once
    rest = settle(solver, sources, injections=nudged)
    monkeypatch.setattr(newton, "MOST_DIRECT", 0)
    other = settle(solver, sources, injections=nudged)
    assert torch.allclose(rest.volts[-1], other.volts[-1], atol=1e-10)
    heat = sum(dissipated_w(solver, sources, rest.volts, nudged).values())
    assert heat.shape == delivered_w(solver, sources, rest.volts).shape
    for dense in (400, 0):
        monkeypatch.setattr(dynamics, "DENSE", dense)
        slow, _ = time_constants_s(solver, farad, [v[0] != 0 for v in rest.volts])
        settle_in_time(solver, sources, farad, slow * np.array([0.5, 1.0]), substeps=1)
    if isinstance(diode, Ideal):
        integrate(solver, sources[:1], farad, slow * np.array([0.5, 1.0]))


@pytest.mark.usefixtures("watched")
def test_dies_settle_on_their_device() -> None:
    together = ResistiveDies(dies(Mismatch(0.02, 2e-3), device="cpu"))
    assert together.settle(np.random.default_rng(0).random((5, 1, 3, 2), np.float32)).logits.shape == (15, 3)


@pytest.mark.usefixtures("watched")
def test_the_machine_settles_and_learns_on_its_device() -> None:
    circuit = build_resistive((1, 3, 2), (8,), 3, torch.Generator(device="cpu").manual_seed(5), input_gain=20.0)
    machine = to_resistive(equivalent(circuit), device="cpu")
    images, labels = np.random.default_rng(0).random((6, 1, 3, 2), np.float32), np.array([0, 1, 2, 2, 1, 0])
    settled = machine.settle(images, trace=True)
    np.testing.assert_allclose(machine.answers(images), settled.logits, atol=1e-9)
    phases = UpdatePhases.centered(0.01, free_steps=1, nudged_steps=1)
    before = machine.network.links[0].plus_s.copy()
    machine.learn(images, labels, LearningRule(phases, Descent(*(((0.05,) * 3,) * 2), *(((0.0,) * 3,) * 2)), 3))
    assert np.abs(machine.network.links[0].plus_s - before).max() > 0
