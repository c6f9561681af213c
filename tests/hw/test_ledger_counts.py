"""Ledgers against counts of others: torch's own counter of operations, and hands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.digital_learning import rule_for
from torch.utils.flop_counter import FlopCounterMode

from hw.digital.machine import Digital
from hw.events.messages import COLUMNS
from hw.learning.phases import UpdatePhases
from mapping.machines import to_digital
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork

DENSE = EPNetwork(
    (
        DenseLink(torch.randn(7, 6, generator=torch.Generator().manual_seed(0)) / 3, torch.zeros(7), (1, 2, 3)),
        DenseLink(torch.randn(5, 7, generator=torch.Generator().manual_seed(1)) / 3, torch.zeros(5), (7,)),
    ),
    DenseLink(torch.randn(3, 5, generator=torch.Generator().manual_seed(2)), torch.zeros(3), (5,)),
)
CONV = EPNetwork(
    (
        ConvLink(torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(3)) / 5, torch.zeros(4), (2, 9, 9), 2),
        ConvLink(torch.randn(6, 4, 2, 2, generator=torch.Generator().manual_seed(4)) / 5, torch.zeros(6), (4, 4, 4)),
    ),
    DenseLink(torch.randn(3, 54, generator=torch.Generator().manual_seed(5)), torch.zeros(3), (6, 3, 3)),
)


def uncounted(network: EPNetwork) -> Digital:
    """A machine whose own counting, which multiplies too, is left out; what it multiplied it knows without."""
    machine = to_digital(network, steps=4)
    machine.dynamics.count = lambda *_: None  # type: ignore[method-assign]
    return machine


@pytest.mark.parametrize("network", [DENSE, CONV], ids=["dense", "conv"])
def test_multiply_accumulates_of_a_settle_are_those_that_torch_counts(network: EPNetwork) -> None:
    """Two floating-point operations each; nothing is padded, so that torch multiplies nothing but states."""
    machine, images = uncounted(network), np.random.default_rng(0).random((3, *network.input_shape))
    with FlopCounterMode(display=False) as counter:
        ledger = machine.settle(images.astype(np.float32)).ledger
    assert ledger.arithmetic is not None
    # the scores after every step are for curves: a processor that settles evaluates the readout once
    assert network.readout is not None
    looked = 3 * 3 * network.readout.weight.numel()
    assert counter.get_total_flops() == 2 * (ledger.arithmetic.macs + looked)


def test_a_settle_of_a_dense_network_by_hand() -> None:
    """6 - 7 - 5 units and 3 classes, 3 images, 4 steps: 42 weights up from the input, 35 up and down between layers."""
    images = np.random.default_rng(0).random((3, 1, 2, 3)).astype(np.float32)
    ledger = to_digital(DENSE, steps=4).settle(images).ledger
    assert ledger.messages is not None
    assert ledger.arithmetic is not None
    assert ledger.arithmetic.macs == 3 * (42 + 4 * (35 + 35) + 15)
    dense = dict(zip(COLUMNS, ledger.messages.dense.sum(axis=0).T, strict=True))
    np.testing.assert_array_equal(dense["synops_up"], [12 * 42, 12 * 35, 0])
    np.testing.assert_array_equal(dense["synops_down"], [0, 0, 12 * 35])
    np.testing.assert_array_equal(dense["messages"], [12 * 6, 12 * 7, 12 * 5])
    np.testing.assert_array_equal(ledger.messages.neuron_updates_by_step().sum(axis=0), [0, 12 * 7, 12 * 5])
    assert ledger.messages.readout_synops == 3 * 15


@pytest.mark.parametrize("network", [DENSE, CONV], ids=["dense", "conv"])
def test_multiply_accumulates_of_an_update_are_those_that_torch_counts(network: EPNetwork) -> None:
    """All phases, the pull of the readout and the correlations of every link."""
    images = np.random.default_rng(0).random((3, *network.input_shape)).astype(np.float32)
    rule = rule_for(network, 2, UpdatePhases.centered(0.2, free_steps=3, nudged_steps=2))
    machine = uncounted(network)
    with FlopCounterMode(display=False) as counter:
        ledger = machine.learn(images, np.array([0, 1, 2]), rule).ledger
    assert ledger.arithmetic is not None
    assert counter.get_total_flops() == 2 * ledger.arithmetic.macs
