"""Analog neurons: nothing is converted but the image and the answer."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.crossbar_examples import IDEAL
from helpers.crossbar_machines import LEAKY, POOLINGS, assert_close, dense_network, tiles
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar, to_digital


@given(networks(pooling=POOLINGS), tiles(neurons="analog"), st.integers(0, 2**20))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_analog_neurons_without_noise_settle_as_digital_ones(network, design, seed):
    images = random_images(network.input_shape, 3, seed)
    machine = to_crossbar(network, Fabrication(LEAKY, design), steps=9)
    settled = machine.settle(images, trace=True)
    assert_close(settled, to_digital(network, steps=9).settle(images, trace=True))
    events, chain = settled.ledger.tiles, len(machine.circuit.wires)
    assert events.dac[1:].sum() == events.shift_adds[:chain].sum() == 0
    # nothing but the answer is converted, once
    assert events.adc.sum() == 3 * sum(
        wire.weight.shape[0] * -(-wire.weight[0].size // machine.design.codec.capacity(design.rows, design.columns)[0])
        for wire in ([] if machine.circuit.readout is None else [machine.circuit.readout])
    ) + (3 * machine.circuit.classes if machine.circuit.readout is None else 0)
    assert (events.holds[:chain, 0] > 0).all()


def test_only_the_image_and_the_answer_of_analog_neurons_are_rounded():
    network, images = dense_network(), random_images((1, 4, 4), 20, 1)
    design = Design(input_bits=3, adc_bits=8, neurons="analog")
    machine = to_crossbar(network, Fabrication(IDEAL, design), steps=30)
    settled = machine.settle(images, trace=True)  # no range is missing: the answer lies in [0, 1]
    rounded = (np.rint(images.astype(float) * 7) / 7).astype(np.float32)
    reference = to_digital(network, steps=30).settle(rounded, trace=True)
    for ours, theirs in zip(settled.trace, reference.trace, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # states in [0, 1] have all 256 codes of a converter; the scores of every step are converted alike
    codes = settled.logits_by_step * 255
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    np.testing.assert_array_equal(settled.logits, settled.logits_by_step[-1])
    np.testing.assert_allclose(settled.logits_by_step, reference.logits_by_step, atol=0.5 / 255 + 1e-5)
    assert np.abs(settled.logits - reference.logits).max() > 1e-3


def test_the_readout_of_analog_neurons_is_converted():
    network, images = mixed_network(), random_images((2, 7, 6), 5, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=None, adc_bits=6, neurons="analog")), steps=9)
    with pytest.raises(ValueError, match="the ADC has no range"):
        machine.settle(images)
    machine.worst_ranges()
    settled, reference = machine.settle(images), to_digital(network, steps=9).settle(images)
    for ours, theirs in zip(settled.states, reference.states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    step = float(network.readout.weight.abs().sum(dim=1).max()) / 31
    codes = (settled.logits - network.readout.bias.numpy()) / step
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    np.testing.assert_allclose(settled.logits, reference.logits, atol=step / 2 + 1e-5)


def test_analog_neurons_have_no_integers():
    program = program_of(dense_network(), state_bits=5, seed=1)
    with pytest.raises(ValueError, match="neurons 'analog' have no integers: a program rounds its states"):
        to_crossbar(program, Fabrication(IDEAL, Design(neurons="analog")), steps=3)
    with pytest.raises(ValueError, match=r"headroom is 2\.0: a program's integers have their range"):
        to_crossbar(program, Fabrication(IDEAL, Design(), headroom=2.0), steps=3)
    for headroom in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"headroom is .*, expected a number from 1"):
            to_crossbar(dense_network(), Fabrication(IDEAL, Design(), headroom=headroom), steps=3)
