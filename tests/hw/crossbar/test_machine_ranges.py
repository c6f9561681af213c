"""Ranges of the converters: what calibration images cause, or the worst case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import IDEAL
from helpers.crossbar_machines import LEAKY, PCM, POOLINGS, pooled_network, products, tiles
from helpers.random_nets import networks, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar, to_digital
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


@pytest.mark.parametrize("percent", [95.0, 100.0])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_ranges_are_the_percentile_of_what_calibration_images_cause(pooling, percent):
    """Recomputed from the digital machine: all products of all steps, by loops."""
    network, images = pooled_network(pooling), random_images((1, 5, 6), 3, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=None, adc_bits=8)), steps=5)
    machine.calibrate(images, percent)
    settled = to_digital(network, steps=5).settle(images, trace=True)
    wires = (*machine.circuit.wires, machine.circuit.readout)
    seen = {}
    for index, direction, vectors, _ in products(machine, settled, images):
        weight = np.asarray(wires[index].weight, float).reshape(len(wires[index].weight), -1)
        sums = vectors @ (weight.T if direction == "up" else weight)
        seen.setdefault((index, direction), []).append(np.abs(sums).ravel())
    # a digital machine hands back the scores of every step, and its readout is read that often
    readout = np.concatenate([np.zeros((1, 3)), settled.trace[-1].reshape(15, -1) @ wires[2].weight.T.astype(float)])
    seen[2, "up"] = [np.abs(readout[1:]).ravel()]
    for (index, direction), values in seen.items():
        (tile,) = machine.links[index].matrix.tiles
        adc = tile.adc_up if direction == "up" else tile.adc_down
        assert max(map(len, values)) < 8192, "above, a meter keeps a sample"
        assert adc.full_scale == pytest.approx(np.percentile(np.concatenate(values), percent), rel=1e-4)
        assert adc.bits == 8
    for index in (0, 2):  # never read downwards
        (tile,) = machine.links[index].matrix.tiles
        assert tile.adc_down.full_scale == tile.worst_down


def all_ranges(machine):
    return [
        adc.full_scale for link in machine.links for tile in link.matrix.tiles for adc in (tile.adc_up, tile.adc_down)
    ]


def test_evaluated_images_do_not_move_the_ranges():
    network = pooled_network()
    few, many = random_images((1, 5, 6), 4, 1), random_images((1, 5, 6), 9, 2)
    machine = to_crossbar(network, Fabrication(PCM, Design(rows=10)), steps=6)
    machine.calibrate(few)
    before = all_ranges(machine)
    machine.settle(many)
    machine.age(100.0)
    machine.compensate_drift()
    machine.settle(many)
    assert all_ranges(machine) == before
    again = to_crossbar(network, Fabrication(PCM, Design(rows=10)), steps=6)
    again.calibrate(few)
    assert all_ranges(again) == before
    again.calibrate(many)
    assert all_ranges(again) != before


@given(networks(pooling=POOLINGS), tiles(adc_bits=8), st.sampled_from([None, 1, 4]), st.integers(0, 99))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_worst_ranges_never_clip_perfect_devices(network, design, input_bits, seed):
    images = random_images(network.input_shape, 3, seed)
    images[0] = 1
    machine = to_crossbar(network, Fabrication(LEAKY, replace(design, input_bits=input_bits)), steps=6)
    machine.worst_ranges()
    assert machine.settle(images).ledger.tiles.clipped.sum() == 0


def test_a_calibration_that_fails_changes_nothing():
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(rows=10)), steps=6)
    with pytest.raises(ValueError, match="images must lie in"):
        machine.calibrate(images + 1)
    with pytest.raises(ValueError, match="percentile is 101"):
        machine.calibrate(images, 101)
    with pytest.raises(ValueError, match="the ADC has no range"):
        machine.settle(images)
    machine.calibrate(images)
    before = all_ranges(machine)
    with pytest.raises(ValueError, match="the batch is empty"):
        machine.calibrate(images[:0])
    assert all_ranges(machine) == before
    assert machine.settle(images).ledger.tiles.written.devices == machine.programming().devices


def test_worst_ranges_are_reached():
    """Positive weights under a white image: the largest sum is the range, a lower range would clip."""
    network = EPNetwork(
        (DenseLink(torch.rand((3, 8), generator=torch.Generator().manual_seed(0)), torch.zeros(3), (8,)),)
    )
    machine = to_crossbar(network, Fabrication(IDEAL, Design()), steps=1)
    machine.worst_ranges()
    (tile,) = machine.links[0].matrix.tiles
    white = np.ones((1, 8), np.float32)
    assert tile.adc_up.full_scale == pytest.approx(float(network.links[0].weight.sum(dim=1).max()))
    assert machine.settle(white).ledger.tiles.clipped.sum() == 0
    tile.set_ranges(0.98 * tile.worst_up, tile.worst_down)
    assert machine.settle(white).ledger.tiles.clipped.tolist() == [[1, 0]]


def test_without_ranges_nothing_settles():
    machine = to_crossbar(pooled_network(), Fabrication(IDEAL, Design()), steps=3)
    with pytest.raises(ValueError, match="the ADC has no range: calibrate the machine"):
        machine.settle(random_images((1, 5, 6), 1, 0))
