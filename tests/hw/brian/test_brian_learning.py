"""What Brian learns against the learning of torch on the same steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.digital_learning import phases_of, rule_for
from helpers.learning_examples import example, stripes
from helpers.random_nets import program_of

from hw.brian.options import Rate, RateCoding, Scheme, SigmaDelta, Simulation
from hw.learning.phases import UpdatePhases
from hw.machine import LearningMachine
from mapping.learning import network_with
from mapping.machines import to_brian, to_digital
from models.ep.network import EPNetwork

SPIKES = SigmaDelta("graded", 1 / 8, 4.0)
RESTED = phases_of(free_steps=40, nudged_steps=30)


def learnt(network: EPNetwork, machine: LearningMachine, phases: UpdatePhases, count: int = 6, **rule: Any) -> Any:
    """What one pass has changed, all parameters in one row, and what the machine says of it."""
    images, labels = stripes(6, seed=1)
    with machine:
        learned = machine.learn(images, labels, rule_for(network, count, phases, **rule))
        after = network_with(network, machine.read_weights()).named_parameters()
    before = network.named_parameters()
    return torch.cat([(before[name] - tensor).flatten() for name, tensor in after.items()]), learned


@pytest.mark.parametrize("name", ["dense squared error", "average pool"])
@pytest.mark.parametrize("linear", ["synapses", "operator"])
def test_steps_of_one_time_constant_learn_what_torch_learns(name: str, linear: Any) -> None:
    """Two updates with momentum and decay, the second batch not full."""
    network = example(name)
    rule = {"count": 4, "momentum": 0.9, "weight_decay": (1e-2,) * (len(network.links) + bool(network.readout))}
    simulation = Simulation(dt_tau=1.0, linear=linear)
    theirs, expected = learnt(network, to_digital(network, steps=1), phases_of(), **rule)
    ours, learned = learnt(network, to_brian(network, duration_tau=1.0, simulation=simulation), phases_of(), **rule)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
    assert (learned.images, learned.hits) == (expected.images, expected.hits)
    mine, others = learned.ledger.messages, expected.ledger.messages
    np.testing.assert_array_equal(mine.dense, others.dense)
    np.testing.assert_array_equal(mine.running, others.running)


@pytest.mark.parametrize(("scheme", "linear"), [(Rate(), "operator"), (SPIKES, "synapses"), (SPIKES, "operator")])
@pytest.mark.parametrize("name", ["dense squared error", "average pool"])
def test_the_gradient_in_continuous_time_is_that_of_torch(name: str, scheme: Scheme, linear: Any) -> None:
    network = example(name)
    rates = {"rates": (1.0,) * 4}
    theirs, _ = learnt(network, to_digital(network, steps=1), phases_of(free_steps=80, nudged_steps=60), **rates)
    machine = to_brian(network, duration_tau=1.0, scheme=scheme, simulation=Simulation(dt_tau=0.5, linear=linear))
    ours, _ = learnt(network, machine, RESTED, **rates)
    assert float(torch.cosine_similarity(ours, theirs, dim=0)) >= 0.999
    assert float(ours.norm() / theirs.norm()) == pytest.approx(1.0, abs=0.01)


def test_one_sided_phases_take_the_free_states_as_they_are() -> None:
    network, simulation = example("average pool"), Simulation(dt_tau=1.0, linear="operator")
    phases = phases_of("one_sided")
    theirs, _ = learnt(network, to_digital(network, steps=1), phases)
    ours, _ = learnt(network, to_brian(network, duration_tau=1.0, simulation=simulation), phases)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


def test_a_machine_settles_with_what_it_has_learnt_and_goes_on_from_there() -> None:
    network, simulation = example("average pool"), Simulation(dt_tau=1.0, linear="operator")
    images, labels = stripes(8, seed=2)
    with to_brian(network, duration_tau=12.0, simulation=simulation) as machine:
        before = machine.settle(images).logits
        for part in (slice(0, 4), slice(4, 8)):
            machine.learn(images[part], labels[part], rule_for(network, 4, momentum=0.9))
        after = machine.settle(images).logits
    with to_digital(network, steps=12) as digital:
        digital.learn(images, labels, rule_for(network, 4, momentum=0.9))
        expected = digital.settle(images).logits
    np.testing.assert_allclose(after, expected, rtol=0, atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_what_cannot_learn_says_why() -> None:
    network = example("average pool")
    images, labels = stripes(4)
    program = program_of(network, state_bits=8, seed=0)
    refused: tuple[tuple[Any, Scheme, str], ...] = (
        (program, Rate(), "a program of integers learns on the digital machine and on Lava"),
        (network, RateCoding(), "less than one spike in a window of rate coding"),
    )
    for source, scheme, says in refused:
        machine = to_brian(source, duration_tau=2.0, scheme=scheme)
        with pytest.raises(ValueError, match=says):
            machine.learn(images, labels, rule_for(network))
