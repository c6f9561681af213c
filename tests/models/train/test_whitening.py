"""Whitened patches: they are white, the folded network is the network on them, and gradients follow the chain rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import ImageSet
from models.ep.links import ConvLink
from models.train.loop import train
from models.train.normalisation import normalisation_of
from models.train.whitening import FLOOR, Whitening, preparation_of, whitening_matrix


def pictures(count: int = 60) -> ImageSet:
    """Smooth pictures: neighbouring pixels and the three colours are alike."""
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand((count, 3, 4, 4), generator=generator)
    smooth = torch.nn.functional.interpolate(rough, size=12, mode="bilinear") + 0.05 * rough.mean()
    noisy = smooth + 0.1 * torch.rand((count, 3, 12, 12), generator=generator)
    return ImageSet((200 * noisy).clamp(0, 255).to(torch.uint8), torch.arange(count) % 3, scale=255)


def normal_patches(kernel: int) -> torch.Tensor:
    images = pictures()
    normalisation = normalisation_of(images)
    normal = (images.floats() - normalisation.mean.view(1, 3, 1, 1)) / normalisation.size.view(1, 3, 1, 1)
    return torch.nn.functional.unfold(normal, kernel).permute(0, 2, 1).flatten(0, 1).double()


@pytest.mark.parametrize("kernel", [1, 3])
def test_patches_come_out_white_where_they_had_more_than_the_floor(kernel: int) -> None:
    patches = normal_patches(kernel)
    matrix = whitening_matrix(pictures(), normalisation_of(pictures()), kernel).double()
    white = patches @ matrix
    assert float(white.square().mean()) == pytest.approx(float(patches.square().mean()), rel=1e-3)
    moments = white.T @ white / len(white)
    values = torch.linalg.eigvalsh(patches.T @ patches / len(patches))
    # of an eigenvalue v of the patches there is left v / (v + e), in one unit
    expected = values / (values + FLOOR * values.mean())
    expected = expected / expected.mean() * patches.square().mean()
    torch.testing.assert_close(torch.linalg.eigvalsh(moments), expected.sort().values, rtol=1e-3, atol=1e-4)


@given(kernel=st.integers(1, 4), padding=st.integers(0, 2), stride=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_folded_link_reads_pixels_as_the_learning_one_reads_white_patches(kernel, padding, stride, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((4, 3, kernel, kernel), generator=generator)
    bias = torch.randn(4, generator=generator)
    normalisation = normalisation_of(pictures())
    whitening = Whitening(normalisation, whitening_matrix(pictures(), normalisation, kernel))
    named = {"link1.weight": weight, "link1.bias": bias}
    folded = whitening.folded(named)
    x = torch.rand((2, 3, 7, 9), generator=generator)
    link = ConvLink(folded["link1.weight"], folded["link1.bias"], (3, 7, 9), stride, padding)
    black = torch.nn.functional.pad(x, [padding] * 4)
    normal = (black - normalisation.mean.view(3, 1, 1)) / normalisation.size.view(3, 1, 1)
    white = whitening.matrix @ torch.nn.functional.unfold(normal, kernel, stride=stride)
    expected = (weight.flatten(1) @ white).view(2, 4, *link.summed[1:]) + bias.view(4, 1, 1)
    torch.testing.assert_close(link.up(x)[0] + link.spread_bias(), expected, rtol=1e-4, atol=1e-4)
    back = whitening.unfolded(folded)
    torch.testing.assert_close(back["link1.weight"], weight, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(back["link1.bias"], bias, rtol=1e-3, atol=1e-3)


def test_a_gradient_is_pulled_back_by_the_chain_rule() -> None:
    normalisation = normalisation_of(pictures())
    whitening = Whitening(normalisation, whitening_matrix(pictures(), normalisation, 2))
    generator = torch.Generator().manual_seed(1)
    named = {
        "link1.weight": torch.randn((4, 3, 2, 2), generator=generator).requires_grad_(),
        "link1.bias": torch.randn(4, generator=generator).requires_grad_(),
    }
    x = torch.rand((2, 3, 6, 6), generator=generator)

    def cost(parameters: dict) -> torch.Tensor:
        sums = torch.nn.functional.conv2d(x, parameters["link1.weight"], parameters["link1.bias"])
        return sums.square().sum()

    truth = torch.autograd.grad(cost(whitening.folded(named)), list(named.values()))
    raw = {name: tensor.detach().requires_grad_() for name, tensor in whitening.folded(named).items()}
    slopes = dict(zip(raw, torch.autograd.grad(cost(raw), list(raw.values())), strict=True))
    for name, expected in zip(named, truth, strict=True):
        torch.testing.assert_close(whitening.pulled_back(slopes)[name], expected, rtol=1e-4, atol=1e-2)


def test_a_recipe_that_whitens_saves_a_network_for_pixels_as_they_are() -> None:
    recipe = replace(tiny_recipe(epochs=15), normalise=True, whiten=True)
    assert isinstance(preparation_of(bars().train, recipe), Whitening)
    trained = train(bars(), recipe, seed=0)
    assert trained.history[-1].validation_accuracy == 1.0
