"""Learning on the devices: perfect ones are the digital machine, damaged ones learn, and all writes are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, noisy_reads, uniform_drift
from helpers.crossbar_learning import G_MAX, SMALL, accuracy_of, crossbar_of, fine_steps, phases_of, rule_for
from helpers.learning_examples import (
    CLASSES,
    FREE,
    NUDGED,
    RECIPES,
    SHAPE,
    assert_same_network,
    assert_same_weights,
    example,
    moved_by,
    stripes,
)
from numpy.typing import NDArray

from hw.circuit import Weights
from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device import Device, Temperature
from hw.crossbar.devices.presets import preset
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import Wires
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from mapping.learning import network_with
from mapping.machines import to_digital
from models.ep.network import Dense, build_network


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        *((name, "centered") for name in RECIPES),
        ("dense squared error", "one_sided"),
        ("dense squared error", "n_point"),
    ],
)
def test_perfect_devices_learn_what_the_digital_machine_learns(name: str, estimator: str) -> None:
    """20 updates, on tiles that cut every link: equal to 1e-5, and what was applied is what was wanted."""
    network, (images, labels) = example(name), stripes(39)  # 19 batches of 2 and one of 1
    crossbar, digital = crossbar_of(network), to_digital(network, steps=FREE)
    rule = rule_for(network, 2, phases_of(estimator))
    learned, reference = crossbar.learn(images, labels, rule), digital.learn(images, labels, rule)
    expected = network_with(network, digital.read_weights())
    assert moved_by(expected, network) > 0.05
    assert_same_network(network_with(network, crossbar.read_weights()), expected, atol=1e-5)
    assert (learned.images, learned.hits) == (39, reference.hits)
    assert learned.agreement is not None
    assert len(learned.agreement) == len(crossbar.links)
    np.testing.assert_allclose(learned.agreement, 1.0, atol=1e-5)
    # and the machine computes with what it reads out
    for ours, theirs in zip(crossbar.settle(images).states, digital.settle(images).states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_fine_steps_learn_almost_the_same() -> None:
    """Mixed precision is never further off than the pulse that is still owed, which later gradients see."""
    network, (images, labels) = example("dense squared error"), stripes(20)
    device = fine_steps(200_000)
    crossbar = crossbar_of(network, device, replace(EXACT, encoding="balanced"), update=MixedPrecision())
    digital = to_digital(network, steps=FREE)
    learned = crossbar.learn(images, labels, rule_for(network))
    digital.learn(images, labels, rule_for(network))
    expected = network_with(network, digital.read_weights())
    assert_same_network(network_with(network, crossbar.read_weights()), expected, atol=2e-4)
    assert learned.agreement is not None
    assert min(learned.agreement) > 0.999


def test_two_passes_are_one_longer_pass() -> None:
    network, (images, labels) = example("average pool"), stripes(16)
    once, twice = (crossbar_of(network, fine_steps(), replace(SMALL, encoding="balanced"), update=MixedPrecision())
                   for _ in range(2))  # fmt: skip
    whole = once.learn(images, labels, rule_for(network))
    parts = [twice.learn(images[part], labels[part], rule_for(network)) for part in (slice(0, 8), slice(8, 16))]
    assert_same_weights(once.read_weights(), twice.read_weights())
    np.testing.assert_array_equal(once.writes(), twice.writes())
    assert sum(part.hits for part in parts) == whole.hits


def test_what_is_wanted_is_the_descent_and_writes_nothing() -> None:
    network, (images, labels) = example("average pool"), stripes(4)
    crossbar, digital = crossbar_of(network), to_digital(network, steps=1)
    before = crossbar.read_weights()
    wanted = crossbar.weight_changes(images, labels, rule_for(network))
    assert_same_weights(crossbar.read_weights(), before)
    assert not crossbar.writes().any()
    old = digital.read_weights()
    digital.learn(images, labels, rule_for(network))
    for change, new, start in zip(wanted, digital.read_weights().weights, old.weights, strict=True):
        np.testing.assert_allclose(change, (new - start).reshape(change.shape), atol=1e-6)


def test_agreement_is_the_cosine_of_wanted_and_applied() -> None:
    """By hand: what was asked for, update by update, against what the devices hold more at the end."""
    network, (images, labels) = example("dense squared error"), stripes(12)
    device = replace(fine_steps(300, cycle=0.5), stuck_on=0.1, stuck_off=0.1)
    design = replace(SMALL, encoding="balanced")
    machine, shadow = (crossbar_of(network, device, design, update=StochasticPulses()) for _ in range(2))
    before = [np.asarray(weight, np.float64) for weight in shadow.read_weights().weights]
    asked = [np.zeros(link.matrix.shape) for link in shadow.links]
    for first in range(0, 12, 4):
        part = images[first : first + 4], labels[first : first + 4]
        for total, change in zip(asked, shadow.weight_changes(*part, rule_for(network)), strict=True):
            total += change
        shadow.learn(*part, rule_for(network))
    learned = machine.learn(images, labels, rule_for(network))
    assert_same_weights(machine.read_weights(), shadow.read_weights())
    assert learned.agreement is not None
    for found, want, new, old in zip(learned.agreement, asked, shadow.read_weights().weights, before, strict=True):
        applied = (new - old).reshape(want.shape)
        cosine = (want * applied).sum() / np.linalg.norm(want) / np.linalg.norm(applied)
        assert found == pytest.approx(cosine, abs=1e-9)
        assert 0 < found < 1


@pytest.mark.parametrize(
    ("device", "update", "known"),
    [
        (IDEAL, Rewriting(0.01), False),
        (fine_steps(voltage_v=1.0, width_s=1e-6), StochasticPulses(), True),
        (fine_steps(voltage_v=1.0, width_s=1e-6), MixedPrecision(), True),
        (fine_steps(), MixedPrecision(), False),
    ],
    ids=["rewriting", "stochastic", "mixed", "mixed, no figure"],
)
def test_the_ledger_counts_what_was_written(device: Device, update: Any, known: bool) -> None:
    network, (images, labels) = example("dense squared error"), stripes(20)
    machine = crossbar_of(network, device, replace(SMALL, encoding="balanced"), update=update)
    first = machine.learn(images[:8], labels[:8], rule_for(network))
    programmed = sum(tile.array.target_s.size for link in machine.links for tile in link.matrix.tiles)
    counted = int(machine.writes().sum())
    assert first.ledger.tiles is not None
    written = first.ledger.tiles.written
    # the first ledger of a machine holds its programming, for which no pulses are published
    assert written.devices >= programmed
    assert written.pulses is None
    second = machine.learn(images[8:], labels[8:], rule_for(network))
    assert second.ledger.tiles is not None
    written = second.ledger.tiles.written
    counted = int(machine.writes().sum()) - counted
    assert counted > 0
    if device.pulses is None:
        assert (written.devices, written.pulses, written.energy_j) == (counted, None, None)
    else:
        assert written.pulses == counted
        assert written.devices <= counted
        assert (written.energy_j is not None and 0 < written.energy_j < counted * 1e-6 * G_MAX) == known
    settled = machine.settle(images).ledger.tiles
    assert settled is not None
    assert (settled.written.devices, settled.written.pulses) == (0, 0.0)


def test_the_ledger_counts_the_reads_of_all_phases_by_hand() -> None:
    """Dense 30-8-6-3 with ideal tiles: 12 + 2 x 6 steps; up and down of links 2 and 3 in each, link 1 once."""
    network, (images, labels) = example("dense squared error"), stripes(3)
    machine = crossbar_of(network, design=EXACT)
    events = machine.learn(images, labels, rule_for(network)).ledger.tiles
    assert events is not None
    assert events.links == ("link1", "link2", "link3")
    steps = FREE + 2 * NUDGED
    np.testing.assert_array_equal(events.reads, 3 * np.array([[1, 0], [steps, steps], [steps, steps]]))
    assert events.slots == 3 * (1 + 2 * steps)
    # floats of 32 bits: 30 in and 8 out once, then the busier of 8 + 6 and 6 + 3, both ways, in every step
    assert events.port_bits == 3 * 32 * (30 + 8 + steps * 2 * (8 + 6))
    assert events.exchanges == 3 * (1 + steps)
    assert events.buffer_bytes == ()


def test_a_damaged_die_learns_with_what_still_moves() -> None:
    """Programming noise, stuck devices, wires read from the far ends: accuracy comes back, stuck devices stay."""
    network, (images, labels), (unseen, truth) = example("dense squared error"), stripes(60, 4), stripes(60, 5)
    trained = to_digital(network, steps=FREE)
    for _ in range(6):
        trained.learn(images, labels, rule_for(network, 5, rates=(0.3,) * 3))
    learnt = network_with(network, trained.read_weights())
    device = replace(IDEAL, programming=ConstantCurve(0.04 * G_MAX), stuck_on=0.05, stuck_off=0.05)
    design = replace(SMALL, wires=Wires(1.0, 1.0, "opposite"))
    machine = crossbar_of(learnt, device, design, seed=0, headroom=1.0, update=Rewriting(0.02))
    before = accuracy_of(machine, unseen, truth)
    arrays = [tile.array for link in machine.links for tile in link.matrix.tiles]
    stuck = [~np.isnan(array.stuck_s) for array in arrays]
    held = [array.conductance_s()[where] for array, where in zip(arrays, stuck, strict=True)]
    for _ in range(2):
        machine.learn(images, labels, rule_for(learnt, 5, rates=(0.1,) * 3))
    after = accuracy_of(machine, unseen, truth)
    assert before < 0.75
    assert after >= 0.9
    for link in machine.links:
        for tile in link.matrix.tiles:
            where = stuck.pop(0)
            np.testing.assert_array_equal(tile.array.conductance_s()[where], held.pop(0))
            assert where.any()
            assert (np.isnan(tile.array.stuck_s) == ~where).all()
    assert machine.writes().max() > 1


@pytest.mark.parametrize(
    "update",
    [StochasticPulses(), MixedPrecision(), TwoArrays(fast_gain=4.0, cycle=8, rest_pulses=30)],
    ids=lambda update: type(update).__name__,
)
def test_a_published_device_learns_from_scratch(update: Any) -> None:
    (images, labels), (unseen, truth) = stripes(60, 4), stripes(60, 5)
    layers = (Dense(12, gain=0.7), Dense(CLASSES, gain=0.7))
    network = build_network(SHAPE, layers, None, torch.Generator().manual_seed(1))
    design = replace(EXACT, encoding="balanced")
    machine = crossbar_of(network, preset("li-ecram-2018"), design, headroom=2.0, update=update)
    before = accuracy_of(machine, unseen, truth)
    for _ in range(3):
        learned = machine.learn(images, labels, rule_for(network, 5, rates=(0.2,) * 2))
    assert before < 0.6
    assert accuracy_of(machine, unseen, truth) >= 0.9
    assert learned.agreement is not None
    assert all(-1 <= value <= 1 for value in learned.agreement)


def test_learning_through_converters_follows_the_same_gradient() -> None:
    """8-bit converters, whose ranges are set by the phases themselves."""
    network, (images, labels) = example("average pool"), stripes(40)
    design = Design(rows=40, columns=40)
    machine, digital = crossbar_of(network, IDEAL, design), to_digital(network, steps=FREE)
    machine.learn(images, labels, rule_for(network))
    digital.learn(images, labels, rule_for(network))
    found = network_with(network, machine.read_weights()).named_parameters()
    expected = network_with(network, digital.read_weights()).named_parameters()
    start = network.named_parameters()
    for name in found:
        ours, theirs = (found[name] - start[name]).flatten(), (expected[name] - start[name]).flatten()
        assert float(torch.cosine_similarity(ours, theirs, dim=0)) > 0.98, name
        assert float(ours.norm() / theirs.norm()) == pytest.approx(1, abs=0.1), name


def test_averaged_phases_bring_the_gradient_out_of_the_noise_of_reads() -> None:
    """The error of a gradient under fresh noise falls with the root of the repeats: 9 of them take it to a third.

    Without the first link: its answer to the clamped input is read once and kept for all phases, and what was wrong
    with it stays.
    """
    network, (images, labels) = example("dense squared error"), stripes(8)
    exact = crossbar_of(network).weight_changes(images, labels, rule_for(network, phases=phases_of("centered", 0.3)))
    noisy = noisy_reads(0.005)

    def errors(repeats: int) -> NDArray[np.float64]:
        machine = crossbar_of(network, noisy, EXACT)
        for tile in machine.links[0].matrix.tiles:
            tile.device = replace(noisy, fresh=ConstantCurve(0.0))
            tile.age(0.0)
        rule = rule_for(network, phases=phases_of("centered", 0.3).repeated(repeats))
        tries = [machine.weight_changes(images, labels, rule) for _ in range(8)]
        squares = [
            [np.square(found - true).sum() for found, true in zip(wanted, exact, strict=True)] for wanted in tries
        ]
        return np.sqrt(np.mean(squares, axis=0))

    np.testing.assert_allclose(errors(9) / errors(1), 1 / 3, rtol=0.35)


def test_seeds_decide_what_is_learnt() -> None:
    network, (images, labels) = example("dense squared error"), stripes(12)

    def learnt_with(**seeds: int) -> Weights:
        device = replace(fine_steps(200, cycle=0.3), fresh=noisy_reads(0.02).fresh, g_min_s=1e-7)
        machine = crossbar_of(network, device, replace(SMALL, encoding="balanced"), update=StochasticPulses(), **seeds)
        machine.learn(images, labels, rule_for(network))
        return machine.read_weights()

    one = learnt_with(seed=1, noise_seed=1)
    assert_same_weights(one, learnt_with(seed=1, noise_seed=1))
    for other in (learnt_with(seed=2, noise_seed=1), learnt_with(seed=1, noise_seed=2)):
        assert any((ours != theirs).any() for ours, theirs in zip(one.weights, other.weights, strict=True))


@pytest.mark.parametrize("later_s", [0.0, 990.0])
def test_a_cold_or_aged_die_that_is_compensated_learns_what_the_digital_machine_learns(later_s: float) -> None:
    """At 250 K devices of 0.1 eV conduct 46 %: learnt, aged, cooled, compensated, and learnt again."""
    network, (images, labels) = example("dense squared error"), stripes(16)
    device = replace(uniform_drift(0.05), temperature=Temperature(0.1, 300.0))
    crossbar, digital = crossbar_of(network, device), to_digital(network, steps=FREE)
    for part in (slice(0, 8), slice(8, 16)):
        crossbar.learn(images[part], labels[part], rule_for(network))
        digital.learn(images[part], labels[part], rule_for(network))
        expected = network_with(network, digital.read_weights())
        crossbar.age(later_s, 250.0)
        crossbar.compensate_drift()
        assert_same_network(network_with(network, crossbar.read_weights()), expected, atol=1e-5)
    assert moved_by(expected, network) > 0.05
    for ours, theirs in zip(crossbar.settle(images).states, digital.settle(images).states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
