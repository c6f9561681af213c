"""Recipes: they build what they say, and bad numbers are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ep_examples import tiny_recipe

from hw.crossbar.devices.presets import preset
from models.ep.gradient import Phases
from models.ep.network import build_network
from models.recipes import read_recipe, recipe_for, recipe_names

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32)}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds_a_network_for_its_data(name: str) -> None:
    recipe = recipe_for(name)
    classes = 100 if recipe.data == "cifar100" else 10
    network = build_network(SHAPES[recipe.data], recipe.layers, classes, torch.Generator())
    assert network.input_shape == SHAPES[recipe.data]
    assert network.classes == classes


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'cifar10' is neither one of .*mnist.* nor a path to a \.toml"):
        recipe_for("cifar10")


FILE = """
data = "digits"
learning_rates = [0.1, 0.2]
weight_decay = [0, 1e-3]
epochs = 3
batch_size = 4
phases = {free_steps = 5, nudged_steps = 2, beta = 0.3}
[[layers]]
kind = "dense"
units = 9
"""


def test_a_recipe_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    recipe = recipe_for(str(path))
    assert (recipe.data, recipe.learning_rates, recipe.epochs) == ("digits", (0.1, 0.2), 3)
    assert recipe.phases.beta == 0.3
    assert recipe.layers[0].units == 9


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "", "the recipe lacks epochs"),
        ("epochs = 3", "epoch = 3", "the recipe has the key 'epoch', choose from data, layers"),
        ("units = 9", "unit = 9", "layer 1 has the key 'unit', choose from units, gain"),
        ('"dense"', '"denser"', "layer 1 has the kind 'denser', choose from conv, dense"),
        ("beta = 0.3", "beta = 0", "beta is 0"),
        ("epochs = 3", "epochs = ", "not TOML"),
        ("epochs = 3", 'epochs = "three"', "the recipe has epochs 'three'"),
        ("units = 9", "units = 9.5", "layer 1 has units 9.5"),
    ],
)
def test_a_damaged_recipe_is_refused_by_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


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
        ({"optimizer": "muon"}, "bias_rate is None, expected a rate from 0 with the optimizer muon"),
        ({"bias_rate": 0.1}, "bias_rate is 0.1, expected none with the optimizer sgd"),
        ({"optimizer": "muon", "bias_rate": -1.0}, "bias_rate is -1.0, expected a finite value from 0"),
        ({"optimizer": "adam"}, "optimizer is 'adam', choose from sgd, adamw, muon"),
        ({"watched": 0}, "watched is 0"),
        ({"arithmetic": "float16"}, "arithmetic is 'float16', choose from float32, bfloat16"),
        ({"compiled": True}, "compiled takes the arithmetic of the engine, bfloat16, not float32"),
        ({"arithmetic": "bfloat16", "phases": Phases(maxima="live")}, "not maxima live and odd_even"),
        ({"arithmetic": "bfloat16", "phases": Phases(schedule="synchronous")}, "not maxima held and synchronous"),
        ({"shift_border": "white"}, "shift_border is 'white', choose from black, edge"),
        ({"weight_bits": 1}, "weight_bits is 1, expected 2 to 16"),
        ({"whiten": True}, "whiten takes normalised pixels"),
        ({"flip_alternates": True}, "flip is false"),
        ({"averaged": 1.0}, "averaged is 1.0, expected 0 up to but not 1"),
        ({"optimizer": "muon", "bias_rate": 0.1, "feedback": (0.2, 0.2)}, "feedback has 2 values, expected 1"),
        ({"optimizer": "muon", "bias_rate": 0.1, "feedback": (1.0,)}, "expected shares of 0 up to but not 1"),
        ({"feedback": (0.2,)}, "feedback needs the optimizer muon, which takes directions, not sgd"),
        ({"shift_chance": 1.1}, "shift_chance is 1.1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_recipe(**fields)


@pytest.mark.parametrize("name", ["mnist", "hw-cifar10-small", "hw-cifar10"])
def test_noise_that_recipes_learn_with_is_that_of_programming_pcm(name: str) -> None:
    device, recipe = preset("pcm-nandakumar-2019"), recipe_for(name)
    share = np.linspace(0, 1, 11)
    sigma = sum(c * share**power for power, c in enumerate(recipe.weight_noise))
    assert sigma == pytest.approx(device.programming(device.g_max_s * share) / device.g_max_s, abs=1e-6)
