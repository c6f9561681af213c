"""Without noise the crossbar machine is the digital one: floats at every step, integers in every bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.crossbar_machines import LEAKY, POOLINGS, assert_close, assert_same, dense_network, tiles
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar, to_digital
from mapping.program import STATE_BITS
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


@given(networks(pooling=POOLINGS), tiles(), st.integers(0, 2**20), st.integers(1, 4), st.sampled_from([None, 0.03]))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_without_noise_it_is_the_digital_machine_at_every_step(network, design, seed, count, tolerance):
    images = random_images(network.input_shape, count, seed)
    reference = to_digital(network, steps=12, tolerance=tolerance).settle(images, trace=True)
    if tolerance is not None:  # no image may rest by a rounding error
        moved = np.stack([np.abs(np.diff(layer, axis=0)).reshape(11, count, -1).max(2) for layer in reference.trace])
        assume((np.abs(moved.max(0) - tolerance) > 1e-5).all())
    machine = to_crossbar(network, Fabrication(LEAKY, design), steps=12, batch_size=3, tolerance=tolerance)
    settled = machine.settle(images, trace=True)
    assert_close(settled, reference)
    assert settled.one == 1
    np.testing.assert_array_equal(settled.ledger.messages.running, reference.ledger.messages.running)
    np.testing.assert_allclose(settled.ledger.messages.dense, reference.ledger.messages.dense)
    assert settled.ledger.arithmetic is None


@given(
    networks(),
    st.sampled_from(STATE_BITS),
    tiles(),
    st.sampled_from([None, 8]),
    st.integers(1, 4),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.integers(0, 2**20),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_programs_run_bit_for_bit(network, state_bits, design, weight_bits, cell_bits, slice_bits, converted, seed):
    """On cut, sliced and bit-serial tiles, with ideal converters and with those that resolve every integer."""
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(program.links[0].below, 3, seed)
    reference = to_digital(program, steps=10, tolerance=0.0).settle(images, trace=True)
    design = replace(
        design,
        weight_bits=weight_bits,
        cell_bits=cell_bits,
        input_bits=state_bits,
        slice_bits=slice_bits,
        adc_bits=24 if converted else None,
    )
    machine = to_crossbar(program, Fabrication(LEAKY, design), steps=10, batch_size=2, tolerance=0.0)
    machine.integer_ranges()
    settled = machine.settle(images, trace=True)
    assert_same(settled, reference)
    assert settled.one == 2**state_bits - 1
    assert (settled.ledger.tiles.clipped == 0).all()
    if slice_bits is not None:
        assert machine.links[0].matrix.design.input_slices == -(-state_bits // slice_bits)


@pytest.mark.parametrize("slice_bits", [None, 1])
def test_integers_need_just_as_many_bits_as_the_error_says(slice_bits):
    program = program_of(dense_network(), state_bits=5, seed=1)
    images = random_images((1, 4, 4), 6, 3)
    images[0] = 1
    # the largest sum of any row or column of a link: codes of the driver times integer weights, and a sign
    largest = [max(np.abs(link.weight.astype(int)).sum(axis=axis).max() for axis in (0, 1)) for link in program.links]
    codes = 31 if slice_bits is None else 1
    needed = [int(codes * most).bit_length() + 1 for most in largest]
    design = Design(input_bits=5, slice_bits=slice_bits, adc_bits=max(needed))
    machine = to_crossbar(program, Fabrication(LEAKY, design), steps=8)
    machine.integer_ranges()
    reference = to_digital(program, steps=8).settle(images, trace=True)
    assert_same(machine.settle(images, trace=True), reference)
    fewer = to_crossbar(program, Fabrication(LEAKY, replace(design, adc_bits=max(needed) - 1)), steps=8)
    first = next(index for index, bits in enumerate(needed) if bits == max(needed))
    message = f"adc_bits is {max(needed) - 1}: the integers of link{first + 1} need {max(needed)}"
    with pytest.raises(ValueError, match=message):
        fewer.integer_ranges()


def test_ranges_of_integers_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="only a program read through DACs has integers"):
        to_crossbar(dense_network(), Fabrication(IDEAL, Design()), steps=3).integer_ranges()
    program = program_of(dense_network(), state_bits=8, seed=1)
    with pytest.raises(ValueError, match="only a program read through DACs has integers"):
        to_crossbar(program, Fabrication(IDEAL, Design(input_bits=None)), steps=3).integer_ranges()
    with pytest.raises(ValueError, match="input_bits is 6: states of 8 bits would be rounded"):
        to_crossbar(program, Fabrication(IDEAL, Design(input_bits=6, adc_bits=24)), steps=3).integer_ranges()


def test_drivers_finer_than_the_states_still_read_integers():
    """8 bits drive 4-bit states on every 17th code."""
    program, images = program_of(mixed_network(), state_bits=4, seed=1), random_images((2, 7, 6), 3, 1)
    machine = to_crossbar(program, Fabrication(LEAKY, Design(rows=20, columns=10, input_bits=8, adc_bits=24)), steps=8)
    machine.integer_ranges()
    assert_same(machine.settle(images, trace=True), to_digital(program, steps=8).settle(images, trace=True))


def test_coarse_converters_round_every_product():
    """One dense link by hand: the DAC rounds the image, the ADC what comes of it."""
    network = EPNetwork(
        (DenseLink(torch.tensor([[0.9, -0.5, 0.3], [0.2, 0.7, -0.8]]), torch.tensor([0.1, 0.2]), (3,)),)
    )
    images = np.random.default_rng(1).uniform(0, 1, (50, 3)).astype(np.float32)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=3, adc_bits=4)), steps=2)
    machine.worst_ranges()
    step = 1.7 / 7  # the largest sum of a row is 0.9 + 0.5 + 0.3, that of a 4-bit code is 7
    driven = np.rint(images.astype(float) * 7) / 7
    weight = network.links[0].weight.double().numpy()
    sums = driven @ weight.T / step
    safe = np.abs(sums - np.floor(sums) - 0.5) > 1e-4  # a rounding error decides ties
    expected = np.clip(np.rint(sums) * step + [0.1, 0.2], 0, 1)
    assert safe.mean() > 0.9
    np.testing.assert_allclose(machine.settle(images).logits[safe], expected[safe], atol=1e-6)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps is 0"):
        to_crossbar(dense_network(), Fabrication(IDEAL, EXACT), steps=0)
