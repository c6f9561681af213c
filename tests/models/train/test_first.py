"""The network that training begins with: drawn, or one that has learnt already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.ep.evaluation import evaluate
from models.ep.network import Conv
from models.files.checkpoint import CheckpointError, save_network
from models.train.loop import train


@pytest.mark.parametrize("normalise", [False, True])
def test_it_goes_on_from_what_a_network_has_learnt(normalise: bool, tmp_path: Path) -> None:
    """Without a rate, the network saved is the one it started with, whatever pixels it learns on."""
    recipe, path = tiny_recipe(8, normalise=True), tmp_path / "learnt.safetensors"
    learnt = train(bars(), recipe, seed=0).network
    save_network(learnt, path)
    held = replace(recipe, epochs=1, learning_rates=(0.0,) * 3, start=str(path), normalise=normalise)
    again = train(bars(), held, seed=1)
    for name, tensor in learnt.named_parameters().items():
        torch.testing.assert_close(again.network.named_parameters()[name], tensor, rtol=1e-6, atol=1e-6)
    assert again.history[0].validation_accuracy == evaluate(learnt, bars().validation, steps=recipe.steps).accuracy


def test_other_layers_than_those_of_the_recipe_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "learnt.safetensors"
    save_network(train(bars(), tiny_recipe(1), seed=0).network, path)
    other = (Conv(4, gain=0.4), Conv(6, stride=2, gain=0.4))
    with pytest.raises(ValueError, match=r"has other links than the recipe.*'stride': 1.*not.*'stride': 2"):
        train(bars(), tiny_recipe(1, layers=other, start=str(path)), seed=0)
    with pytest.raises(ValueError, match="start 'digits' has other links than the recipe"):
        train(bars(), tiny_recipe(1, start="digits"), seed=0)


@pytest.mark.parametrize(
    ("start", "message"),
    [("fingers", "model 'fingers' is neither in the zoo"), ("gone.safetensors", "gone.safetensors")],
)
def test_a_start_that_is_nowhere_is_named(start: str, message: str) -> None:
    with pytest.raises((ValueError, CheckpointError), match=message):
        train(bars(), tiny_recipe(1, start=start), seed=0)
