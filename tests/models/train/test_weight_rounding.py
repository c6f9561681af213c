"""Quantization-aware training: weights on the grid that machines load, the largest of which holds all of them."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import bars, conv_network, tiny_recipe

from mapping.quantization import quantize
from models.ep.evaluation import evaluate
from models.train.loop import train
from models.train.weight_rounding import rounded


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_lie_on_the_finest_grid_that_holds_them(bits: int) -> None:
    network = conv_network(3)
    top = 2 ** (bits - 1) - 1
    for name, tensor in rounded(network, bits).named_parameters().items():
        before = network.named_parameters()[name]
        if name.endswith(".bias"):
            assert torch.equal(tensor, before)
            continue
        exponent = max(e for e in range(-20, 40) if float(before.abs().max()) * 2.0**e <= top)
        codes = tensor * 2.0**exponent
        assert torch.equal(codes, codes.round())
        assert float(codes.abs().max()) <= top
        assert float((tensor - before).abs().max()) <= 0.5 * 2.0**-exponent


def test_no_weights_at_all_stay_none() -> None:
    network = conv_network(0).map_parameters(torch.zeros_like)
    assert all(float(tensor.abs().max()) == 0 for tensor in rounded(network, 8).named_parameters().values())


def test_what_was_learnt_at_few_bits_works_at_few_bits() -> None:
    recipe = tiny_recipe(epochs=15, weight_bits=3)
    trained = train(bars(), recipe, seed=0).network
    assert evaluate(rounded(trained, 3), bars().test, steps=recipe.steps).accuracy == 1.0
    assert not torch.equal(rounded(trained, 3).links[0].weight, trained.links[0].weight)


def test_a_network_on_the_grid_is_loaded_without_an_error() -> None:
    network = rounded(conv_network(1, pooling="none"), 8).map_parameters(torch.Tensor.float)
    program = quantize(network, torch.rand((8, 2, 8, 8), generator=torch.Generator().manual_seed(0)))
    for held, link in zip(program.links, network.links, strict=True):
        torch.testing.assert_close(torch.tensor(held.weight) * 2.0**-held.exponent, link.weight, rtol=0, atol=0)
