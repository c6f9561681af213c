"""Learning on the digital machine in floats, against torch: gradients, descent, and what is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.digital_learning import RATES, batches_of, phases_of, program_by, rule_for
from helpers.learning_examples import (
    FREE,
    RECIPES,
    assert_same_network,
    assert_same_weights,
    example,
    learnt_by_torch,
    moved_by,
    stripes,
    torch_gradient,
)
from numpy.typing import NDArray

from hw.circuit import Weights, with_weights
from hw.digital.machine import Digital
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping.circuit import circuit_of
from mapping.learning import network_with
from mapping.machines import to_digital
from models.ep.gradient import Estimator, backprop_gradient, cosine
from models.ep.links import DenseLink
from models.ep.network import EPNetwork

GENTLE = (0.02, 0.015, 0.01, 0.01)
DECAYS = (0.01, 0.0, 0.02, 0.005)


@pytest.mark.parametrize("estimator", ["centered", "one_sided"])
@pytest.mark.parametrize("name", RECIPES)
def test_twenty_updates_are_those_of_torch(name: str, estimator: Estimator) -> None:
    network = example(name)
    images, labels = stripes(78)  # 19 batches of 4 and one of 2
    links = len(network.links) + (network.readout is not None)
    # Gentle rates, since momentum makes them ten times as large, and a strong nudge: what float32 rounds in the phases
    # is divided by it.
    rates, decays = GENTLE[:links], DECAYS[:links]
    machine = to_digital(network, steps=1)
    phases = phases_of(estimator, 0.5)
    rule = rule_for(network, phases=phases, rates=rates, weight_decay=decays, momentum=0.9)
    learned = machine.learn(images, labels, rule)
    batches = batches_of(images, labels, 4)
    expected = learnt_by_torch(
        network, batches, estimator=estimator, beta=0.5, rates=rates, decays=decays, momentum=0.9
    )
    assert len(batches) == 20
    assert moved_by(expected, network) > 0.03
    assert_same_network(network_with(network, machine.read_weights()), expected, atol=1e-6)
    assert learned.images == 78


@pytest.mark.parametrize("name", RECIPES)
def test_the_gradient_at_a_small_nudge_is_that_of_automatic_differentiation(name: str) -> None:
    # where no neuron crosses a bound within the nudge, at which the slope is not that of either side
    network, (images, labels) = example(name, seed=5), stripes(16, seed=1)
    machine = to_digital(network, steps=1)
    links = len(network.links) + (network.readout is not None)
    phases = phases_of(beta=0.002, free_steps=80, nudged_steps=60)
    machine.learn(images, labels, rule_for(network, 16, phases, rates=(1.0,) * 4))
    after = network_with(network, machine.read_weights()).named_parameters()
    found = {tensor: value - after[tensor] for tensor, value in network.named_parameters().items()}
    truth = backprop_gradient(
        network, torch.as_tensor(images), torch.as_tensor(labels), steps=120, schedule="synchronous"
    )
    assert len(found) == 2 * links
    for tensor, value in cosine(found, truth, list(found)).items():
        assert value > 0.99, tensor
        assert float(found[tensor].norm() / truth[tensor].norm()) == pytest.approx(1, abs=0.05), tensor


@pytest.mark.parametrize("name", ["dense squared error", "average pool"])
def test_four_points_stay_at_the_gradient_where_two_have_left_it(name: str) -> None:
    network, (images, labels) = example(name), stripes(16, seed=1)
    truth = backprop_gradient(
        network, torch.as_tensor(images), torch.as_tensor(labels), steps=120, schedule="synchronous"
    )

    def error(estimator: str, beta: float) -> float:
        machine = to_digital(network, steps=1)
        phases = phases_of(estimator, beta, free_steps=80, nudged_steps=60)
        machine.learn(images, labels, rule_for(network, 16, phases, rates=(1.0,) * 4))
        after = network_with(network, machine.read_weights()).named_parameters()
        tensors = list(truth)[:-2] if network.readout is not None else list(truth)
        missed = [network.named_parameters()[t] - after[t] - truth[t] for t in tensors]
        return float(torch.cat([part.flatten() for part in missed]).norm())

    assert error("n_point", 0.5) < 0.5 * error("centered", 0.5)


def test_repeats_of_a_machine_without_noise_change_nothing() -> None:
    network, (images, labels) = example("average pool"), stripes(8)
    once, often = to_digital(network, steps=1), to_digital(network, steps=1)
    once.learn(images, labels, rule_for(network))
    often.learn(images, labels, rule_for(network, phases=phases_of().repeated(3)))
    assert_same_network(
        network_with(network, often.read_weights()), network_with(network, once.read_weights()), atol=1e-6
    )


def test_a_last_batch_that_is_not_full_counts_its_own_images() -> None:
    """6 images in batches of 4: the last update is the mean over 2, not a sum over 4 and not left out."""
    network, (images, labels) = example("dense squared error"), stripes(6)
    machine = to_digital(network, steps=1)
    learned = machine.learn(images, labels, rule_for(network))
    first = torch_gradient(network, images[:4], labels[:4], "centered", 0.2)
    rates = dict(zip(network.named_parameters(), np.repeat(RATES[:3], 2), strict=True))
    half = network.with_parameters({n: v - rates[n] * first[n] for n, v in network.named_parameters().items()})
    second = torch_gradient(half, images[4:], labels[4:], "centered", 0.2)
    expected = half.with_parameters({n: v - rates[n] * second[n] for n, v in half.named_parameters().items()})
    assert_same_network(network_with(network, machine.read_weights()), expected, atol=1e-6)
    assert learned.images == learned.ledger.images == 6


def test_two_passes_are_one_longer_pass() -> None:
    """A machine goes on from its weights, and from its momentum: it is kept from one pass to the next."""
    network, (images, labels) = example("average pool"), stripes(16)
    at_once, in_two = to_digital(network, steps=1), to_digital(network, steps=1)
    rule = rule_for(network, momentum=0.9, weight_decay=DECAYS)
    whole = at_once.learn(images, labels, rule)
    parts = [in_two.learn(images[part], labels[part], rule) for part in (slice(0, 8), slice(8, 16))]
    assert_same_weights(in_two.read_weights(), at_once.read_weights())
    assert sum(part.hits for part in parts) == whole.hits
    # without what is kept it would be another network
    reset = to_digital(network_with(network, _learnt(network, images[:8], labels[:8], rule)), steps=1)
    reset.learn(images[8:], labels[8:], rule)
    apart = network_with(network, reset.read_weights())
    assert moved_by(apart, network_with(network, at_once.read_weights())) > 1e-3


def _learnt(network: EPNetwork, images: NDArray[np.float32], labels: NDArray[np.int64], rule: LearningRule) -> Weights:
    machine = to_digital(network, steps=1)
    machine.learn(images, labels, rule)
    return machine.read_weights()


@pytest.mark.parametrize("integers", [False, True], ids=["float", "integers"])
def test_hits_are_the_images_that_were_right_before_their_update(integers: bool) -> None:
    network, (images, labels) = example("average pool"), stripes(24, seed=2)
    source = program_by(network) if integers else network
    machine = to_digital(source, steps=FREE, seed=1)
    hits, seen = 0, to_digital(source, steps=FREE, seed=1)
    for part, wanted in batches_of(images, labels, 4):
        hits += int((seen.settle(part).logits.argmax(axis=1) == wanted).sum())
        seen.learn(part, wanted, rule_for(source))
    learned = machine.learn(images, labels, rule_for(source))
    assert learned.hits == hits
    assert learned.accuracy == hits / 24
    assert learned.agreement is None
    assert 0 < hits < 24


@pytest.mark.parametrize(
    ("name", "integers"), [("dense squared error", False), ("dense squared error", True), ("average pool", True)]
)
def test_it_learns(name: str, integers: bool) -> None:
    network, (images, labels), (unseen, truth) = example(name), stripes(60, seed=4), stripes(60, seed=5)
    source = program_by(network, headroom_bits=2) if integers else network
    machine = to_digital(source, steps=FREE, seed=3)

    def accuracy() -> float:
        return float((machine.settle(unseen).logits.argmax(axis=1) == truth).mean())

    before = accuracy()
    for _ in range(6):
        machine.learn(images, labels, rule_for(source, 5, rates=(0.3,) * 4))
    assert before < 0.6
    assert accuracy() >= 0.95
    if integers:
        read = machine.read_weights()
        for weight, old in zip(read.weights, circuit_of(source).wires, strict=False):
            assert np.issubdtype(weight.dtype, np.integer)
            assert np.abs(weight).max() <= 127
            assert (weight != old.weight).any()
        for bias in read.biases:
            assert np.issubdtype(bias.dtype, np.integer)
            assert np.abs(bias).max() < 2**23


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_read_from_floats_settles_to_the_same_states(name: str) -> None:
    network, (images, labels) = example(name), stripes(12)
    machine = to_digital(network, steps=FREE)
    machine.learn(images, labels, rule_for(network))
    read = machine.read_weights()
    again = to_digital(network_with(network, read), steps=FREE)
    one, other = machine.settle(images), again.settle(images)
    for ours, theirs in zip((*one.states, one.logits), (*other.states, other.logits), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # both ways back to a circuit are one
    circuit = circuit_of(network)
    ours, theirs = with_weights(circuit, read), circuit_of(network_with(network, read))
    for left, right in zip((*ours.wires, ours.readout), (*theirs.wires, theirs.readout), strict=True):
        if left is not None and right is not None:
            np.testing.assert_allclose(left.weight, right.weight, rtol=1e-6)
            assert left.weight.dtype == right.weight.dtype
    for left, right in zip((*ours.biases, ours.readout_bias), (*theirs.biases, theirs.readout_bias), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


@pytest.mark.parametrize("integers", [False, True], ids=["float", "integers"])
def test_before_it_learns_a_machine_reads_what_it_was_given(integers: bool) -> None:
    network = example("average pool")
    source = program_by(network) if integers else network
    circuit = circuit_of(source)
    read = to_digital(source, steps=1).read_weights()
    assert circuit.readout is not None
    for ours, wire in zip(read.weights, (*circuit.wires, circuit.readout), strict=True):
        np.testing.assert_array_equal(ours, wire.weight)
    for bias, given in zip(read.biases, (*circuit.biases, circuit.readout_bias), strict=True):
        np.testing.assert_array_equal(bias, given)


def _tiny(readout: bool) -> EPNetwork:
    first = DenseLink(torch.full((3, 4), 0.1), torch.full((3,), 0.2), (1, 2, 2))
    top = DenseLink(torch.full((2, 3), 0.1), torch.full((2,), 0.1), (3,))
    return EPNetwork((first,), top) if readout else EPNetwork((first, top))


@pytest.mark.parametrize(
    ("readout", "estimator", "expected"),
    [
        # input drive 12, 7 steps of 2 x 6, correlation of 12 + 6 in 2 phases
        (False, "centered", 12 + 7 * 12 + 2 * 18),
        (False, "one_sided", 12 + 5 * 12 + 2 * 18),
        # input drive 12; the readout of 6: once for the hits, up and down in every nudged step, up for the error of
        # each phase; correlation of 12 + 6 in 2 phases
        (True, "centered", 12 + 6 + 4 * 12 + 2 * 6 + 2 * 18),
        (True, "one_sided", 12 + 6 + 2 * 12 + 2 * 6 + 2 * 18),
    ],
)
def test_the_ledger_of_a_pass_by_hand(readout: bool, estimator: str, expected: int) -> None:
    network = _tiny(readout)
    images = np.random.default_rng(0).random((3, 1, 2, 2)).astype(np.float32)
    phases = getattr(UpdatePhases, estimator)(0.2, free_steps=3, nudged_steps=2)
    machine = to_digital(network, steps=9)
    ledger = machine.learn(images, np.array([0, 1, 0]), rule_for(network, 2, phases)).ledger
    steps = 3 + 2 * (2 if estimator == "centered" else 1)
    assert ledger.images == 3
    np.testing.assert_array_equal(ledger.messages.running, [3] * steps)
    assert ledger.arithmetic.macs == 3 * expected
    # dense messages: the input's 4 units reach 3 each, the middle's 3 reach 2 up where they are a link
    up = ledger.messages.column("dense", "synops_up")
    np.testing.assert_array_equal(up[:, 0], 3 * 12)
    if not readout:
        np.testing.assert_array_equal(up[:, 1], 3 * 6)
        np.testing.assert_array_equal(ledger.messages.column("dense", "synops_down")[:, 2], 3 * 6)


def test_the_first_steps_of_a_pass_send_what_a_settle_sends() -> None:
    network, (images, labels) = example("average pool"), stripes(4)
    learned = to_digital(network, steps=1).learn(images, labels, rule_for(network)).ledger.messages
    settled = to_digital(network, steps=FREE).settle(images).ledger.messages
    assert learned is not None
    assert settled is not None
    for name in ("dense", "zero_skip", "delta"):
        np.testing.assert_array_equal(learned.events(name)[:FREE], settled.events(name), err_msg=name)  # type: ignore[arg-type]


def test_operators_that_cannot_learn_are_named() -> None:
    class Fixed:
        def __init__(self, operator: Any) -> None:
            self.up, self.down = operator.up, operator.down

    network, (images, labels) = _tiny(readout=False), stripes(4)
    plain = to_digital(network, steps=1).dynamics.operators
    machine = Digital(circuit_of(network), [Fixed(operator) for operator in plain], None, steps=1)
    with pytest.raises(TypeError, match="Fixed cannot learn: it has no correlate and load"):
        machine.learn(images[:, :, :2, :2], labels % 2, rule_for(network))
