"""Normalised pixels: the folded network is the network on normalised pixels, and gradients follow the chain rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import ImageSet
from models.ep.evaluation import evaluate
from models.ep.gradient import backprop_gradient, mean_cost
from models.ep.links import ConvLink
from models.ep.network import Conv, Dense, build_network
from models.ep.relaxation import relax
from models.train.loop import train
from models.train.normalisation import Normalisation, normalisation_of

COLOURS = Normalisation(torch.tensor([0.5, 0.4, 0.3]).double(), torch.tensor([0.7, 0.8, 0.9]).double())


@given(kernel=st.integers(1, 4), padding=st.integers(0, 2), stride=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_folded_weights_read_pixels_as_normalised_ones_with_a_black_border(kernel, padding, stride, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((4, 3, kernel, kernel), generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    x = torch.rand((2, 3, 7, 9), generator=generator, dtype=torch.float64)
    folded = COLOURS.folded({"link1.weight": weight, "link1.bias": bias})
    link = ConvLink(folded["link1.weight"], folded["link1.bias"], (3, 7, 9), stride, padding)
    # the border by hand: black pixels, then normalised
    black = torch.zeros((2, 3, 7 + 2 * padding, 9 + 2 * padding), dtype=torch.float64)
    black[:, :, padding : padding + 7, padding : padding + 9] = x
    normal = (black - COLOURS.mean.view(3, 1, 1)) / COLOURS.size.view(3, 1, 1)
    expected = ConvLink(weight, bias, tuple(normal.shape[1:]), stride, 0)
    torch.testing.assert_close(link.up(x)[0] + link.spread_bias(), expected.up(normal)[0] + expected.spread_bias())


def test_a_gradient_is_pulled_back_by_the_chain_rule() -> None:
    network = build_network((3, 6, 6), (Conv(4), Conv(5)), 3, torch.Generator().manual_seed(0))
    named = {name: tensor.double() for name, tensor in network.named_parameters().items()}
    images = torch.rand((5, 3, 6, 6), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.arange(5) % 3

    def cost(parameters: dict) -> float:
        folded = network.with_parameters(COLOURS.folded(parameters))
        return float(mean_cost(folded, relax(folded, images, steps=8).states[-1], labels))

    raw = backprop_gradient(network.with_parameters(COLOURS.folded(named)), images, labels, steps=8)
    gradient = COLOURS.pulled_back(raw)
    for name, place in (("link1.weight", (2, 1, 0, 2)), ("link1.bias", (3,)), ("link2.weight", (0, 1, 1, 1))):
        step = torch.zeros_like(named[name])
        step[place] = 1e-6
        slope = (cost({**named, name: named[name] + step}) - cost({**named, name: named[name] - step})) / 2e-6
        assert float(gradient[name][place]) == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_mean_and_size_are_those_of_the_pixels() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 17, (50, 2, 3, 5), dtype=np.uint8)
    normalisation = normalisation_of(ImageSet(torch.from_numpy(pixels), torch.zeros(50, dtype=torch.int64), 16))
    x = pixels / 16
    np.testing.assert_allclose(normalisation.mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(normalisation.size, 3 * x.std(axis=(0, 2, 3)), rtol=1e-6)


def test_the_network_that_is_saved_takes_pixels_as_they_are() -> None:
    recipe = replace(tiny_recipe(epochs=15), normalise=True)
    trained = train(bars(), recipe, seed=0)
    evaluation = evaluate(trained.network, bars().validation, steps=recipe.steps)
    assert evaluation.accuracy == 1.0
    assert (evaluation.accuracy, evaluation.cost) == (
        trained.history[-1].validation_accuracy,
        trained.history[-1].validation_cost,
    )


def test_a_dense_first_link_is_refused_by_its_shape() -> None:
    network = build_network((3, 6, 6), (Dense(4),), 3, torch.Generator())
    with pytest.raises(ValueError, match=r"link1.weight is \(4, 108\)"):
        COLOURS.folded(network.named_parameters())
