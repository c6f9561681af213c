"""Seeds and noise of the crossbar machine: what repeats, what is drawn anew, and what averages out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, noisy_reads
from helpers.crossbar_machines import PCM, assert_same, dense_network
from helpers.random_nets import mixed_network, random_images

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.fabrication import Fabrication
from mapping.machines import to_crossbar
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


def noisy_machine(network, *, device=PCM, seed=0, noise_seed=0):
    made = Fabrication(device, replace(EXACT, input_bits=6), seed=(seed,), noise_seed=(noise_seed,))
    machine = to_crossbar(network, made, steps=8)
    machine.age(3600.0)
    return machine


def conductances(machine):
    return np.concatenate([tile.array.conductance_s().ravel() for link in machine.links for tile in link.matrix.tiles])


def test_seeds_repeat_the_die_and_the_noise():
    network, images = mixed_network(), random_images((2, 7, 6), 3, 1)
    first, again = (noisy_machine(network, seed=3, noise_seed=5) for _ in range(2))
    one = [first.settle(images, trace=True) for _ in range(2)]
    two = [again.settle(images, trace=True) for _ in range(2)]
    for ours, theirs in zip(one, two, strict=True):
        assert_same(ours, theirs)
    assert np.abs(one[0].logits - one[1].logits).max() > 1e-4  # noise goes on
    np.testing.assert_array_equal(conductances(first), conductances(again))
    other_noise, other_die = (noisy_machine(network, seed=d, noise_seed=n) for d, n in ((3, 6), (4, 5)))
    np.testing.assert_array_equal(conductances(first), conductances(other_noise))
    assert np.abs(one[0].logits - other_noise.settle(images).logits).max() > 1e-4
    assert (conductances(first) != conductances(other_die)).mean() > 0.6  # many of no conductance stay there
    assert np.abs(one[0].logits - other_die.settle(images).logits).max() > 1e-3


def test_every_tile_has_errors_of_its_own():
    wide = EPNetwork((DenseLink(torch.full((2, 60), 0.5), torch.zeros(2), (60,)),))
    stacked = EPNetwork((*wide.links, DenseLink(torch.full((20, 2), 0.5), torch.zeros(20), (2,))))
    machine = to_crossbar(stacked, Fabrication(PCM, replace(EXACT, rows=20, columns=4)), steps=1)
    found = [tile.array.programmed_s[:, ::2].ravel() for link in machine.links for tile in link.matrix.tiles]
    everything = np.concatenate(found)
    assert len(np.unique(everything)) == len(everything)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_slow_noise_is_not_the_programming_error_again(seed):
    """Also where both seeds are one number, as they are by default."""
    network = EPNetwork(
        tuple(
            DenseLink(torch.full((above, below), 0.5), torch.zeros(above), (below,))
            for above, below in ((40, 50), (45, 40))
        )
    )
    machine = to_crossbar(network, Fabrication(PCM, replace(EXACT, rows=20), seed=(seed,), noise_seed=(seed,)), steps=1)
    machine.settle(np.zeros((1, 50), np.float32))
    for link in machine.links:
        for tile in link.matrix.tiles:
            written, quiet = tile.array.programmed_s[:, ::2], tile.array.conductance_s()[:, ::2]
            slow = tile.up.weight.double().numpy().T / tile.scale + tile.array.conductance_s()[:, 1::2] - quiet
            assert slow.std() > 0
            assert abs(np.corrcoef(slow.ravel(), written.ravel())[0, 1]) < 5 / np.sqrt(slow.size)


def test_slow_noise_holds_during_a_settle_and_changes_between_two():
    network, images = mixed_network(), random_images((2, 7, 6), 2, 1)
    machine = noisy_machine(network, device=replace(PCM, fresh=ConstantCurve(0.0)))
    seen, links = [], machine.links[1 : len(network.links)]

    def watched(up, tile):
        def read(below):
            seen[-1].append((tile.up.weight.clone(), tile.down.weight.clone()))
            return up(below)

        return read

    for link in links:
        link.up = watched(link.up, link.matrix.tiles[0])
    for _ in range(2):
        seen.append([])
        machine.settle(images)
    for settle in seen:
        assert len(settle) == 8 * len(links)
        for index, (up, down) in enumerate(settle):
            np.testing.assert_array_equal(up, settle[index % len(links)][0])
            np.testing.assert_array_equal(down, up.T)
    for (one, _), (two, _) in zip(seen[0][: len(links)], seen[1][: len(links)], strict=True):
        assert ((one != two).float().mean()) > 0.9


def test_batches_are_settles_of_their_own():
    """Slow noise is drawn for every batch; images of one batch share it."""
    network = dense_network()
    images = np.repeat(random_images((1, 4, 4), 1, 1), 4, axis=0)
    device = replace(PCM, fresh=ConstantCurve(0.0))
    machine = to_crossbar(network, Fabrication(device, EXACT), steps=6, batch_size=2)
    machine.age(3600.0)
    logits = machine.settle(images).logits
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-6)
    np.testing.assert_allclose(logits[2], logits[3], atol=1e-6)
    assert np.abs(logits[0] - logits[2]).max() > 1e-4


def test_fresh_noise_averages_out_to_the_digital_answer():
    """One linear link and no clipping: the mean of many reads is the product, their variance the sum of cells'."""
    weight = torch.as_tensor(np.random.default_rng(0).uniform(-0.1, 0.1, (2, 6)), dtype=torch.float32)
    network = EPNetwork((DenseLink(weight, torch.full((2,), 0.5), (6,)),))
    device, count = noisy_reads(), 20_000
    image = np.linspace(0.1, 1, 6, dtype=np.float32)
    machine = to_crossbar(network, Fabrication(device, EXACT), steps=1, batch_size=count)
    logits = machine.settle(np.repeat(image[None], count, axis=0)).logits
    (tile,) = machine.links[0].matrix.tiles
    cells = device.fresh(tile.array.conductance_s()) ** 2
    sigma = np.sqrt(tile.scale**2 * (image.astype(float) ** 2 @ (cells[:, ::2] + cells[:, 1::2])))
    np.testing.assert_allclose(logits.mean(0), weight.numpy() @ image + 0.5, atol=4 * sigma.max() / np.sqrt(count))
    np.testing.assert_allclose(logits.std(0), sigma, rtol=0.025)
