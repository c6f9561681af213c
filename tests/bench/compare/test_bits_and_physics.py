"""Bits that sums need, and limits of physics, against closed forms."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
import torch
from helpers.random_nets import mixed_network, random_images

from bench.compare.bits import LEVELS, Bits, bits_needed, bits_of
from bench.compare.physics import PUBLISHED, fan_in, physics_of, thermal_j
from bench.compare.row import ALL, CompareRow
from mapping.machines import to_digital
from models.data import ImageSet
from models.ep.links import DenseLink
from models.ep.network import EPNetwork


def test_bits_are_those_of_a_converter_whose_rounding_is_the_noise() -> None:
    for bits in (2, 5, 8):
        step = 2.0 / 2**bits
        assert bits_of(step / sqrt(12)) == pytest.approx(bits)


def test_a_network_that_needs_few_bits_is_told_from_one_that_needs_many() -> None:
    """One pixel against another: noise of x R turns answers round once it is as large as their distance."""

    def needed(apart: float) -> Bits:
        link = DenseLink(torch.eye(2), torch.zeros(2), (1, 1, 2))
        network = EPNetwork((link,), DenseLink(torch.eye(2), torch.zeros(2), (2,)))
        pixels = torch.tensor([[1.0, 1.0 - apart], [1.0 - apart, 1.0]]).repeat(100, 1).view(-1, 1, 1, 2)
        images = ImageSet(pixels.float(), torch.tensor([0, 1]).repeat(100), scale=1)
        return bits_needed(network, images, steps=2)

    coarse, fine = needed(0.8), needed(0.05)
    assert coarse.clean == fine.clean == 1.0
    assert fine.bits - coarse.bits == pytest.approx(np.log2(0.8 / 0.05), abs=1.0)
    # both reads, of the state and of the score, have noise x; a point is lost at 2.33 standard deviations of 2 x
    assert coarse.noise == pytest.approx(0.8 / 2.33 / 2, rel=0.5)
    assert [level for level, _ in coarse.curve] == [level for level in LEVELS if level >= coarse.noise]


def test_without_noise_it_is_the_machine_itself() -> None:
    network = mixed_network().map_parameters(torch.Tensor.float)
    images = torch.as_tensor(random_images(network.links[0].below, 12, 3), dtype=torch.float32)
    answers = to_digital(network, steps=9).settle(images).logits.argmax(axis=1)
    found = bits_needed(network, ImageSet(images, torch.as_tensor(answers), scale=1), steps=9)
    assert found.clean == 1.0


def test_limits_are_those_of_the_page() -> None:
    kt = 1.380649e-23 * 300
    assert thermal_j(8, 256) == pytest.approx(24 * kt * 4**8 / 256)
    assert thermal_j(8, 256) == pytest.approx(25e-18, rel=0.03)  # 25 aJ of a column of 256 at 8 bits
    assert PUBLISHED["HERMES, 14 nm PCM, 8 b"] == pytest.approx(0.205e-12, rel=0.01)
    assert PUBLISHED["5 nm digital, 8 b"] == pytest.approx(0.051e-12, rel=0.01)


def test_devices_of_a_column_are_weighted_by_how_often_it_is_read() -> None:
    first = DenseLink(torch.zeros(3, 4), torch.zeros(3), (1, 2, 2))
    second = DenseLink(torch.zeros(5, 3), torch.zeros(5), (3,))
    assert fan_in(EPNetwork((first, second), None)) == pytest.approx((4 * 12 + 3 * 15) / 27)


def row(**changes: object) -> CompareRow:
    """A row that takes 1 nJ an image."""
    made = CompareRow(
        network="net",
        way="settles",
        platform="chip",
        backend="lava",
        precision="delta",
        profile="sanafe",
        batch=1,
        rule=ALL,
        threshold=None,
        images=10,
        accuracy=0.9,
        accuracy_ci95=(0.6, 1.0),
        energy_j={"low": 0.5e-9, "nominal": 1e-9, "high": 2e-9},
        latency_s=None,
        per_image={},
        correct_j={},
        energy_delay_js=None,
        breakdown_j={"synapses": 1e-9},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_distance_is_joules_of_a_multiply_accumulate_over_the_limits() -> None:
    needed = {"net": Bits(0.01, 5.0, 0.9, ())}
    rows = [row(), row(rule="confidence"), row(backend="brian")]
    found = physics_of(rows, {("net", "lava"): 1000.0}, needed, {"net": 64.0})
    (one,) = found["rows"]  # only what runs to the end, and whose work is known
    kt = 1.380649e-23 * 300
    assert one["mac_j"] == pytest.approx(1e-12)
    assert one["over_thermal"] == pytest.approx(1e-12 / (24 * kt * 4**5 / 64))
    assert one["over_landauer"] == pytest.approx(1e-12 / (kt * log(2)))
    assert "5.0 bits" in found["words"]
