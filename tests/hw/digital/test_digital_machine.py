"""The digital reference against int64 and float64 written from the equations, and against `relax`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.naive import events, flat, settle, tables
from helpers.random_nets import networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.digital.machine import Digital
from hw.machine import Settled
from mapping.circuit import circuit_of
from mapping.machines import to_digital
from mapping.program import STATE_BITS
from models.ep.links import DenseLink
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.ep.relaxation import relax


def _small() -> EPNetwork:
    generator = torch.Generator().manual_seed(3)
    layers = (Conv(3), Conv(4, pooling="average", pool_size=2), Dense(6))
    network = build_network((1, 6, 5), layers, 3, generator)
    return network.map_parameters(lambda tensor: tensor + 0.05 * torch.rand(tensor.shape, generator=generator))


def _assert_same(one: Settled, other: Settled) -> None:
    """Everything a settle hands back, except how it was put into batches."""
    for name in ("logits", "logits_by_step", "steps", "residual"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.trace is not None
    assert other.trace is not None
    for ours, theirs in zip((*one.states, *one.trace), (*other.states, *other.trace), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = one.ledger.messages, other.ledger.messages
    for name in ("running", "dense", "zero_skip", "delta"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert ours.readout_synops == theirs.readout_synops
    assert one.ledger.arithmetic.macs == other.ledger.arithmetic.macs


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(0, 2**20), st.integers(1, 4), st.integers(1, 12))
def test_integers_follow_the_documented_formula_in_every_bit(
    network: EPNetwork, state_bits: int, seed: int, count: int, steps: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(program.links[0].below, count, seed)
    naive = settle(program, images, steps)
    with to_digital(program, steps=steps, batch_size=3) as machine:
        settled = machine.settle(images, trace=True)
    assert settled.trace is not None
    for ours, expected, last in zip(settled.trace, naive.trace, settled.states, strict=True):
        assert np.issubdtype(ours.dtype, np.integer)
        np.testing.assert_array_equal(flat(ours), expected)
        np.testing.assert_array_equal(last, ours[-1])
    np.testing.assert_allclose(settled.logits_by_step, naive.scores, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(settled.logits, settled.logits_by_step[-1])
    np.testing.assert_allclose(settled.residual, naive.residual, rtol=1e-12)
    assert settled.one == 2**state_bits - 1
    expected_events = events(naive, tables(program))
    for name, counted in expected_events.items():
        np.testing.assert_array_equal(settled.ledger.messages.events(name), counted, err_msg=name)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(pooling=("none", "average", "max")), st.integers(0, 2**20), st.integers(1, 4))
def test_floats_are_those_of_relax_at_every_step(network: EPNetwork, seed: int, count: int) -> None:
    images, steps = random_images(network.input_shape, count, seed), 9
    relaxed = relax(network, torch.as_tensor(images), steps=steps, schedule="synchronous", trace=True)
    assert relaxed.trace is not None
    with to_digital(network, steps=steps) as machine:
        settled = machine.settle(images, trace=True)
    assert settled.trace is not None
    for layer, ours in enumerate(settled.trace):
        expected = torch.stack([states[layer] for states in relaxed.trace]).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(settled.residual, relaxed.residual.numpy(), atol=1e-6)
    np.testing.assert_allclose(settled.logits, network.logits(relaxed.states[-1]).numpy(), atol=1e-5)
    assert settled.one == 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(pooling=("none", "average", "max")), st.integers(0, 2**20), st.integers(1, 4))
def test_floats_follow_the_documented_formula(network: EPNetwork, seed: int, count: int) -> None:
    """Against float64 matrices built by loops, which share nothing with torch's convolutions."""
    images, steps = random_images(network.input_shape, count, seed), 9
    naive = settle(network, images, steps)
    with to_digital(network, steps=steps) as machine:
        settled = machine.settle(images, trace=True)
    assert settled.trace is not None
    for ours, expected in zip(settled.trace, naive.trace, strict=True):
        np.testing.assert_allclose(flat(ours), expected, atol=1e-5)
    np.testing.assert_allclose(settled.logits_by_step, naive.scores, atol=1e-5)


@pytest.mark.parametrize("tolerance", [None, 0.02])
def test_the_batch_size_changes_nothing(tolerance: float | None) -> None:
    network = _small()
    program, images = program_of(network, state_bits=7, seed=1), random_images((1, 6, 5), 7, 2)
    answers = []
    for batch_size in (1, 3, 7, 256):
        with to_digital(program, steps=15, batch_size=batch_size, tolerance=tolerance) as machine:
            answers.append(machine.settle(images, trace=True))
    for answer in answers[1:]:
        _assert_same(answers[0], answer)


@pytest.mark.parametrize(("state_bits", "tolerance"), [(4, 0.0), (8, 0.01), (8, 0.05)])
def test_an_image_within_the_tolerance_rests_and_costs_nothing_more(state_bits: int, tolerance: float) -> None:
    """Steps, residual, held states and the ledger of the running images only, as counted by hand."""
    program, steps = program_of(_small(), state_bits=state_bits, seed=1), 30
    images = random_images((1, 6, 5), 6, 2)
    images[0] = 0.0
    naive = settle(program, images, steps, tolerance=tolerance)
    assert len(set(naive.steps)) > 1, "the test wants images that rest at different steps"
    with to_digital(program, steps=steps, batch_size=4, tolerance=tolerance) as machine:
        settled = machine.settle(images, trace=True)
    np.testing.assert_array_equal(settled.steps, naive.steps)
    np.testing.assert_allclose(settled.residual, naive.residual, rtol=1e-12)
    assert settled.trace is not None
    for ours, expected in zip(settled.trace, naive.trace, strict=True):
        np.testing.assert_array_equal(flat(ours), expected)
    np.testing.assert_allclose(settled.logits_by_step, naive.scores, atol=1e-12)
    np.testing.assert_array_equal(settled.ledger.messages.running, naive.running().sum(axis=1))
    for name, counted in events(naive, tables(program)).items():
        np.testing.assert_array_equal(settled.ledger.messages.events(name), counted, err_msg=name)  # type: ignore[arg-type]
    computed = sum(int(np.prod(link.above)) for link in program.links)
    assert settled.ledger.messages.neuron_updates_by_step().sum() == naive.steps.sum() * computed


def test_float_tolerance_is_that_of_relax() -> None:
    network, images = _small(), random_images((1, 6, 5), 6, 2)
    images[0] = 0.0
    relaxed = relax(network, torch.as_tensor(images), steps=40, schedule="synchronous", tolerance=1e-3)
    assert len(set(relaxed.steps.tolist())) > 1
    with to_digital(network, steps=40, tolerance=1e-3) as machine:
        settled = machine.settle(images)
    np.testing.assert_array_equal(settled.steps, relaxed.steps.numpy())
    np.testing.assert_allclose(settled.residual, relaxed.residual.numpy(), atol=1e-7)
    for ours, expected in zip(settled.states, relaxed.states, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), atol=1e-6)


def test_without_tolerance_every_image_runs_to_the_limit() -> None:
    program = program_of(_small(), state_bits=4, seed=1)
    with to_digital(program, steps=50) as machine:
        settled = machine.settle(random_images((1, 6, 5), 3, 2))
    np.testing.assert_array_equal(settled.steps, [50, 50, 50])
    np.testing.assert_array_equal(settled.ledger.messages.running, np.full(50, 3))
    assert settled.trace is None


def test_clocked_work_counts_the_cached_input_drive_once() -> None:
    """A clocked processor multiplies every weight at every step, but those of the clamped input once per image."""
    network, images, steps = _small(), random_images((1, 6, 5), 5, 2), 8
    with to_digital(network, steps=steps, batch_size=2) as machine:
        ledger = machine.settle(images).ledger
    inputs = 3 * (6 * 5) * (1 * 3 * 3)
    pooled = 4 * (3 * 2) * (3 * 4 * 4)  # the 3 x 3 kernel summed over 2 x 2 windows is one of 4 x 4
    dense, readout = 6 * 24, 3 * 6
    assert ledger.arithmetic.macs == 5 * (inputs + steps * 2 * (pooled + dense) + readout)
    assert ledger.messages.readout_synops == 5 * readout


def test_the_ledger_knows_the_machine_it_was_counted_on() -> None:
    network, images, steps = _small(), random_images((1, 6, 5), 5, 2), 8
    expected = tables(network)
    with to_digital(network, steps=steps, batch_size=2) as machine:
        ledger = machine.settle(images).ledger
    sent = ledger.messages
    assert (sent.coding, ledger.images, sent.steps) == ("dense", 5, steps)
    assert (sent.units, sent.cores) == ((30, 90, 24, 6), (1, 1, 1, 1))
    assert sent.link_kinds == ("conv", "conv", "dense")
    assert sent.synops("dense") == 5 * steps * sum(table[:, :2].sum() for table in expected)
    assert sent.column("dense", "spikes").sum() == 5 * steps * (30 + 90 + 24 + 6)


def test_one_layer_without_readout() -> None:
    """The smallest network there is: s = clip(W x + b, 0, 1), at rest after one step."""
    weight, bias = torch.tensor([[0.5, 0.25], [-1.0, 0.1]]), torch.tensor([0.1, 2.0])
    network = EPNetwork((DenseLink(weight, bias, (2, 1, 1)),))
    with to_digital(network, steps=3, tolerance=0.0) as machine:
        settled = machine.settle(np.array([[[[1.0]], [[0.4]]]]))
    np.testing.assert_allclose(settled.logits, [[0.7, 1.0]], atol=1e-6)
    np.testing.assert_array_equal(settled.steps, [2])
    np.testing.assert_array_equal(settled.ledger.messages.running, [1, 1, 0])


@pytest.mark.parametrize(("steps", "batch_size"), [(0, 4), (3, 0), (-1, 1)])
def test_no_steps_or_no_batch_is_refused(steps: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match=rf"steps is {steps} and batch_size {batch_size}"):
        to_digital(_small(), steps=steps, batch_size=batch_size)


def test_the_answers_keep_no_hold_of_the_machine() -> None:
    """A second settle does not change what the first one handed back."""
    network = _small()
    with to_digital(network, steps=4) as machine:
        assert isinstance(machine, Digital)
        first = machine.settle(random_images((1, 6, 5), 2, 2))
        kept = [state.copy() for state in (*first.states, first.logits)]
        machine.settle(random_images((1, 6, 5), 2, 9))
    for state, before in zip((*first.states, first.logits), kept, strict=True):
        np.testing.assert_array_equal(state, before)


def test_the_network_outlives_its_circuit() -> None:
    """A circuit is numbers of its own: changing it does not reach the network it came from."""
    network = _small()
    weight = network.links[0].weight.clone()
    circuit = circuit_of(network)
    circuit.wires[0].weight[...] = 0
    assert torch.equal(network.links[0].weight, weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_integers_on_a_gpu_are_those_of_the_cpu() -> None:
    program, images = program_of(_small(), state_bits=8, seed=1), random_images((1, 6, 5), 6, 2)
    with to_digital(program, steps=20) as cpu, to_digital(program, steps=20, device="cuda") as gpu:
        _assert_same(cpu.settle(images, trace=True), gpu.settle(images, trace=True))
