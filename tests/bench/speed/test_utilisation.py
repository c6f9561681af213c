"""Floating-point operations against a count by hand, and how they are held against a board's peak."""

from __future__ import annotations

from math import prod

import pytest
import torch

from bench.speed import utilisation as utilisation_module
from bench.speed.utilisation import flop_of, product_rate, utilisation
from models.ep.gradient import Phases
from models.ep.network import build_network
from models.fast.gradient import engine_gradient
from models.fast.settling import Engine
from models.recipes import recipe_for

BATCH = 3


def network():
    return build_network((3, 32, 32), recipe_for("hw-cifar10-small").layers, 10, torch.Generator().manual_seed(0))


def macs():
    """Of every link for one image, up or down: outputs x fan-in."""
    return [prod(link.above) * prod(link.weight.shape[1:]) for link in network().links]


def test_the_work_of_a_settle_is_that_of_its_convolutions_up_and_down():
    engine, images = Engine(network(), torch.float32), torch.rand((BATCH, 3, 32, 32))
    first, second, third = macs()
    # Odd-even. In the first sweep nothing comes down to layer 1, in the second the top is still to come to layer 2:
    # layer 1 takes the drive, layer 3 what comes up from layer 2; each then sends down what has changed.
    of_sweeps = {
        1: first + 2 * third + second,
        2: first + 2 * third + second + 2 * second + 2 * third,
        5: first + 2 * third + second + 4 * (2 * second + 2 * third),
    }
    for sweeps, expected in of_sweeps.items():
        assert flop_of(lambda count=sweeps: engine.settle(images, count)) == 2 * BATCH * expected


def test_the_work_of_a_gradient_holds_one_correlation_of_every_weight():
    images, labels = torch.rand((BATCH, 3, 32, 32)), torch.arange(BATCH)

    def work(steps):
        phases = Phases(free_steps=steps, nudged_steps=1, beta=0.01, schedule="symmetric")
        return flop_of(lambda: engine_gradient(network(), images, labels, phases, torch.Generator(), torch.float32))

    # a sweep more of the free phase, on its way down and then up again, adds one way through the upper links each
    first, second, third = macs()
    assert work(4) - work(2) == 2 * BATCH * 2 * (second + third)
    assert work(2) > 2 * BATCH * (first + second + third)


def test_utilisation_is_held_against_the_published_peak_of_the_arithmetic(monkeypatch):
    for name, dtype, peak in (
        ("NVIDIA H200", torch.bfloat16, 989e12),
        ("NVIDIA H200", torch.float32, 66.9e12),
        ("Tesla T4", torch.float32, 8.14e12),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        assert utilisation(peak, 4.0, "cuda", dtype) == pytest.approx(0.25)


def test_without_a_published_peak_utilisation_is_missing(monkeypatch):
    assert utilisation(1e12, 1.0, "cpu", torch.bfloat16) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200 NVL")
    assert utilisation(1e12, 1.0, "cuda", torch.bfloat16) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    assert utilisation(1e12, 1.0, "cuda", torch.float64) is None


def test_plain_products_have_the_shapes_of_the_links(monkeypatch):
    seen = []

    def timed(cases, **_):
        seen.append(flop_of(cases["product"]))
        return {"product": 2.0}

    monkeypatch.setattr(utilisation_module, "fastest", timed)
    rate = product_rate(network(), BATCH, torch.float32, "cpu", "processor")
    # all links once upwards, as torch counts them, in the 2 seconds that were told
    assert seen == [2 * BATCH * sum(macs())]
    assert rate == pytest.approx(2 * BATCH * sum(macs()) / 2.0)
