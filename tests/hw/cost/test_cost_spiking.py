"""Prices of events against costs worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hw.cost.spiking import ACCUMULATE, SPIKING, SPINNAKER2, spiking_cost
from hw.events.messages import COLUMNS, MessageEvents
from hw.ledger import Ledger

PJ = 1e-12


def ledger() -> Ledger:
    """Two images, three steps, 5 inputs, 4 and 2 units: 60 synaptic operations up, 30 down, 10 of the readout."""
    sent = np.zeros((3, 3, len(COLUMNS)))
    sent[0, 0, COLUMNS.index("synops_up")] = 60
    sent[2, 2, COLUMNS.index("synops_down")] = 30
    other = np.full_like(sent, 1e6)  # of another coding: must not be looked at
    messages = MessageEvents(
        running=np.array([2, 2, 2]),
        units=(5, 4, 2),
        cores=(1, 1, 1),
        link_kinds=("dense", "dense"),
        dense=other,
        zero_skip=other,
        delta=sent,
        coding="delta",
        readout_synops=10.0,
    )
    return Ledger(2, messages)


def test_one_addition_per_event_by_hand() -> None:
    cost = spiking_cost(ledger(), ACCUMULATE)
    assert cost.energy_j.nominal == pytest.approx(50 * 0.9 * PJ)
    assert cost.energy_j.low == pytest.approx(50 * 0.1 * PJ)
    assert cost.energy_j.high == pytest.approx(50 * 5.9 * PJ + 18 * 4.6 * PJ)
    assert cost.latency_s is None


def test_spinnaker_2_by_hand() -> None:
    cost = spiking_cost(ledger(), SPINNAKER2)
    assert cost.energy_j.nominal == pytest.approx(50 * 450 * PJ + 18 * 2190 * PJ)
    assert cost.breakdown_j == pytest.approx({"synapses": 50 * 450 * PJ, "neurons": 18 * 2190 * PJ})


@pytest.mark.parametrize("name", SPIKING)
def test_parts_sum_to_the_whole_and_a_ledger_without_messages_is_refused(name: str) -> None:
    cost = spiking_cost(ledger(), SPIKING[name])
    assert sum(cost.breakdown_j.values()) == pytest.approx(cost.energy_j.nominal)
    assert cost.profile == name
    with pytest.raises(ValueError, match="'messages'"):
        spiking_cost(Ledger(1), SPIKING[name])
