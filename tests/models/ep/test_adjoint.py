"""The implicit gradient by the image is that of backpropagation through the whole settle, and of finite differences."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import CLASSES, conv_network, random_images, random_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.ep.adjoint import NotAtRestError, adjoint_slope, scores_of
from models.ep.network import Conv, Dense, EPNetwork, Span, build_network
from models.ep.relaxation import relax
from models.fast.adjoint import engine_slope
from models.fast.settling import Engine

STEPS = 200


def slopes_of(scores: Tensor, labels: Tensor) -> Tensor:
    leaf = scores.detach().requires_grad_()
    return torch.autograd.grad(cross_entropy(leaf, labels, reduction="sum"), leaf)[0]


def unrolled(network: EPNetwork, images: Tensor, labels: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    states = relax(network, leaf, steps=STEPS).states
    return torch.autograd.grad(cross_entropy(scores_of(network, leaf, states), labels, reduction="sum"), leaf)[0]


def implicit(network: EPNetwork, images: Tensor, labels: Tensor) -> Tensor:
    states = relax(network, images, steps=STEPS).states
    slopes = slopes_of(scores_of(network, images, states), labels)
    return adjoint_slope(network, images, states, slopes, tolerance=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["average", "max", "none"]), st.booleans(), st.booleans(), st.integers(0, 99), st.integers(1, 4))
def test_it_is_the_gradient_through_every_step(kind: str, readout: bool, flat: bool, seed: int, batch: int) -> None:
    network = conv_network(seed, pooling=kind, gain=0.5, readout=readout, dense=flat or not readout)
    images, labels = random_images(batch, seed), random_labels(batch, seed)
    torch.testing.assert_close(
        implicit(network, images, labels), unrolled(network, images, labels), rtol=1e-8, atol=1e-12
    )


def test_residual_links_are_part_of_it() -> None:
    layers = (Conv(3, gain=0.5), Conv(3, gain=0.5), Conv(3, stride=2, gain=0.5), Conv(4, gain=0.5), Dense(5))
    drawn = build_network(
        (2, 8, 8), layers, CLASSES, torch.Generator().manual_seed(1), (Span(1, 4, kernel=2, stride=2),)
    )
    network = drawn.map_parameters(lambda tensor: tensor.double() + 0.01 * (tensor.ndim == 1))
    images, labels = random_images(3), random_labels(3)
    torch.testing.assert_close(
        implicit(network, images, labels), unrolled(network, images, labels), rtol=1e-8, atol=1e-12
    )


def test_it_is_the_slope_of_finite_differences() -> None:
    network, images, labels = conv_network(4, gain=0.5), random_images(1), random_labels(1)
    slope, step = implicit(network, images, labels), 1e-6
    for place in range(0, images.numel(), 37):
        costs = []
        for sign in (1, -1):
            moved = images.clone()
            moved.view(-1)[place] += sign * step
            costs.append(cross_entropy(network.logits(relax(network, moved, steps=STEPS).states[-1]), labels))
        assert float(slope.view(-1)[place]) == pytest.approx(float(costs[0] - costs[1]) / (2 * step), abs=1e-8)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["average", "max", "none"]), st.booleans(), st.integers(0, 99))
def test_the_engine_finds_the_same(kind: str, flat: bool, seed: int) -> None:
    network, images, labels = conv_network(seed, kind, 0.5, dense=flat), random_images(3, seed), random_labels(3, seed)
    engine = Engine(network, torch.float64)
    at = engine.begin(images)
    for number in range(1, STEPS + 1):
        at = engine.sweep(at, "rising", number)
    found = engine_slope(engine, at, slopes_of(engine.scores(at.states[-1]), labels), STEPS)
    torch.testing.assert_close(found, unrolled(network, images, labels), rtol=1e-8, atol=1e-12)


def test_images_keep_their_digits_where_the_engine_computes_in_half() -> None:
    network, images = conv_network(0, "none").map_parameters(Tensor.float), random_images(2).float()
    moved, link = images + 0.0005, network.links[0]  # less than bfloat16 tells apart near 1/2
    stage = Engine(network, torch.bfloat16, torch.float32).stages[0]
    change = stage.up(moved.permute(0, 2, 3, 1)) - stage.up(images.permute(0, 2, 3, 1))
    expected = (link.up(moved)[0] - link.up(images)[0]).permute(0, 2, 3, 1)
    torch.testing.assert_close(change, expected, rtol=1e-2, atol=1e-6)


def test_a_map_that_does_not_contract_is_named() -> None:
    network, images = conv_network(0), random_images(2)
    states = relax(network, images, steps=STEPS).states
    half = tuple(torch.full_like(state, 0.5) for state in states)  # every unit live
    wild = network.map_parameters(lambda tensor: tensor * 30)
    with pytest.raises(NotAtRestError, match="2 of 2 images is not at rest after 50 iterations"):
        adjoint_slope(wild, images, half, torch.ones(2, CLASSES, dtype=torch.float64), most=50)
