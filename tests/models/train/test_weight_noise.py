"""Training with programming noise: the law of the noise, one die per batch for all phases, weights kept in range."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.ep.links import DenseLink
from models.ep.network import EPNetwork, build_network
from models.train import loop as training
from models.train.weight_noise import limit_weights, programmed

PCM = (0.0105392, 0.0786, -0.046924)
"""Programming noise of PCM over the largest conductance (Nandakumar et al. 2019, by aihwkit's weight modifier)."""


def test_the_noise_follows_its_polynomial_of_the_largest_weight() -> None:
    shares = torch.tensor([0.0, 0.1, 0.5, 1.0])
    weight = 0.3 * torch.cat([shares, -shares]).repeat_interleave(50_000)[None]
    network = EPNetwork((DenseLink(weight, torch.ones(1), (weight.shape[1],)),))
    noisy = programmed(network, PCM, torch.Generator().manual_seed(0))
    error = (noisy.links[0].weight - weight).view(8, 50_000)
    for index, x in enumerate([0.0, 0.1, 0.5, 1.0] * 2):
        sigma = 0.3 * (0.0105392 + 0.0786 * x - 0.046924 * x**2)
        assert float(error[index].std()) == pytest.approx(sigma, rel=0.02)
        assert abs(float(error[index].mean())) < 4 * sigma / 50_000**0.5
    assert torch.equal(noisy.links[0].bias, network.links[0].bias), "biases are digital"


def test_all_phases_of_a_batch_meet_one_die_and_batches_meet_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[EPNetwork] = []
    gradient = training.ep_gradient
    monkeypatch.setattr(
        training, "ep_gradient", lambda network, *rest: seen.append(network) or gradient(network, *rest)
    )
    recipe = replace(tiny_recipe(epochs=1), weight_noise=(0.05,))
    trained = training.train(bars(), recipe, seed=0)
    # one network for a whole gradient, free and nudged phases alike, and not that of another batch
    assert len(seen) == -(-len(bars().train) // recipe.batch_size)
    weights = [network.links[0].weight for network in seen]
    assert all(not torch.equal(a, b) for a, b in pairwise(weights))
    # what is updated is what was aimed at: steps of a small learning rate, far below the noise
    still = replace(recipe, learning_rates=tuple(0.0 for _ in recipe.learning_rates))
    kept = training.train(bars(), still, seed=0).network
    first = build_network(bars().train.shape, recipe.layers, bars().classes, training.generator_of(0, epoch=0))
    assert torch.equal(kept.links[0].weight, first.links[0].weight)
    assert not torch.equal(trained.network.links[0].weight, first.links[0].weight)


def test_weights_are_clipped_at_their_own_deviations() -> None:
    weight = torch.randn(100, 100, generator=torch.Generator().manual_seed(0))
    bias = torch.full((100,), 9.0)
    before, deviation = weight.clone(), float(weight.std())
    limit_weights({"link1.weight": weight, "link1.bias": bias}, 2.0)
    assert torch.equal(weight, before.clamp(-2 * deviation, 2 * deviation))
    assert float(bias.min()) == 9.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_noise": (float("nan"),)}, "weight_noise is .*nan.*finite"),
        ({"weight_noise": (0.01, -0.1)}, "standard deviation below 0"),
        ({"weight_limit": 0.5}, "weight_limit is 0.5, expected at least 1"),
    ],
)
def test_noise_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(tiny_recipe(epochs=1), **change)  # type: ignore[arg-type]
