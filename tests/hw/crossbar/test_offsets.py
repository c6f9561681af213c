"""Offsets: what errors of devices add up to in every channel is taken out of its bias, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.random_nets import networks, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from mapping.machines import to_crossbar, to_digital
from mapping.quantization import quantize
from models.data import load_data
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.zoo import load_model

STILL = replace(preset("pcm-nandakumar-2019"), fresh=ConstantCurve(0.0), flicker=None)
"""Programming errors alone: every read of a die is the same."""


def held(network: EPNetwork, machine) -> EPNetwork:
    """The network that the devices of a die and its biases make, settled by `models`."""
    found = machine.read_weights()
    named, changed = network.named_parameters(), {}
    for name, weight, bias in zip(machine.names, found.weights, found.biases, strict=True):
        link = network.readout if name == "readout" else network.links[int(name[4:]) - 1]
        # devices under an average hold a share of the weight for every place of the window
        places = link.pool_size**2 if getattr(link, "pooling", "none") == "average" else 1
        for kind, value in (("weight", weight * places), ("bias", bias)):
            changed[f"{name}.{kind}"] = torch.as_tensor(value).float().reshape(named[f"{name}.{kind}"].shape)
    return network.with_parameters(changed)


def mean_drives(network: EPNetwork, images: torch.Tensor, states) -> list[torch.Tensor]:
    """Of every channel of every layer, and of the scores, on average."""
    found = []
    for index, link in enumerate(network.links):
        drive = link.up(images if index == 0 else states[index - 1])[0] + link.spread_bias()
        if index + 1 < len(network.links):
            drive = drive + network.links[index + 1].down(states[index + 1])
        found.append(drive.mean(dim=(0, *range(2, drive.ndim))))
    return [*found, network.logits(states[-1]).mean(dim=0)]


@given(networks(pooling=("none", "average")), st.integers(0, 999))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_mean_drives_of_a_die_are_those_of_the_network_afterwards(network, seed):
    """Seen by other code: from what the devices hold, in `models`."""
    images = random_images(network.input_shape, 5, seed)
    machine = to_crossbar(network, Fabrication(STILL, EXACT, seed=(seed,)), steps=30)
    machine.correct_offsets(to_digital(network, steps=30), images)
    pixels = torch.as_tensor(images).float()
    states = relax(network, pixels, steps=30, schedule="synchronous").states
    wanted = mean_drives(network, pixels, states)
    for found, right in zip(mean_drives(held(network, machine), pixels, states), wanted, strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=1e-4)


@given(networks(), st.integers(0, 999))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_a_perfect_die_keeps_its_biases(network, seed):
    images = random_images(network.input_shape, 3, seed)
    machine = to_crossbar(network, Fabrication(IDEAL, EXACT), steps=8)
    before = machine.read_weights().biases
    machine.correct_offsets(to_digital(network, steps=8), images)
    for old, new in zip(before, machine.read_weights().biases, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5)


def test_integers_stay_integers_and_come_closer():
    network, data = load_model("digits"), load_data("digits")
    images = data.train.first(64).floats()
    program = quantize(network, images, steps=30)
    reference = to_digital(program, steps=30)
    design = replace(EXACT, rows=256, columns=512)
    machine = to_crossbar(program, Fabrication(STILL, design), steps=30)
    rest = reference.settle(images.numpy()).states[-1].astype(float)
    plain = np.abs(machine.settle(images.numpy()).states[-1] - rest).mean()
    machine.correct_offsets(reference, images.numpy())
    for bias in machine.read_weights().biases:
        np.testing.assert_array_equal(bias, np.rint(bias))
    assert np.abs(machine.settle(images.numpy()).states[-1] - rest).mean() < 0.8 * plain


def test_analog_neurons_show_no_drive():
    network, data = load_model("digits"), load_data("digits")
    machine = to_crossbar(network, Fabrication(STILL, replace(EXACT, neurons="analog")), steps=2)
    with pytest.raises(ValueError, match="neurons 'analog' convert no drive"):
        machine.correct_offsets(to_digital(network, steps=2), data.train.first(2).floats().numpy())
