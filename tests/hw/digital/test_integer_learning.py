"""Integers that learn: the gradient on average, their range, and the rounding that seeds decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.digital_learning import phases_of, program_by, rule_for
from helpers.learning_examples import CLASSES, FREE, NUDGED, assert_same_weights, example, stripes, torch_gradient
from numpy.typing import NDArray

from hw.circuit import FixedNeuron, Weights
from hw.learning.rule import Descent, LearningRule, LearningStoppedError
from mapping.circuit import circuit_of
from mapping.learning import program_with
from mapping.machines import to_digital
from mapping.program import Program


def test_integers_move_by_the_gradient_on_average() -> None:
    """Many machines with seeds of their own: their mean update is that of the float machine, to 4 standard errors."""
    network, (images, labels) = example("dense squared error"), stripes(8)
    program = program_by(network)
    circuit = circuit_of(program)
    assert isinstance(circuit.neuron, FixedNeuron)
    moved: list[NDArray[np.float64]] = []
    rates, machines = (0.02,) * 3, 40
    for seed in range(machines):
        machine = to_digital(program, steps=1, seed=seed)
        machine.learn(images, labels, rule_for(program, 8, rates=rates))
        assert machine._memories is not None
        # the accumulator holds 8 bits more than the weight, and one machine rounds every one of them once
        moved.append(np.concatenate([pair[0].accumulator.ravel() for pair in machine._memories]))  # type: ignore[union-attr]
    start = np.concatenate([wire.weight.ravel().astype(np.int64) << 8 for wire in circuit.wires])
    scales = np.concatenate(
        [
            np.full(wire.weight.size, 2.0 ** (point - wire.up_shift + 8))
            for wire, point in zip(circuit.wires, circuit.neuron.exponents, strict=True)
        ]
    )
    found = (np.mean(moved, axis=0) - start) / scales
    # phases of integers differ a little from those of floats: compare with the integers' own phases
    exact = _gradient_of_integers(program, images, labels)
    error = np.abs(found + rates[0] * exact) * scales
    assert (error <= 4 * 0.5 / np.sqrt(machines)).mean() > 0.999
    # and these point where the floats' do
    floats = torch_gradient(network, images, labels, "centered", 0.2)
    weights = np.concatenate([floats[f"link{index}.weight"].numpy().ravel() for index in (1, 2, 3)])
    assert float(exact @ weights / np.linalg.norm(exact) / np.linalg.norm(weights)) > 0.98


def _gradient_of_integers(program: Program, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
    """-(1 / N) sum over phases and images of c a b^T, of states settled in a loop of numpy over integers."""
    one = program.one
    phases = phases_of()
    exponents = program.exponents
    weights = [link.weight.astype(np.int64) for link in program.links]
    biases = [link.bias.astype(np.int64) for link in program.links]
    codes = np.rint(images.reshape(len(images), -1) * one).astype(np.int64)
    target = np.eye(CLASSES)[labels]

    def settle(states: list[Any], beta: float, steps: int) -> list[Any]:
        for _ in range(steps):
            fresh = []
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                link = program.links[layer]
                below = codes if layer == 0 else states[layer - 1]
                drive = ((below @ weight.T) << (exponents[layer] - link.exponent)) + bias
                if layer + 1 < len(weights):
                    above = states[layer + 1] @ weights[layer + 1]
                    drive = drive + (above << (exponents[layer] - program.links[layer + 1].exponent))
                elif beta:
                    top = 2 ** exponents[-1]
                    pulled = (drive - top // 2 + np.rint(beta * one * top * target)) / (1 + beta)
                    fresh.append(np.clip(np.floor(pulled / top + 0.5), 0, one).astype(np.int64))
                    continue
                fresh.append(np.clip(drive >> exponents[layer], 0, one))
            states = fresh
        return states

    free = settle([np.zeros((len(images), len(weight)), np.int64) for weight in weights], 0.0, FREE)
    gradient = [np.zeros(weight.shape) for weight in weights]
    for beta, share in zip(phases.betas, phases.weights, strict=True):
        ends = [codes, *settle(free, beta, NUDGED)]
        for index, part in enumerate(gradient):
            part -= share * (ends[index + 1].T @ ends[index]) / (len(images) * one**2)
    return np.concatenate([part.ravel() for part in gradient])


def test_integers_that_would_leave_their_range_at_once_stop_before_the_update() -> None:
    """A black image asks nothing of the first link, the next one too much: what the first changed stays."""
    network, (images, labels) = example("dense squared error"), stripes(8, noise=0.0)
    images[:4] = 0.0
    program = program_by(network, headroom_bits=2)
    machine, reference = (to_digital(program, steps=FREE, seed=2) for _ in range(2))
    rule = LearningRule(phases_of(), Descent((100.0, 0.01, 0.01), (0.01,) * 3, (0.0,) * 3, (0.0,) * 3), 4)
    with pytest.raises(LearningStoppedError, match=r"link1: an update would change an integer by .*, it holds -127 to "
                       "127: use a smaller learning rate") as caught:  # fmt: skip
        machine.learn(images, labels, rule)
    assert caught.value.learned is not None
    assert caught.value.learned.images == 4
    reference.learn(images[:4], labels[:4], rule)
    for ours, theirs in zip(machine.read_weights().weights, reference.read_weights().weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_seeds_decide_the_rounding_of_integers() -> None:
    program, (images, labels) = program_by(example("average pool")), stripes(12)

    def learnt(seed: int) -> Weights:
        machine = to_digital(program, steps=1, seed=seed)
        machine.learn(images, labels, rule_for(program, rates=(0.3,) * 4))
        return machine.read_weights()

    assert_same_weights(learnt(1), learnt(1))
    one, other = learnt(1), learnt(2)
    assert any((ours != theirs).any() for ours, theirs in zip(one.weights, other.weights, strict=True))


def test_what_is_read_from_integers_settles_to_the_same_states() -> None:
    program, (images, labels) = program_by(example("average pool")), stripes(12)
    machine = to_digital(program, steps=FREE)
    machine.learn(images, labels, rule_for(program, rates=(0.5,) * 4))
    again = to_digital(program_with(program, machine.read_weights()), steps=FREE)
    one, other = machine.settle(images), again.settle(images)
    for ours, theirs in zip((*one.states, one.logits), (*other.states, other.logits), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert_same_weights(again.read_weights(), machine.read_weights())
