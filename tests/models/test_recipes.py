"""Recipes: they build what they say, and bad numbers are named."""

from __future__ import annotations

import pytest
import torch
from ep_examples import tiny_recipe

from models.network import build_network
from models.recipes import RECIPES, recipe_for


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 8, 8)), ("mnist", (1, 28, 28))])
def test_every_recipe_builds_a_network_for_its_data(name: str, shape: tuple[int, ...]) -> None:
    network = build_network(shape, recipe_for(name).layers, 10, torch.Generator())
    assert network.input_shape == shape
    assert network.classes == 10
    assert set(RECIPES) == {"digits", "mnist"}


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no recipe for the data set 'cifar10': there are recipes for digits, mnist"):
        recipe_for("cifar10")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rates": (0.1,)}, "learning_rates has 1 values, expected 3"),
        ({"weight_decay": (0.1, 0.1, -0.1)}, r"weight_decay is \(0.1, 0.1, -0.1\)"),
        ({"learning_rates": (0.1, float("nan"), 0.1)}, "expected finite values"),
        ({"epochs": 0}, "epochs is 0, expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"shift": -1}, "shift is -1, expected at least 0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"shift_chance": 1.1}, "shift_chance is 1.1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_recipe(**fields)
