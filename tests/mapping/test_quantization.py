"""Quantization: exponents that fit, rounding to the nearest, a proof that holds, a report that can be recomputed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import floor, log2
from typing import Any

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.naive import NaiveLink, settle
from helpers.random_nets import mixed_network, networks, random_images
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.crossbar.fabrication import Fabrication
from mapping.machines import to_crossbar, to_digital, to_lava
from mapping.program import ACCUMULATOR_MAX, STATE_BITS, Program, ProgramError, ProgramLink
from mapping.quantization import in_float, quantize, scale_report
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import Conv, Dense, EPNetwork, build_network


def _images(network: EPNetwork, count: int = 6, seed: int = 3) -> torch.Tensor:
    return torch.as_tensor(random_images(network.input_shape, count, seed))


def _one_layer(weight: Any, bias: Any = None) -> EPNetwork:
    weight = torch.as_tensor(weight, dtype=torch.float32)
    bias = torch.zeros(len(weight)) if bias is None else torch.as_tensor(bias, dtype=torch.float32)
    return EPNetwork((DenseLink(weight, bias, (weight.shape[1], 1, 1)),))


def _pairs(network: EPNetwork, program: Program) -> list[tuple[Link, ProgramLink]]:
    trained: list[Link] = [*network.links, *([] if network.readout is None else [network.readout])]
    return list(zip(trained, program.named_links().values(), strict=True))


def _stored(link: Link) -> NDArray[np.float64]:
    """What the integers stand for: with one over the window of an average pool in it."""
    return link.weight.double().numpy() / getattr(link, "pool_size", 1) ** 2


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS))
def test_weights_and_biases_are_rounded_to_the_nearest(network: EPNetwork, state_bits: int) -> None:
    program = quantize(network, _images(network), state_bits=state_bits)
    for index, (link, fixed) in enumerate(_pairs(network, program)):
        wanted = _stored(link) * 2.0**fixed.exponent
        held = fixed.weight.astype(np.float64)
        fits = np.abs(wanted) <= 127.5
        assert np.all(np.abs(held - wanted)[fits] <= 0.5 + 1e-6)
        np.testing.assert_array_equal(held[~fits], 127 * np.sign(wanted[~fits]))
        assert fixed.weight.min() >= -127
        in_dynamics = index < len(network.links)
        point = program.exponents[index] if in_dynamics else fixed.exponent
        half = 2 ** (point - 1) if in_dynamics else 0
        wanted_bias = link.bias.double().numpy() * (2**state_bits - 1) * 2.0**point
        assert np.all(np.abs(fixed.bias - half - wanted_bias) <= 0.5)
        assert (fixed.kind, fixed.below, fixed.above) == (link.kind, link.below, link.above)
        if isinstance(link, ConvLink):
            geometry = (link.stride, link.padding, link.pooling, link.pool_size)
            assert (fixed.stride, fixed.padding, fixed.pooling, fixed.pool_size) == geometry
    assert (program.state_bits, program.readout is None) == (state_bits, network.readout is None)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(largest=5))
def test_each_link_takes_the_exponent_that_disturbs_the_drives_less(network: EPNetwork) -> None:
    """The finest that clips nothing, or one finer; judged by the squared change of W s and W^T s, recomputed here."""
    images = _images(network)
    program = quantize(network, images, state_bits=4)  # so few bits that no accumulator of these could overflow
    run = settle(network, images.numpy(), 40)
    states = [images.flatten(1).double().numpy(), *(layer[-1] for layer in run.trace)]
    for index, (link, fixed) in enumerate(_pairs(network, program)):
        stored = _stored(link)
        finest = floor(log2(127 / np.abs(stored).max()))
        errors = {}
        for exponent in (finest, finest + 1):
            rounded = np.clip(np.rint(stored * 2.0**exponent), -127, 127) * 2.0**-exponent
            change = NaiveLink(link, rounded - stored)
            errors[exponent] = np.square(change.up(states[index])).sum()
            if index < len(network.links):
                errors[exponent] += np.square(change.down(states[index + 1], states[index])).sum()
        assert fixed.exponent in errors
        assume(abs(errors[finest] - errors[finest + 1]) > 1e-4 * max(errors.values()))
        assert errors[fixed.exponent] == min(errors.values())


def test_a_rare_large_weight_is_clipped_for_the_sake_of_the_others() -> None:
    """A weight of 133 steps of 2**-7 beside seven of exactly 41: clipped while its input is black, not when white."""
    weight = np.full((1, 8), 41 / 128)
    weight[0, 0] = 1.04
    network, images = _one_layer(weight, [-0.9]), torch.full((20, 8, 1, 1), 0.5)
    images[:, 0] = 0
    program = quantize(network, images)
    assert program.links[0].exponent == 7
    assert program.links[0].weight.tolist() == [[127, *[41] * 7]]
    assert scale_report(network, program, images)[0].clipped == 1
    images[:, 0] = 1
    assert quantize(network, images).links[0].exponent == 6


def test_weights_of_zero_are_no_reason_to_fail() -> None:
    program = quantize(_one_layer(np.zeros((2, 3)), [0.25, 0.5]), torch.rand(2, 3, 1, 1))
    assert not program.links[0].weight.any()
    with to_digital(program, steps=2) as machine:
        np.testing.assert_allclose(machine.settle(np.zeros((1, 3, 1, 1))).logits, [[64 / 255, 128 / 255]])


@pytest.mark.parametrize(("state_bits", "exponent"), [(8, 5), (7, 6), (6, 7), (5, 8), (4, 8)])
def test_a_large_fan_in_lowers_the_exponent_just_enough(state_bits: int, exponent: int) -> None:
    """2000 weights of 0.49: 16 * 255 * 2000 fits into 24 bits, 31 * 255 * 2000 does not; and so on for fewer bits."""
    network = _one_layer(np.full((2, 2000), 0.49))
    program = quantize(network, torch.full((1, 2000, 1, 1), 0.5), state_bits=state_bits, steps=1)
    assert program.links[0].exponent == exponent
    assert program.accumulator_bounds()["layer1"].max() <= ACCUMULATOR_MAX
    finer = round(0.49 * 2 ** (exponent + 1)) * 2000 * program.one
    assert exponent == 8 or finer > ACCUMULATOR_MAX


def test_only_the_links_at_the_crowded_accumulator_are_lowered() -> None:
    """The last layer has 2000 inputs from below; the first link, two layers down, keeps its exponent."""
    first = DenseLink(torch.full((3, 2), 0.49), torch.zeros(3), (2, 1, 1))
    second = DenseLink(torch.full((2000, 3), 0.003), torch.zeros(2000), (3,))
    third = DenseLink(torch.full((2, 2000), 0.49), torch.zeros(2), (2000,))
    program = quantize(EPNetwork((first, second, third)), torch.full((1, 2, 1, 1), 0.5), steps=2)
    assert program.links[2].exponent == 5
    assert program.links[0].exponent in (8, 9)
    for bound in program.accumulator_bounds().values():
        assert bound.max() <= ACCUMULATOR_MAX


def test_a_crowded_readout_is_lowered_by_itself() -> None:
    weight = torch.full((2, 2000), 0.49)
    below = DenseLink(torch.full((2000, 2), 0.4), torch.zeros(2000), (2, 1, 1))
    network = EPNetwork((below,), DenseLink(weight, torch.zeros(2), (2000,)))
    program = quantize(network, torch.full((1, 2, 1, 1), 0.5), steps=2)
    assert program.readout is not None
    assert program.readout.exponent == 5
    assert program.links[0].exponent in (8, 9)


def test_what_no_exponent_can_hold_is_refused() -> None:
    """33,000 weights of at least half a step at the coarsest exponent, times 255."""
    network = _one_layer(np.full((1, 33_000), 0.49))
    with pytest.raises(ProgramError, match=r"the accumulator of layer1 could overflow 24 bits at every exponent"):
        quantize(network, torch.full((1, 33_000, 1, 1), 0.5), steps=1)
    assert quantize(network, torch.full((1, 33_000, 1, 1), 0.5), state_bits=7, steps=1).links[0].exponent == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_of_any_size_fits(sign: int) -> None:
    """It never wraps: it is cut to what can matter."""
    images = torch.full((1, 2, 1, 1), 0.5)
    program = quantize(_one_layer([[0.4, 0.4]], [sign * 10_000.0]), images, steps=1)
    assert np.sign(program.links[0].bias[0]) == sign
    with to_digital(program, steps=2) as machine:
        assert machine.settle(images.numpy()).logits[0, 0] == max(sign, 0)
    for bias in (20_000.0, 1e9, 3e38):
        larger = quantize(_one_layer([[0.4, 0.4]], [sign * bias]), images, steps=1)
        assert larger.exponents == program.exponents
        assert larger.links[0].bias[0] == program.links[0].bias[0]


# refusals


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["link2.weight", "link3.bias", "readout.weight"])
def test_a_network_that_holds_nan_is_refused_by_name(name: str, value: float) -> None:
    network = mixed_network()
    tensors = {key: tensor.clone() for key, tensor in network.named_parameters().items()}
    tensors[name].view(-1)[1] = value
    with pytest.raises(ProgramError, match=rf"{name} holds (nan|inf) at index"):
        quantize(network.with_parameters(tensors), _images(network))


def test_max_pooling_is_refused_with_what_integers_can_hold() -> None:
    link = ConvLink(torch.ones(1, 1, 1, 1) / 2, torch.zeros(1), (1, 4, 4), pooling="max", pool_size=2)
    network = EPNetwork((link, DenseLink(torch.ones(2, 4) / 9, torch.zeros(2), (1, 2, 2))))
    with pytest.raises(ProgramError, match=r"'none' and 'average'.*max"):
        quantize(network, _images(network))


def test_weights_beyond_int8_are_refused_by_name_and_value() -> None:
    network = _one_layer([[1.0, -64.5]])
    with pytest.raises(ProgramError, match=r"link1 holds the weight 64\.5: .* ends at 63\.5"):
        quantize(network, torch.rand(1, 2, 1, 1))
    assert quantize(_one_layer([[1.0, -63.5]]), torch.rand(1, 2, 1, 1)).links[0].weight.tolist() == [[2, -127]]


@pytest.mark.parametrize("state_bits", [0, 3, 9, 16])
def test_state_bits_are_refused_before_anything_is_computed(state_bits: int) -> None:
    with pytest.raises(ProgramError, match=rf"state_bits is {state_bits}, choices are 4, 5, 6, 7, 8"):
        quantize(mixed_network(), _images(mixed_network()), state_bits=state_bits)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.full((2, 2, 7, 6), 1.5), r"\[0, 1\].*1\.5"),
        (torch.full((2, 2, 7, 6), -0.25), r"\[0, 1\].*-0\.25"),
        (torch.full((2, 2, 7, 6), float("nan")), "NaN"),
        (torch.zeros(2, 2, 6, 7), r"\(2, 6, 7\).*\(2, 7, 6\)"),
        (torch.zeros(0, 2, 7, 6), "empty"),
    ],
)
def test_calibration_images_out_of_range_are_refused(images: torch.Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        quantize(mixed_network(), images)


# what it does to the network


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(largest=5), st.sampled_from(STATE_BITS), st.integers(0, 2**20))
def test_integer_states_stay_within_the_rounding_of_the_float_states(
    network: EPNetwork, state_bits: int, seed: int
) -> None:
    """At every step, by a bound from the bits.

    Let L be the largest sum of |w| into a unit, from below and above. One step of clip(W s + b) adds at most e = half a
    code + sum |change of w| + |change of b| (+ half a code of the input times its weights) to L times the error before:
    never more than e / (1 - L).
    """
    network = _contracting(network, 0.8)
    program = quantize(network, _images(network), state_bits=state_bits)
    images, one = random_images(network.input_shape, 5, seed), 2**state_bits - 1
    before = [NaiveLink(link, _stored(link)).matrix for link in network.links]
    after = [
        NaiveLink(link, fixed.weight * 2.0**-fixed.exponent).matrix
        for link, fixed in zip(network.links, program.links, strict=True)
    ]
    error, steepest = 0.0, 0.0
    for index in range(len(before)):
        reaching = [(before[index], after[index])]
        if index + 1 < len(before):
            reaching.append((before[index + 1].T, after[index + 1].T))
        changes = sum(np.abs(new - old).sum(axis=1) for old, new in reaching)
        rounding = 0.5 / one + 0.5 / (one * 2.0 ** program.exponents[index])
        rounding += 0.5 / one * np.abs(after[0]).sum(axis=1).max() if index == 0 else 0.0
        error = max(error, float(changes.max()) + rounding)
        steepest = max(steepest, float(sum(np.abs(new).sum(axis=1) for _, new in reaching).max()))
    assume(steepest < 0.95)
    with to_digital(program, steps=12) as machine:
        trace = machine.settle(images, trace=True).trace
    assert trace is not None
    for ours, exact in zip(trace, settle(network, images, 12).trace, strict=True):
        worst = np.abs(ours.reshape(exact.shape) / one - exact).max()
        assert worst <= error / (1 - steepest) + 1e-6
    assert error < 8 / one + 0.2, "the bound must mean something"


def _contracting(network: EPNetwork, steepest: float) -> EPNetwork:
    """The same network with weights small enough that its steps contract."""
    matrices = [np.abs(NaiveLink(link, _stored(link)).matrix) for link in network.links]
    sums = [matrix.sum(axis=1).max() for matrix in matrices]
    for index, matrix in enumerate(matrices[1:]):
        sums[index] += matrix.sum(axis=0).max()
    factor = min(1.0, steepest / max(sums))
    named = network.named_parameters()
    return network.with_parameters(
        {
            name: tensor * factor if name.startswith("link") and "weight" in name else tensor
            for name, tensor in named.items()
        }
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS))
def test_in_float_is_the_program_with_states_not_rounded(network: EPNetwork, state_bits: int) -> None:
    program = quantize(network, _images(network), state_bits=state_bits)
    approximated = in_float(network, program)
    trained = [*approximated.links, *([] if approximated.readout is None else [approximated.readout])]
    for index, (link, fixed) in enumerate(zip(trained, program.named_links().values(), strict=True)):
        np.testing.assert_array_equal(_stored(link), fixed.weight * 2.0**-fixed.exponent)
        in_dynamics = index < len(network.links)
        point = program.exponents[index] if in_dynamics else fixed.exponent
        bias = (fixed.bias - (2.0 ** (point - 1) if in_dynamics else 0)) / ((2**state_bits - 1) * 2.0**point)
        np.testing.assert_allclose(link.bias.numpy(), bias, atol=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(networks(largest=5), st.sampled_from([4, 8]))
def test_the_report_can_be_recomputed_by_hand(network: EPNetwork, state_bits: int) -> None:
    images = _images(network)
    program = quantize(network, images, state_bits=state_bits)
    rows = scale_report(network, program, images)
    before = settle(network, images.numpy(), 40).trace
    after = settle(in_float(network, program), images.numpy(), 40).trace
    states = [images.flatten(1).double().numpy(), *(layer[-1] for layer in before)]
    assert [row.name for row in rows] == list(program.named_links())
    for index, (row, (link, fixed)) in enumerate(zip(rows, _pairs(network, program), strict=True)):
        weight = link.weight.double().numpy()
        change = fixed.weight * 2.0**-fixed.exponent - _stored(link)
        assert row.exponent == fixed.exponent
        assert row.largest_weight == pytest.approx(np.abs(weight).max())
        assert row.clipped == int((np.abs(_stored(link)) * 2.0**fixed.exponent >= 127.5).sum())
        relative = np.sqrt(np.mean(np.square(change)) / np.mean(np.square(_stored(link))))
        assert row.weight_error == pytest.approx(relative, rel=1e-3, abs=1e-7)
        drive = NaiveLink(link, change).up(states[index])
        assert row.drive_error == pytest.approx(np.sqrt(np.mean(np.square(drive))), rel=1e-2, abs=1e-6)
        if index < len(network.links):
            bound = program.accumulator_bounds()[f"layer{index + 1}"].max()
            assert row.active_before == pytest.approx(np.mean(before[index][-1] > 0), abs=1e-6)
            assert row.active_after == pytest.approx(np.mean(after[index][-1] > 0), abs=1e-6)
        else:
            bound = program.accumulator_bounds()["readout"].max()
            assert (row.active_before, row.active_after) == (None, None)
        assert row.accumulator_bits == pytest.approx(np.log2(bound) + 1)
        assert row.accumulator_bits <= 24


def test_quantizing_changes_nothing_in_the_network() -> None:
    network = mixed_network()
    kept = {name: tensor.clone() for name, tensor in network.named_parameters().items()}
    program = quantize(network, _images(network))
    scale_report(network, program, _images(network))
    for name, tensor in network.named_parameters().items():
        assert torch.equal(tensor, kept[name])


def test_a_bias_beyond_what_can_matter_costs_no_bits_and_changes_no_state() -> None:
    """A unit that is dead at -1000 is as dead at the largest sum that could reach it, and one that is one, as one."""
    generator = torch.Generator().manual_seed(2)
    network = build_network((1, 6, 6), (Conv(4, gain=0.6), Dense(8, gain=0.6)), 3, generator)
    images = torch.rand((12, 1, 6, 6), generator=generator)
    named = network.named_parameters()
    for bias in (-1000.0, 1000.0):
        for name, unit in (("link1.bias", 2), ("link2.bias", 5)):
            extreme = named[name].clone()
            extreme[unit] = bias
            program = quantize(network.with_parameters({**named, name: extreme}), images, steps=20)
            assert min(program.exponents) >= min(quantize(network, images, steps=20).exponents) - 1
            index = int(name[4]) - 1
            # the bias that is not cut, where int32 holds it: the same in every bit, by the reference without bounds
            link = program.links[index]
            larger = link.bias.copy()
            larger[unit] = np.sign(bias) * 2**22
            wider = replace(program.links[index], bias=larger)
            links = [*program.links[:index], wider, *program.links[index + 1 :]]
            free = object.__new__(Program)
            for field, value in (("links", tuple(links)), ("readout", program.readout), ("state_bits", 8)):
                object.__setattr__(free, field, value)
            with to_digital(program, steps=20) as cut, to_digital(free, steps=20) as whole:
                ours, theirs = (machine.settle(images.numpy()) for machine in (cut, whole))
            np.testing.assert_array_equal(ours.logits, theirs.logits)
            for a, b in zip(ours.states, theirs.states, strict=True):
                np.testing.assert_array_equal(a, b)
            assert ours.states[index][:, unit].max() == (0 if bias < 0 else 255)
            assert ours.states[index][:, unit].min() == (0 if bias < 0 else 255)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_in_memory_with_a_number_that_is_none_is_refused_by_every_mapper(value: float) -> None:
    network = build_network((1, 6, 6), (Conv(4),), 3, torch.Generator().manual_seed(0))
    network.links[0].weight[1, 0, 2, 2] = value
    for make in (to_digital, to_lava, partial(to_crossbar, fabrication=Fabrication(IDEAL, EXACT))):
        with pytest.raises(ProgramError, match=rf"link1.weight holds {value} at index \(1, 0, 2, 2\)"):
            make(network, steps=3)
