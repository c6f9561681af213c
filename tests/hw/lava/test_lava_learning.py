"""Genuine Lava runs that learn: floats against torch, integers against the digital machine in every bit.

Starting a Lava graph takes seconds, so every machine here learns several passes.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from helpers.learning_examples import (
    FREE,
    NUDGED,
    RECIPES,
    assert_same_network,
    example,
    learnt_by_torch,
    moved_by,
    stripes,
)
from helpers.random_nets import mixed_network, program_of, random_images

from hw.circuit import Weights
from hw.lava.learning.run_pass import pass_of
from hw.lava.learning.timetable import Tick, timetable
from hw.lava.machine import Lava
from hw.lava.process import LavaError, LavaModelError
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from hw.machine import split
from mapping.circuit import circuit_of
from mapping.learning import descent_of, network_with
from mapping.machines import to_digital, to_lava
from mapping.program import Program
from mapping.quantization import quantize
from models.ep.network import EPNetwork

RATES = (0.03, 0.02, 0.015, 0.01)
DECAYS = (0.01, 0.0, 0.02, 0.005)
EVENTS = ("dense", "zero_skip", "delta", "running")


@contextmanager
def _on_lava(source: EPNetwork | Program, **options: Any) -> Iterator[Lava]:
    """A Lava machine that is closed while the test goes on: ending its processes is mostly waiting."""
    machine = to_lava(source, steps=FREE, **options)
    try:
        yield machine
    finally:
        threading.Thread(target=machine.close).start()


def _rule(
    source: EPNetwork | Program, phases: UpdatePhases, batch_size: int = 4, scale: float = 1.0, **other: Any
) -> LearningRule:
    links = len(source.links) + (source.readout is not None)
    rates = [scale * rate for rate in RATES[:links]]
    return LearningRule(phases, descent_of(source, rates, weight_decay=DECAYS[:links], **other), batch_size)


def _centered(beta: float = 0.5) -> UpdatePhases:
    return UpdatePhases.centered(beta, free_steps=FREE, nudged_steps=NUDGED)


def _assert_same(one: Weights, other: Weights) -> None:
    for ours, theirs in zip((*one.weights, *one.biases), (*other.weights, *other.biases), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", RECIPES)
def test_updates_in_floats_are_those_of_torch(name: str) -> None:
    network, (images, labels) = example(name), stripes(30)  # 7 batches of 4 and one of 2
    links = len(network.links) + (network.readout is not None)
    phases, parts = _centered(), (slice(16), slice(16, None))
    batches = list(zip(split(images, 4), split(labels, 4), strict=True))
    rates, decays = RATES[:links], DECAYS[:links]
    expected = learnt_by_torch(network, batches, beta=0.5, rates=rates, decays=decays, momentum=0.9)
    reference = to_digital(network, steps=FREE)
    with _on_lava(network) as machine:
        for part in parts:
            rule = _rule(network, phases, momentum=0.9)
            found = machine.learn(images[part], labels[part], rule)
            wanted = reference.learn(images[part], labels[part], rule)
            assert (found.images, found.hits) == (wanted.images, wanted.hits)
        learnt = network_with(network, machine.read_weights())
        # what has been learnt is what is settled, on the same machine
        settled = machine.settle(images[:5])
    assert len(batches) == 8
    assert moved_by(expected, network) > 0.03
    assert_same_network(learnt, expected, atol=1e-6)
    again = to_digital(learnt, steps=FREE).settle(images[:5])
    np.testing.assert_allclose(settled.logits, again.logits, atol=1e-5)


CONTRASTS = {
    "centered": _centered(0.3),
    "one-sided": UpdatePhases.one_sided(0.3, free_steps=9, nudged_steps=5),
    "four nudges": UpdatePhases.n_point(0.6, free_steps=7, nudged_steps=4, points=4),
    "one-sided, twice": UpdatePhases.one_sided(0.3, free_steps=5, nudged_steps=1).repeated(2),
}


def _programs() -> dict[str, Program]:
    calibration = torch.as_tensor(stripes(30, seed=9)[0])
    own = {name: quantize(example(name), calibration, headroom_bits=2) for name in RECIPES if name != "max pool"}
    # strides, paddings and exponents that no quantizer would choose
    return own | {"mixed": program_of(mixed_network(), state_bits=6, seed=4)}


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("dense squared error", "centered"),
        ("dense squared error", "four nudges"),
        ("average pool", "one-sided"),
        ("average pool", "one-sided, twice"),
        ("mixed", "centered"),
    ],
)
def test_integers_learn_as_on_the_digital_machine_in_every_bit(name: str, phases: str) -> None:
    program = _programs()[name]
    shape = program.links[0].below
    images = random_images(shape, 11, 1) if name == "mixed" else stripes(11)[0]
    classes = circuit_of(program).classes
    labels = np.random.default_rng(5).integers(0, classes, 11)
    reference = to_digital(program, steps=FREE, seed=7)
    start = reference.read_weights()
    with _on_lava(program, seed=7) as machine:
        for scale in (20.0, 10.0):  # rates are told with every batch: no new graph for them
            rule = _rule(program, CONTRASTS[phases], scale=scale)
            found, wanted = machine.learn(images, labels, rule), reference.learn(images, labels, rule)
            _assert_same(machine.read_weights(), reference.read_weights())
            assert found.hits == wanted.hits
            for events in EVENTS:
                counts = (getattr(learned.ledger.messages, events) for learned in (found, wanted))
                np.testing.assert_array_equal(*counts, events)
            assert found.ledger.messages.readout_synops == wanted.ledger.messages.readout_synops
    moved = [np.any(new != old) for new, old in zip(machine.read_weights().weights, start.weights, strict=True)]
    assert all(moved)


def test_a_rate_that_leaves_the_range_of_integers_at_once_is_an_error_that_names_the_process() -> None:
    """What was learnt in the passes before stays."""
    program, (images, labels) = _programs()["dense squared error"], stripes(8)
    with _on_lava(program) as machine:
        machine.learn(images, labels, _rule(program, _centered(), scale=10.0))
        before = machine.read_weights()
        # all links are overdriven: whichever says so first
        with pytest.raises(LavaModelError, match=r"process '(link|layer)\d' failed in time step \d+: .* would change "
                           r"an integer by .*, it holds -(\d+) to \2: use a smaller learning rate"):  # fmt: skip
            machine.learn(images, labels, _rule(program, _centered(), scale=1e7))
        _assert_same(machine.read_weights(), before)


def test_another_batch_size_goes_on_from_the_weights() -> None:
    network, (images, labels) = example("dense squared error"), stripes(8)
    reference = to_digital(network, steps=FREE)
    with _on_lava(network) as machine:
        for size in (4, 8):
            rule = _rule(network, _centered(), batch_size=size)
            machine.learn(images, labels, rule)
            reference.learn(images, labels, rule)
    learnt = network_with(network, machine.read_weights())
    assert_same_network(learnt, network_with(network, reference.read_weights()), atol=1e-6)


def test_ticks_of_a_centered_contrast_by_hand() -> None:
    table = timetable(UpdatePhases.centered(0.5, free_steps=3, nudged_steps=2))
    assert table == (
        Tick(load="zero", consumed=0),
        Tick(consumed=1),
        Tick(consumed=2),
        Tick(consumed=3, free_ends=True),
        Tick(beta=-0.5, consumed=4),
        Tick(beta=-0.5, ends=(0,)),
        Tick(load="free", consumed=5),
        Tick(beta=0.5, consumed=6),
        Tick(beta=0.5, ends=(1,)),
    )


def test_ticks_of_a_one_sided_contrast_by_hand() -> None:
    table = timetable(UpdatePhases.one_sided(0.5, free_steps=2, nudged_steps=1))
    assert table == (
        Tick(load="zero", consumed=0),
        Tick(consumed=1),
        Tick(consumed=2, free_ends=True, ends=(0,)),
        Tick(beta=0.5, ends=(1,)),
    )


@pytest.mark.parametrize("phases", CONTRASTS.values(), ids=CONTRASTS)
def test_every_phase_ends_once_and_every_step_is_counted_once(phases: UpdatePhases) -> None:
    table = timetable(phases)
    assert sorted(phase for tick in table for phase in tick.ends) == list(range(len(phases.betas)))
    assert [tick.consumed for tick in table if tick.consumed is not None] == list(range(phases.steps))


def test_padding_is_told_from_images() -> None:
    network, (images, labels) = example("average pool"), stripes(6)
    told = pass_of(circuit_of(network), images, labels, _rule(network, _centered()))
    assert [batch.shape for batch in told.images] == [(1, 6, 5, 4)] * 2
    np.testing.assert_array_equal(told.images[1][..., :2], np.moveaxis(images[4:], 0, -1))
    assert not told.images[1][..., 2:].any()
    assert [message[:2].tolist() for message in told.assignments[0]] == [[4, 0], [2, 1]]
    assert len(told.assignments) == 4


def test_what_lava_cannot_learn_is_refused_before_anything_starts() -> None:
    images, labels = stripes(4)
    program = _programs()["average pool"]
    rule = _rule(program, _centered())
    with _on_lava(program, delta_threshold=1) as machine:
        with pytest.raises(ValueError, match="delta_threshold is 1: learning sends whole states"):
            machine.learn(images, labels, rule)
        with pytest.raises(ValueError, match=r"momentum is 0\.9: a synapse of integers"):
            machine.learn(images, labels, _rule(program, _centered(), momentum=0.9))
        with pytest.raises(ValueError, match="labels are 0 to 3, the circuit has classes 0 to 2"):
            machine.learn(images, np.array([0, 1, 2, 3]), rule)
        with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
            machine.learn(images * 3, labels, rule)
        assert machine._learning_host is None
    dense = example("dense squared error")
    with (
        _on_lava(dense) as machine,
        pytest.raises(ValueError, match=r"a nudge of beta -1.5 cannot be applied: the squared-error output"),
    ):
        machine.learn(images, labels, _rule(dense, _centered(1.5)))


def test_a_host_that_is_gone_costs_no_finished_pass() -> None:
    network, (images, labels) = example("dense squared error"), stripes(8)
    rule, reference = _rule(network, _centered()), to_digital(network, steps=FREE)
    with _on_lava(network) as machine:
        machine.learn(images, labels, rule)
        before = machine.read_weights()
        os.kill(machine._learning_host[1].process.pid, signal.SIGKILL)
        with pytest.raises(LavaError, match="the Lava host is gone"):
            machine.learn(images, labels, rule)
        _assert_same(machine.read_weights(), before)
        machine.learn(images, labels, rule)
    for _ in range(2):
        reference.learn(images, labels, rule)
    learnt = network_with(network, machine.read_weights())
    assert_same_network(learnt, network_with(network, reference.read_weights()), atol=1e-6)
