"""What a notebook hands to machines, and what it shows of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import IDEAL
from helpers.random_nets import networks, program_of
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.circuit import checked_images
from hw.crossbar import Design, Remedies, preset
from hw.crossbar.fabrication import Fabrication
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping import descent_of, quantize, to_crossbar, to_digital, to_lava
from models import Conv, Dense, build_network, load_data, load_model

NETWORK = build_network((2, 4, 5), (Conv(3), Dense(4)), 3, torch.Generator().manual_seed(0))


@given(network=networks(), seed=st.integers(0, 99), integers=st.booleans())
@settings(max_examples=25, deadline=None)
def test_tensors_settle_as_arrays_do_and_one_image_as_a_batch_of_it(network, seed, integers) -> None:
    images = torch.rand((3, *network.input_shape), generator=torch.Generator().manual_seed(seed))
    machine = to_digital(program_of(network, state_bits=6, seed=seed) if integers else network, steps=4)
    expected = machine.settle(images.numpy()).logits
    np.testing.assert_array_equal(machine.settle(images).logits, expected)
    np.testing.assert_array_equal(machine.settle(images.double().numpy()).logits, expected)
    np.testing.assert_allclose(machine.settle(images[1]).logits, expected[1:2], rtol=1e-5, atol=1e-6)
    halves = images.half()
    np.testing.assert_array_equal(machine.settle(halves).logits, machine.settle(halves.float()).logits)
    ones = (images > 0.5).numpy()
    for kind in (np.uint8, np.int64, bool):
        np.testing.assert_array_equal(
            machine.settle(ones.astype(kind)).logits, machine.settle(ones.astype(np.float32)).logits
        )


def test_every_machine_takes_tensors_and_single_images() -> None:
    images = torch.rand((2, 2, 4, 5), generator=torch.Generator().manual_seed(1))
    digital = to_digital(NETWORK, steps=5)
    die = to_crossbar(NETWORK, Fabrication(IDEAL, Design(input_bits=None, adc_bits=None)), steps=5)
    with to_lava(NETWORK, steps=5) as lava:
        for machine in (digital, die, lava):
            expected = digital.settle(images.numpy()).logits
            np.testing.assert_allclose(machine.settle(images).logits, expected, atol=1e-5)
        np.testing.assert_allclose(lava.settle(images[0]).logits, expected[:1], atol=1e-5)


def test_machines_learn_from_tensors_as_from_arrays() -> None:
    images, labels = torch.rand((6, 2, 4, 5), generator=torch.Generator().manual_seed(2)), torch.arange(6) % 3
    rule = LearningRule(
        UpdatePhases.centered(0.2, free_steps=6, nudged_steps=3), descent_of(NETWORK, [0.1, 0.1, 0.1]), batch_size=3
    )
    learnt = []
    for shown, told in ((images, labels), (images.numpy(), labels.numpy())):
        machine = to_digital(NETWORK, steps=5)
        machine.learn(shown, told, rule)
        learnt.append(machine.read_weights().weights)
    for one, other in zip(*learnt, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 2, 4, 5), 7, np.uint8), r"images are uint8 up to 7, expected \[0, 1\]: divide by full brightness"),
        (torch.full((2, 4, 5), 255), r"images are int64 up to 255"),
        (np.full((1, 2, 4, 5), -1), r"image 0 holds -1 at \(0, 0, 0\)"),
        (torch.rand(1, 2, 4, 5, requires_grad=True), "images are a Tensor that numpy cannot read: .*detach"),
        (torch.rand(1, 2, 4, 5).bfloat16(), "images are a Tensor that numpy cannot read: .*BFloat16"),
        (np.full((1, 2, 4, 5), 1j), "images are complex128, expected numbers"),
        (np.full((1, 2, 4, 5), "0"), "images are <U1, expected numbers"),
        (torch.rand(4, 5), r"images are \(5,\), the machine reads \(2, 4, 5\)"),
        (torch.rand(5, 2, 4), r"images are \(5, 2, 4\), the machine reads \(2, 4, 5\)"),
        (torch.rand(0, 2, 4, 5), "no images: the batch is empty"),
    ],
)
def test_images_that_no_machine_can_read_are_refused_with_the_reason(images, message) -> None:
    with pytest.raises(ValueError, match=message):
        checked_images(images, (2, 4, 5))


def test_a_die_that_is_not_calibrated_names_the_call_that_does() -> None:
    die = to_crossbar(NETWORK, Fabrication(preset("pcm-nandakumar-2019"), Design()), steps=3)
    images = torch.rand((4, 2, 4, 5), generator=torch.Generator().manual_seed(3))
    assert "no ranges yet" in repr(die)
    with pytest.raises(ValueError, match=r"by prepare\(images, Remedies\(\)\) or calibrate\(images\)"):
        die.settle(images)
    die.prepare(images, Remedies())
    assert "no ranges yet" not in repr(die)
    assert len(die.settle(images).logits) == 4


def test_what_is_shown_of_networks_programs_and_machines_is_a_few_lines() -> None:
    network, data = load_model("digits"), load_data("digits")
    program = quantize(network, data.train.first(32).floats())
    design = replace(Design(), rows=64, columns=64)
    die = to_crossbar(network, Fabrication(preset("pcm-nandakumar-2019"), design, seed=(5,)), steps=7)
    die.age(3600)
    count = sum(tensor.numel() for tensor in network.named_parameters().values())
    for shown, words in (
        (network, [f"{count:,} parameters", "link1: conv 5 x 5", "(32, 4, 4)", "readout: dense"]),
        (program, ["int8 weights", "states of 8 bits", f"exponent {program.links[0].exponent}"]),
        (to_digital(network, steps=7), ["Digital on cpu", "7 steps", "(1, 8, 8) images", "10 classes"]),
        (to_lava(program, steps=7, delta_threshold=2), ["Lava", "changes from 2 up", "state_bits=8"]),
        (die, ["Crossbar", "64 x 64 pcm-nandakumar-2019, seed 5", "8 bit", "3600 s after programming"]),
        (data, ["digits: 1257 train, 180 validation, 360 test images of (1, 8, 8), 10 classes"]),
        (data.test, ["360 images of (1, 8, 8), torch.uint8 up to 16"]),
    ):
        text = repr(shown)
        assert all(word in text for word in words), text
        assert len(text.splitlines()) <= 5
        assert "tensor(" not in text
        assert "array(" not in text
