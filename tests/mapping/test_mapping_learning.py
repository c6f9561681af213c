"""Rates on the way to a machine, weights on the way back, and the order and schedule of what it learns from."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, pi
from typing import Any

import numpy as np
import pytest
import torch
from helpers.learning_examples import FREE, NUDGED, assert_same_network, example, learnt_by_torch, stripes
from helpers.random_nets import mixed_network, networks, program_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.circuit import Weights, weights_of, with_weights
from hw.learning.memory import FloatMemory
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned, LearningRule, LearningStoppedError
from mapping.circuit import circuit_of
from mapping.learning import descent_of, network_with, program_with
from mapping.machines import to_digital
from mapping.program import ProgramError
from mapping.training import LearningSchedule, train_on_machine
from models.ep.links import ConvLink, DenseLink
from models.ep.network import Conv, Dense, EPNetwork, build_network

PHASES = UpdatePhases.centered(0.5, free_steps=FREE, nudged_steps=NUDGED)


def _pooled(size: int) -> EPNetwork:
    """Average pools of `size` in the second link, then a dense link and a readout."""
    layers = (Conv(2), Conv(3, pooling="average", pool_size=size), Dense(5))
    return build_network((1, 6, 6), layers, 3, torch.Generator().manual_seed(size))


@pytest.mark.parametrize("size", [2, 3])
def test_under_an_average_pool_rates_fall_and_decays_rise_with_the_fourth_power(size: int) -> None:
    descent = descent_of(_pooled(size), (0.4, 0.3, 0.2, 0.1), weight_decay=(0.01, 0.02, 0.03, 0.04), momentum=0.7)
    np.testing.assert_allclose(descent.weight_rates, (0.4, 0.3 / size**4, 0.2, 0.1), rtol=1e-12)
    np.testing.assert_allclose(descent.weight_decays, (0.01, 0.02 * size**4, 0.03, 0.04), rtol=1e-12)
    assert descent.bias_rates == (0.4, 0.3, 0.2, 0.1)
    assert descent.bias_decays == (0.01, 0.02, 0.03, 0.04)
    assert descent.momentum == 0.7


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.floats(1e-3, 0.5), st.floats(0, 0.1), st.sampled_from((0.0, 0.9)), st.integers(0, 2**20))
def test_a_wire_descends_as_the_weight_it_stands_for(
    size: int, rate: float, decay: float, momentum: float, seed: int
) -> None:
    """w_wire = w / k**2, so dC/dw_wire = k**2 dC/dw by the chain rule; both stay together for many steps."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((3, 2))
    link = ConvLink(torch.zeros(3, 2, 1, 1), torch.zeros(3), (2, 8, 8), pooling="average", pool_size=size)
    readout = DenseLink(torch.zeros(2, 3 * (8 // size) ** 2), torch.zeros(2), link.above)
    network = EPNetwork((link,), readout)
    descent = descent_of(network, (rate, 0.0), weight_decay=(decay, 0.0), momentum=momentum)
    ours, theirs = FloatMemory(weight / size**2), FloatMemory(weight)
    for _ in range(8):
        gradient = rng.standard_normal(weight.shape)
        ours.descend(size**2 * gradient, descent.weight_rates[0], descent.weight_decays[0], momentum)
        theirs.descend(gradient, rate, decay, momentum)
    np.testing.assert_allclose(size**2 * ours.value, theirs.value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3])
def test_one_step_of_a_machine_is_one_step_of_torch(size: int) -> None:
    network = _pooled(size)
    rng = np.random.default_rng(4)
    images, labels = rng.random((6, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 6)
    rates, decays = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.05, 0.02)
    machine = to_digital(network, steps=1)
    machine.learn(images, labels, LearningRule(PHASES, descent_of(network, rates, weight_decay=decays), 6))
    expected = learnt_by_torch(network, [(images, labels)], beta=0.5, rates=rates, decays=decays)
    assert_same_network(network_with(network, machine.read_weights()), expected, atol=1e-6)
    pooled = (expected.links[1].weight - network.links[1].weight).abs().max()
    assert float(pooled) > 0.01


@pytest.mark.parametrize("integers", [False, True], ids=["network", "program"])
def test_a_program_has_the_rates_of_its_network(integers: bool) -> None:
    network = mixed_network()
    source = program_of(network, state_bits=8, seed=1) if integers else network
    descent = descent_of(source, (0.4, 0.3, 0.2, 0.1), weight_decay=(0.01,) * 4)
    np.testing.assert_allclose(descent.weight_rates, (0.4, 0.3 / 16, 0.2, 0.1))
    np.testing.assert_allclose(descent.weight_decays, (0.01, 0.16, 0.01, 0.01))


def test_max_pools_and_no_pools_change_no_rate() -> None:
    descent = descent_of(example("max pool"), (0.4, 0.3, 0.2, 0.1))
    assert descent.weight_rates == descent.bias_rates == (0.4, 0.3, 0.2, 0.1)
    assert descent.weight_decays == descent.bias_decays == (0.0,) * 4


@pytest.mark.parametrize("count", [0, 3, 5])
def test_another_number_of_rates_is_refused(count: int) -> None:
    network = _pooled(2)
    with pytest.raises(ValueError, match=f"learning_rates has {count} values, expected 4: one per link and readout"):
        descent_of(network, (0.1,) * count)
    with pytest.raises(ValueError, match=f"weight_decay has {count} values, expected 4: one per link and readout"):
        descent_of(network, (0.1,) * 4, weight_decay=(0.1,) * count)
    # without a readout there is one fewer
    assert len(descent_of(example("dense squared error"), (0.1,) * 3).weight_rates) == 3


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(pooling=("none", "average", "max")), st.integers(0, 2**20))
def test_weights_come_back_to_the_network_they_left(network: EPNetwork, seed: int) -> None:
    circuit = circuit_of(network)
    assert_same_network(network_with(network, weights_of(circuit)), network, atol=1e-7)
    rng = np.random.default_rng(seed)
    old = weights_of(circuit)
    new = Weights(
        tuple(rng.standard_normal(weight.shape) for weight in old.weights),
        tuple(rng.standard_normal(bias.shape) for bias in old.biases),
    )
    changed = network_with(network, new)
    back = weights_of(circuit_of(changed))
    for ours, given_ in zip((*back.weights, *back.biases), (*new.weights, *new.biases), strict=True):
        np.testing.assert_allclose(ours, given_, rtol=1e-6, atol=1e-7)
    kept = weights_of(with_weights(circuit, new))
    for ours, theirs in zip((*kept.weights, *kept.biases), (*back.weights, *back.biases), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    # the given network is left alone
    assert_same_network(network_with(network, weights_of(circuit)), network, atol=1e-7)
    assert changed.layers == network.layers


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(), st.sampled_from((4, 8)), st.integers(0, 2**20))
def test_integers_come_back_to_the_program_they_left(network: EPNetwork, state_bits: int, seed: int) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    old = weights_of(circuit_of(program))
    rng = np.random.default_rng(seed)
    new = Weights(
        tuple((weight * rng.random(weight.shape)).astype(np.int64) for weight in old.weights),
        tuple(np.asarray(bias).astype(np.int64) for bias in old.biases),
    )
    changed = program_with(program, new)
    back = weights_of(circuit_of(changed))
    for ours, given_ in zip((*back.weights, *back.biases), (*new.weights, *new.biases), strict=True):
        np.testing.assert_array_equal(ours, given_)
    for link, before in zip(changed.named_links().values(), program.named_links().values(), strict=True):
        assert link.weight.dtype == np.int8
        assert link.exponent == before.exponent
    assert changed.state_bits == state_bits


def test_weights_that_an_accumulator_could_not_add_up_are_refused() -> None:
    network = build_network((1, 20, 20), (Dense(4),), 3, torch.Generator().manual_seed(0))
    program = program_of(network, state_bits=8, seed=0)
    weights = weights_of(circuit_of(program))
    # 400 inputs x 127 x 255 are 13 million, a 24-bit accumulator ends at 8.4 million
    full = Weights((np.full((4, 400), 127), weights.weights[1]), weights.biases)
    with pytest.raises(ProgramError):
        program_with(program, full)


def _schedule(epochs: int = 5, **other: Any) -> LearningSchedule:
    return LearningSchedule(PHASES, (0.4, 0.3, 0.2, 0.1), epochs, **other)


def test_rates_follow_a_cosine_down_to_zero() -> None:
    schedule, network = _schedule(8, momentum=0.9, weight_decay=(0.01,) * 4, batch_size=7), _pooled(2)
    rules = [schedule.rule(network, epoch) for epoch in range(1, 9)]
    shares = [rule.descent.bias_rates[0] / 0.4 for rule in rules]
    np.testing.assert_allclose(shares, [(1 + cos(pi * k / 8)) / 2 for k in range(8)], rtol=1e-12)
    assert shares[0] == 1.0
    assert shares[4] == pytest.approx(0.5)
    # the epoch after the last would be the one at zero
    assert schedule.rule(network, 9).descent.bias_rates == pytest.approx((0.0,) * 4)
    for rule, share in zip(rules, shares, strict=True):
        np.testing.assert_allclose(rule.descent.bias_rates, share * np.array(schedule.learning_rates), rtol=1e-12)
        assert rule.descent.weight_rates[1] == pytest.approx(share * 0.3 / 16)
        # only rates are scheduled
        assert (rule.phases, rule.batch_size) == (PHASES, 7)
        assert rule.descent.momentum == 0.9
        assert rule.descent.bias_decays == (0.01,) * 4


def test_a_schedule_of_one_epoch_is_at_full_rate() -> None:
    assert _schedule(1).rule(_pooled(2), 1).descent.bias_rates == (0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_schedule_without_epochs_is_refused(epochs: int) -> None:
    with pytest.raises(ValueError, match=f"epochs is {epochs}, must be at least 1"):
        _schedule(epochs)


class _Recorder:
    """Remembers what it was shown; stops in epoch `stops`."""

    def __init__(self, stops: int = 0) -> None:
        self.shown: list[tuple[NDArray[np.float32], NDArray[np.integer], LearningRule]] = []
        self.stops = stops

    def learn(self, images: NDArray[np.float32], labels: NDArray[np.integer], rule: LearningRule) -> Learned:
        self.shown.append((images.copy(), labels.copy(), rule))
        if len(self.shown) == self.stops:
            raise LearningStoppedError("worn out", None)
        return Learned(len(images), 0, None)  # type: ignore[arg-type]


def _numbered(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Image i is filled with i / count and has class i % 3."""
    values = np.arange(count, dtype=np.float32) / count
    return np.broadcast_to(values[:, None, None, None], (count, 1, 6, 6)).copy(), np.arange(count) % 3


def _trained(epochs: int, seed: int, count: int = 20, **other: Any) -> _Recorder:
    machine, (images, labels) = _Recorder(), _numbered(count)
    done = list(train_on_machine(machine, _pooled(2), images, labels, _schedule(epochs), seed=seed, **other))  # type: ignore[arg-type]
    assert [epoch for epoch, _ in done] == list(range(1, epochs + 1))
    return machine


def _orders(machine: _Recorder, count: int = 20) -> list[list[int]]:
    return [np.rint(images[:, 0, 0, 0] * count).astype(int).tolist() for images, _, _ in machine.shown]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**20), st.integers(1, 40))
def test_every_image_comes_once_per_epoch_with_its_label(epochs: int, seed: int, count: int) -> None:
    machine = _trained(epochs, seed, count)
    for order, (_, labels, _) in zip(_orders(machine, count), machine.shown, strict=True):
        assert sorted(order) == list(range(count))
        assert labels.tolist() == [index % 3 for index in order]
    rates = [rule.descent.bias_rates[0] for _, _, rule in machine.shown]
    assert rates == [_schedule(epochs).rule(_pooled(2), epoch).descent.bias_rates[0] for epoch in range(1, epochs + 1)]


def test_seed_and_epoch_alone_decide_the_order() -> None:
    orders = _orders(_trained(5, seed=3))
    assert _orders(_trained(5, seed=3)) == orders
    assert _orders(_trained(2, seed=3)) == orders[:2]  # however long the schedule is
    # 20! orders: no two alike, in other epochs and of other seeds
    every = orders + _orders(_trained(5, seed=4)) + [list(range(20))]
    assert len({tuple(order) for order in every}) == 11


def test_augmentation_changes_a_copy() -> None:
    images, labels = _numbered(20)
    kept = images.copy()

    def spoil(shown: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        shown += rng.random(shown.shape, np.float32)  # in place
        return shown

    machine, again = _Recorder(), _Recorder()
    for one in (machine, again):
        for _ in train_on_machine(one, _pooled(2), images, labels, _schedule(3), seed=1, augment=spoil):  # type: ignore[arg-type]
            np.testing.assert_array_equal(images, kept)
    plain = _trained(3, seed=1)
    for changed, same, bare in zip(machine.shown, again.shown, plain.shown, strict=True):
        np.testing.assert_array_equal(changed[0], same[0])  # (seed, epoch) decides here too
        np.testing.assert_array_equal(changed[1], bare[1])  # and the order is the same with and without
        assert (changed[0] - bare[0]).min() >= -1e-6
        assert (changed[0] - bare[0]).std() == pytest.approx(1 / 12**0.5, rel=0.1)
    # every epoch changes the images anew
    added = [changed[0] - bare[0] for changed, bare in zip(machine.shown, plain.shown, strict=True)]
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.2


def test_epochs_are_handed_out_as_they_are_done() -> None:
    machine, (images, labels) = _Recorder(stops=3), _numbered(20)
    epochs: Iterator[tuple[int, Learned]] = train_on_machine(
        machine,  # type: ignore[arg-type]
        _pooled(2),
        images,
        labels,
        _schedule(5),
        seed=1,
    )
    assert not machine.shown
    assert next(epochs)[0] == 1
    assert len(machine.shown) == 1
    assert next(epochs)[0] == 2
    with pytest.raises(LearningStoppedError, match="worn out"):
        next(epochs)
    assert len(machine.shown) == 3


def test_a_machine_that_is_trained_learns() -> None:
    network, (images, labels), (unseen, truth) = example("dense squared error"), stripes(60, seed=4), stripes(60, 5)
    machine = to_digital(network, steps=FREE)
    schedule = LearningSchedule(PHASES, (0.5, 0.5, 0.5), epochs=6, batch_size=5)
    curve = [learned.accuracy for _, learned in train_on_machine(machine, network, images, labels, schedule, seed=0)]
    assert len(curve) == 6
    assert curve[0] < curve[-1]
    assert float((machine.settle(unseen).logits.argmax(axis=1) == truth).mean()) >= 0.95
