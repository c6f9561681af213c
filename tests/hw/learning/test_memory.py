"""What a weight remembers: floats against torch.optim.SGD, integers against the statistics of their rounding."""

from __future__ import annotations

import re
from math import sqrt

import numpy as np
import pytest
import torch
from helpers.random_nets import mixed_network, program_of
from helpers.torch_sgd import Sgd
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.circuit import FixedNeuron
from hw.learning.memory import FixedMemory, FloatMemory, check_descent, fixed_memories
from hw.learning.rule import Descent
from mapping.circuit import circuit_of

SHAPE = (3, 4)
Rates = st.floats(1e-4, 0.5)


def _descent(momentum: float) -> Descent:
    return Descent((0.1,) * 4, (0.1,) * 4, (0.0,) * 4, (0.0,) * 4, momentum)


def _fixed(value: NDArray[np.integer] | int, seed: int = 0, **other: int | float) -> FixedMemory:
    settings_ = {"scale": 64.0, "limit": 127, **other}
    return FixedMemory(np.asarray(value, np.int8), seed=(seed, 1), **settings_)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(Rates, min_size=1, max_size=12),
    st.floats(0, 0.1),
    st.sampled_from((0.0, 0.5, 0.9, 0.99)),
    st.booleans(),
    st.integers(0, 2**20),
)
def test_floats_descend_as_sgd(rates: list[float], decay: float, momentum: float, tensors: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    gradients = torch.randn((len(rates), *SHAPE), generator=generator, dtype=torch.float64)
    leaf = start.clone()
    optimizer = Sgd([leaf], momentum)
    memory = FloatMemory(start.clone() if tensors else start.numpy().copy())
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.step([gradient], [rate], [decay])
        before = memory.value
        kept = np.array(before)
        returned = memory.descend(gradient if tensors else gradient.numpy(), rate, decay, momentum)
        np.testing.assert_allclose(np.asarray(returned), leaf.numpy(), rtol=1e-9, atol=1e-12)
        assert returned is memory.value
        np.testing.assert_array_equal(np.asarray(before), kept)  # never in place


def test_a_rate_of_zero_leaves_floats_and_integers_as_they_are() -> None:
    gradient = np.full(SHAPE, 3.0)
    floats, integers = FloatMemory(np.ones(SHAPE)), _fixed(np.full(SHAPE, 5))
    for _ in range(20):
        np.testing.assert_array_equal(floats.descend(gradient, 0.0, 0.1, 0.9), np.ones(SHAPE))
        np.testing.assert_array_equal(integers.descend(gradient, 0.0, 0.1, 0.0), np.full(SHAPE, 5))
    np.testing.assert_array_equal(integers.accumulator, 5 * 256)


@pytest.mark.parametrize("wanted", [-3.7, -1.0, -0.26, -0.004, 0.0, 0.004, 0.5, 2.3])
def test_rounding_is_unbiased(wanted: float) -> None:
    """`wanted` in steps of the accumulator: the mean of n draws is within 4 standard errors, sqrt(p (1 - p) / n)."""
    draws, rate, scale = 40_000, 0.5, 64.0
    memory = _fixed(np.zeros(draws), seed=3, scale=scale)
    memory.descend(np.full(draws, -wanted / (rate * scale * 256)), rate, 0.0, 0.0)
    part = wanted - np.floor(wanted)
    error = abs(memory.accumulator.mean() - wanted)
    assert error <= 4 * sqrt(part * (1 - part) / draws) + 1e-12
    # and never further than to the next integers
    assert np.abs(memory.accumulator - wanted).max() < 1.0


def test_updates_below_a_step_of_the_accumulator_arrive_on_average() -> None:
    weights, steps, share = 400, 300, 0.013
    memory = _fixed(np.zeros(weights), seed=5)
    for _ in range(steps):
        memory.descend(np.full(weights, -share / (64.0 * 256)), 1.0, 0.0, 0.0)
    mean, spread = steps * share, sqrt(steps * share * (1 - share))
    assert abs(memory.accumulator.mean() - mean) <= 4 * spread / sqrt(weights)
    assert memory.accumulator.std() == pytest.approx(spread, rel=0.15)


def test_updates_below_a_step_of_the_weight_add_up_to_it() -> None:
    """100 changes of an eighth of an integer are 12.5 integers, where rounding each of them would leave nothing."""
    memory = _fixed(np.full(50, 3))
    for _ in range(100):
        memory.descend(np.full(50, -0.125 / 64.0), 1.0, 0.0, 0.0)
    # 0.125 is 32 whole steps of the accumulator: nothing is left to chance
    np.testing.assert_array_equal(memory.accumulator, (3 * 8 + 100) * 32)
    np.testing.assert_array_equal(memory.value, 16)  # 15.5 rounded up


def test_decay_pulls_the_number_that_an_integer_stands_for() -> None:
    """theta = (value - offset) / scale decays by rate * decay of itself, also where theta is 0 at the offset."""
    draws, rate, decay, scale, offset = 20_000, 0.5, 0.02, 64.0, 32
    start = np.where(np.arange(draws) % 2, 100, offset)
    memory = _fixed(start, scale=scale, offset=offset)
    memory.descend(np.zeros(draws), rate, decay, 0.0)
    moved = memory.accumulator / 256 - start
    expected = -rate * decay * (100 - offset)
    assert abs(moved[1::2].mean() - expected) <= 4 * 0.5 / 256 / sqrt(draws / 2)
    np.testing.assert_array_equal(moved[::2], 0.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.floats(1e-3, 0.7), st.integers(0, 10))
def test_integers_never_leave_their_range(seed: int, size: float, guard_bits: int) -> None:
    rng = np.random.default_rng(seed)
    memory = _fixed(rng.integers(-127, 128, SHAPE), seed=seed, guard_bits=guard_bits)
    for _ in range(15):
        value = memory.descend(size * rng.standard_normal(SHAPE), 1.0, 0.01, 0.0)
        assert np.issubdtype(value.dtype, np.integer)
        assert np.abs(value).max() <= 127
        np.testing.assert_array_equal(value, memory.value)
    for sign, end in ((1.0, -127), (-1.0, 127)):
        # twice the range at most: from one end to the other
        np.testing.assert_array_equal(memory.descend(np.full(SHAPE, sign * 2 * 127 / 64), 1.0, 0.0, 0.0), end)


@pytest.mark.parametrize("change", [254.1, -1e9, float("nan"), float("inf")])
def test_a_change_beyond_the_range_is_refused_and_changes_nothing(change: float) -> None:
    memory, twin = _fixed(np.full(SHAPE, 5)), _fixed(np.full(SHAPE, 5))
    gradient = np.zeros(SHAPE)
    gradient[1, 2] = -change / 64 / 0.5
    message = rf"would change an integer by {re.escape(f'{abs(change):g}')}, it holds -127 to 127: use a smaller"
    with pytest.raises(ValueError, match=message):
        memory.descend(gradient, 0.5, 0.0, 0.0)
    assert memory.too_large(gradient, 0.5, 0.0) is not None
    assert memory.too_large(gradient, 0.0, 0.0) is None  # what does not learn asks for nothing
    # not even a random number was taken
    np.testing.assert_array_equal(memory.accumulator, twin.accumulator)
    assert memory.rng.random() == twin.rng.random()


def test_seeds_name_the_random_numbers() -> None:
    def run(seed: int) -> NDArray[np.int64]:
        memory = _fixed(np.zeros(200), seed=seed)
        for _ in range(5):
            memory.descend(np.full(200, 1e-5), 1.0, 0.0, 0.0)
        return memory.accumulator

    np.testing.assert_array_equal(run(1), run(1))
    # 5 x 200 independent draws of p = 0.16: were they the same, they would agree everywhere
    assert (run(1) == run(2)).mean() < 0.75


@pytest.mark.parametrize("state_bits", [8, 4])
def test_memories_of_a_program_stand_for_the_weights_of_the_network(state_bits: int) -> None:
    """(value - offset) / scale is the wire's weight to half a step of the integers it was rounded to."""
    network = mixed_network()
    program = program_of(network, state_bits=state_bits, seed=2)
    circuit, exact = circuit_of(program), circuit_of(network)
    assert isinstance(circuit.neuron, FixedNeuron)
    found = fixed_memories(circuit, seed=4)
    wires = [*exact.wires, exact.readout]
    biases = [*exact.biases, exact.readout_bias]
    assert len(found) == len(wires) == 4
    for (weight, bias), wire, floats in zip(found, wires, biases, strict=True):
        assert wire is not None
        meant = (weight.value - weight.offset) / weight.scale
        inside = np.abs(weight.value) < 127  # beyond it was clipped
        assert inside.mean() > 0.5
        np.testing.assert_allclose(meant[inside], wire.weight[inside], atol=0.501 / weight.scale)
        np.testing.assert_allclose((bias.value - bias.offset) / bias.scale, floats, atol=0.501 / bias.scale)
        assert weight.limit == 127
    # no two memories round alike
    drawn = {float(memory.rng.random()) for pair in found for memory in pair}
    assert len(drawn) == 8


def test_momentum_of_integers_is_refused_by_name() -> None:
    network = mixed_network()
    integers, floats = circuit_of(program_of(network, state_bits=8, seed=0)), circuit_of(network)
    with pytest.raises(ValueError, match=r"momentum is 0.9: .*use 0"):
        check_descent(integers, _descent(0.9))
    check_descent(integers, _descent(0.0))
    check_descent(floats, _descent(0.9))


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 1.5, float("nan")])
def test_momentum_outside_its_range_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match=f"momentum is {momentum}, expected 0 up to but not 1"):
        _descent(momentum)


@pytest.mark.parametrize("name", ["weight_rates", "bias_rates", "weight_decays", "bias_decays"])
@pytest.mark.parametrize("values", [(0.1, -0.1), (0.1, float("nan")), (0.1, float("inf")), (0.1,), (0.1, 0.1, 0.1)])
def test_rates_that_are_none_are_refused_by_name(name: str, values: tuple[float, ...]) -> None:
    rates = dict.fromkeys(("weight_rates", "bias_rates", "weight_decays", "bias_decays"), (0.1, 0.1))
    rates[name] = values
    with pytest.raises(ValueError, match="expected one finite number from 0 per wire and for the readout") as caught:
        Descent(**rates)
    assert name in str(caught.value) or len(values) != 2  # of two lengths, either may be the wrong one
