"""A machine without clock and messages: its joules in closed form, and what cannot be asked of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.machines import DENSE, MACHINES, TOLERANCE
from helpers.relaxing_circuit import AMPLIFIER_W, CAPACITANCE_F, TAU_S, TIMES_S, RelaxingCircuit

from hw.cost.loihi import loihi_cost
from hw.cost.profiles import DAVIES
from hw.cost.roofline import cpu_cost
from hw.ledger import merge
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


def test_charging_a_capacitor_heats_its_resistor_as_much_as_it_stores() -> None:
    """One layer alone: s = u (1 - exp(-t / RC)), and C u**2 (1 - exp(-2 t / RC)) / 2 joules in every resistor."""
    weight, bias = torch.tensor([[0.5, 0.25], [-1.0, 0.1]]), torch.tensor([0.1, 1.4])
    machine = RelaxingCircuit(EPNetwork((DenseLink(weight, bias, (2,)),)), tolerance=0.01)
    images = np.array([[1.0, 0.4], [0.2, 0.0], [0.0, 0.0]])
    settled = machine.settle(images)
    targets = np.clip(images @ weight.numpy().T + bias.numpy(), 0, 1)
    expected = targets * (1 - np.exp(-TIMES_S / TAU_S))[:, None, None]
    np.testing.assert_allclose(settled.logits_by_step, expected, atol=1e-6)
    stored = 0.5 * CAPACITANCE_F * (targets**2 * (1 - np.exp(-2 * TIMES_S[-1] / TAU_S))).sum()
    analog = settled.ledger.analog
    assert analog is not None
    assert analog.energy_j["resistors"] == pytest.approx(stored, rel=1e-5)
    assert analog.energy_j["amplifiers"] == pytest.approx(3 * 2 * AMPLIFIER_W * TIMES_S[-1])
    assert analog.settled_s == pytest.approx(3 * TIMES_S[-1])
    left = (np.abs(expected - targets) > 0.01 * (1 - np.exp(-TIMES_S[-1] / TAU_S))).any(axis=2).sum(axis=0)
    np.testing.assert_array_equal(settled.rest_s, TIMES_S[left])


def test_costs_of_clocks_and_messages_are_refused_by_name() -> None:
    ledger = RelaxingCircuit(DENSE, tolerance=TOLERANCE).settle(MACHINES["relaxing circuit"].images).ledger
    with pytest.raises(ValueError, match="the ledger has no 'messages'"):
        loihi_cost(ledger, DAVIES)
    with pytest.raises(ValueError, match="the ledger has no 'arithmetic'"):
        cpu_cost(ledger)
    with pytest.raises(ValueError, match="1 of 2 have 'messages'"):
        merge([ledger, MACHINES["torch float"].make(batch_size=2).settle(MACHINES["torch float"].images).ledger])
