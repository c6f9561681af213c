"""NeuroBench's names, by hand on a network of three layers, and against naive counts of what is not zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.random_nets import program_of

from bench.records.neurobench import neurobench
from hw.events.analog import AnalogEvents
from hw.ledger import Ledger
from mapping.machines import to_digital, to_lava
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


def network() -> EPNetwork:
    """4 inputs, 3 and 2 units, 2 classes; one weight of 6 + 12 + 4 is zero; biases keep some units at rest at zero."""
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(3, 4, generator=generator)
    first[1, 2] = 0.0
    links = (
        DenseLink(first, torch.tensor([0.1, -5.0, 0.2]), (1, 2, 2)),
        DenseLink(torch.randn(2, 3, generator=generator), torch.tensor([0.3, -5.0]), (3,)),
    )
    return EPNetwork(links, DenseLink(torch.ones(2, 2), torch.zeros(2), (2,)))


def test_figures_by_hand() -> None:
    """Units 1 of both layers never leave zero. The input of 4 is on at all times, 12 weights up; steps after the first
    have 2 units of layer 1 on (2 up each) and one of layer 2 (3 down)."""
    held, steps = network(), 5
    images = np.full((2, 1, 2, 2), 0.5, np.float32)
    settled = to_digital(held, steps=steps).settle(images, trace=True)
    assert settled.trace is not None
    on = [np.count_nonzero(layer[: steps - 1]) for layer in settled.trace[-2:]]  # step t consumes the states of t - 1
    figures = neurobench(settled.ledger, held, spikes=False)
    assert figures is not None
    assert figures["footprint"] == 4 * (12 + 6 + 4 + 3 + 2 + 2)
    assert figures["connection_sparsity"] == 1 / 22
    assert figures["activation_sparsity"] == pytest.approx(1 - sum(on) / (2 * steps * 5))
    assert figures["dense"] == steps * (12 + 6 + 6) + 4
    assert figures["effective_macs"] == pytest.approx(steps * 12 + (2 * on[0] + 3 * on[1]) / 2 + 4)
    assert figures["feedback"] == pytest.approx(3 * on[1] / 2 / figures["effective_macs"])
    assert figures["effective_acs"] == 0


def test_machines_that_send_changes_and_spikes_count_those() -> None:
    program = program_of(network(), state_bits=8, seed=1)
    images = np.random.default_rng(0).random((2, 1, 2, 2)).astype(np.float32)
    with to_lava(program, steps=6, delta_threshold=1) as machine:
        ledger = machine.settle(images).ledger
    assert ledger.messages is not None
    figures = neurobench(ledger, program, spikes=False)
    assert figures is not None
    assert figures["effective_macs"] == ledger.messages.synops("delta") / 2 + 4 < figures["dense"]
    assert figures["footprint"] == 22 + 4 * 7, "weights of 8 bits, biases of 32"
    spiking = neurobench(ledger, program, spikes=True)
    assert spiking == {**figures, "effective_macs": 0.0, "effective_acs": figures["effective_macs"]}


def test_a_machine_that_sends_nothing_has_none() -> None:
    analog = Ledger(1, analog=AnalogEvents({"resistors": 1e-9}, 1e-6))
    assert neurobench(analog, network(), spikes=False) is None
    assert neurobench(replace(analog, images=2), network(), spikes=True) is None
