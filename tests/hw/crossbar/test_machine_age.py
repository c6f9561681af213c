"""Age of a die: drift, what compensates it, and times without a law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, uniform_drift
from helpers.crossbar_machines import PCM, assert_close, dense_network, pooled_network
from helpers.random_nets import random_images
from scipy.stats import norm

from hw.crossbar.devices.device import Temperature
from hw.crossbar.devices.device_array import reprogram
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.wires import Wires
from mapping.machines import to_crossbar, to_digital
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


@pytest.mark.parametrize("neurons", ["digital", "analog"])
def test_a_drift_gain_holds_until_it_is_measured_again(neurons):
    """Neurons of both kinds: 10**0.05 at 90 s, which is not enough of 100**0.05 at 990 s."""
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(network, Fabrication(uniform_drift(0.05), replace(EXACT, neurons=neurons)), steps=9)
    reference = to_digital(network, steps=9).settle(images, trace=True)
    machine.age(90.0)
    early = machine.compensate_drift()
    assert_close(machine.settle(images, trace=True), reference)
    machine.age(990.0)
    late = machine.settle(images)
    held = [float(link.matrix.gain.total[0]) for link in machine.links]
    assert held == list(early.values()) == pytest.approx([10**0.05] * 3)
    assert np.abs(late.logits - reference.logits).max() > 1e-3
    assert list(machine.compensate_drift().values()) == pytest.approx([100**0.05] * 3)
    assert_close(machine.settle(images, trace=True), reference)


@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_uniform_drift_is_compensated(encoding):
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(
        network, Fabrication(uniform_drift(0.05), replace(EXACT, rows=10, encoding=encoding)), steps=9
    )
    reference = to_digital(network, steps=9).settle(images, trace=True)
    machine.age(990.0)
    drifted = machine.settle(images, trace=True)
    assert np.abs(drifted.logits - reference.logits).max() > 0.01
    gains = machine.compensate_drift()
    assert list(gains) == ["link1", "link2", "readout"]
    assert list(gains.values()) == pytest.approx([100**0.05] * 3)
    assert_close(machine.settle(images, trace=True), reference)
    # a read costs what the drifted devices take
    lost = (
        drifted.ledger.tiles.array_j[0, 0]
        / to_crossbar(network, Fabrication(uniform_drift(0.05), replace(EXACT, rows=10, encoding=encoding)), steps=9)
        .settle(images)
        .ledger.tiles.array_j[0, 0]
    )
    assert lost == pytest.approx(100**-0.05, rel=1e-4)


def test_a_link_that_conducts_nothing_needs_no_compensation():
    network = dense_network()
    silent = replace(network.links[1], weight=torch.zeros_like(network.links[1].weight))
    machine = to_crossbar(
        EPNetwork((network.links[0], silent, network.links[2])), Fabrication(uniform_drift(0.05), EXACT), steps=3
    )
    machine.age(990.0)
    assert list(machine.compensate_drift().values()) == pytest.approx([100**0.05, 1.0, 100**0.05])


def test_phase_change_memory_loses_a_third_in_a_day():
    """The gain of every link against the published law, averaged over programming error and drift exponent.

    Of W = G - H, both drifting by factors of their own, E[W_0 W_t] = E[G^2] k_G + E[H^2] k_H - E[G] E[H] (k_G + k_H).
    """
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in ((150, 100), (80, 150))]
    network = EPNetwork(tuple(DenseLink(w / w.abs().max(), torch.zeros(len(w)), (w.shape[1],)) for w in weights))
    machine = to_crossbar(network, Fabrication(PCM, replace(EXACT, rows=64)), steps=1)
    machine.age(86_400.0)
    log_time = np.log((86_400 + 20) / 20)
    for link, gain in zip(network.links, machine.compensate_drift().values(), strict=True):
        w = link.weight.double().numpy()
        target = 25.0 * np.stack([np.maximum(w, 0).ravel(), np.maximum(-w, 0).ravel()])  # uS
        sigma = 0.26348 + 1.9650 * target / 25 - 1.1731 * (target / 25) ** 2
        # a normal number cut off at zero
        whole, tail = norm.cdf(target / sigma), sigma * norm.pdf(target / sigma)
        written, squared = target * whole + tail, (target**2 + sigma**2) * whole + target * tail
        log_g = np.log(np.maximum(target / 25, 1e-30))
        nu = np.clip(-0.0155 * log_g + 0.0244, 0.049, 0.1)
        spread = np.clip(-0.0125 * log_g - 0.0059, 0.008, 0.045)
        kept = np.exp(-nu * log_time + (spread * log_time) ** 2 / 2)
        both = written[0] * written[1]
        expected = (squared.sum() - 2 * both.sum()) / ((squared * kept).sum() - (both * kept).sum())
        assert gain == pytest.approx(expected, rel=0.006)
        # nu of large conductances, which decide, is 0.049, give or take 0.008; that of small ones is up to 0.1
        assert 0.994 * 4321**0.049 < gain < 4321**0.053


def test_times_without_a_law_are_refused():
    machine = to_crossbar(dense_network(), Fabrication(PCM, EXACT), steps=2)
    with pytest.raises(ValueError, match=r"time is -1\.0 s: a die is read 0 s or more after programming"):
        machine.age(-1.0)
    short = replace(PCM, retention=replace(PCM.retention, longest_s=1000.0))
    with pytest.raises(ValueError, match=r"time is 2000\.0 s: .* is published for 0 s to 1000 s only"):
        to_crossbar(dense_network(), Fabrication(short, EXACT), steps=2).age(2000.0)
    with pytest.raises(ValueError, match=r"time is 1\.0 s: for ideal retention is published for 0 s to 0 s only"):
        to_crossbar(dense_network(), Fabrication(replace(IDEAL, retention=None), EXACT), steps=2).age(1.0)
    with pytest.raises(ValueError, match=r"temperature is 350\.0 K: .* is published at one temperature only"):
        machine.age(1.0, 350.0)
    warm = replace(PCM, temperature=Temperature(0.1, 300.0))
    machine = to_crossbar(dense_network(), Fabrication(warm, replace(EXACT, rows=7, wires=Wires(2.0, 2.0))), steps=2)
    arrays = [tile.array for link in machine.links for tile in link.matrix.tiles]
    with pytest.raises(ValueError, match=r"temperature is 600\.0 K, expected 200\.0 to 500\.0 K"):
        machine.age(1.0, 600.0)
    assert [tile.array for link in machine.links for tile in link.matrix.tiles] == arrays
    # one tile was written at 50 s: the others, which were not, must not go back alone
    machine.age(50.0)
    tile = machine.links[-1].matrix.tiles[0]
    where = np.ones(tile.array.target_s.shape, bool)
    tile.write(reprogram(tile.array, tile.array.target_s, where, np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"time is 49\.0 s: devices of this die were written 50 s"):
        machine.age(49.0)
    assert {tile.array.seconds for link in machine.links for tile in link.matrix.tiles} == {50.0}
