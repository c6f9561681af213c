"""Recipes: they build what they say, and bad numbers are named."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ep_examples import tiny_recipe

from hw.crossbar.devices.presets import preset
from models.ep.gradient import Phases
from models.ep.network import Conv, build_network
from models.files.typed import schema
from models.recipes import Recipe, read_recipe, recipe_for, recipe_names
from models.recipes.recipe_file import RECIPE

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
        ("epochs = 3", "", "the document lacks epochs"),
        ("epochs = 3", "epoch = 3", "the document has the key 'epoch', choose from data, layers"),
        ("units = 9", "unit = 9", r"layers\[1\] has the key 'unit', choose from units, gain"),
        ("phases = {", "phases = {eta = 1, ", "phases has the key 'eta', choose from free_steps"),
        ('"dense"', '"denser"', r"layers\[1\] has the kind 'denser', choose from conv, dense"),
        ('kind = "dense"', "", r"layers\[1\] has the kind None, choose from conv, dense"),
        ("beta = 0.3", "beta = 0", "phases: beta is 0"),
        ("beta = 0.3", "beta = inf", "phases.beta is inf, expected a finite number"),
        ("beta = 0.3", "beta = 1e30", r"phases: beta is 1e\+30: .* at most 1e\+06"),
        ("phases = {", "phases = 1 # {", "phases is 1, expected an object"),
        ("[[layers]]", "layers = [1]\n[rest]", "has the key 'rest'"),
        ('[[layers]]\nkind = "dense"\nunits = 9', "layers = [1]", r"layers\[1\] is 1, expected an object"),
        ("epochs = 3", "epochs = ", "not TOML"),
        ("epochs = 3", "epochs = " + 100_000 * "[", "not TOML: "),
        ("epochs = 3", "epochs = 2026-03-01", "holds a date or a time, expected numbers"),
        ("epochs = 3", 'epochs = "three"', "epochs is 'three', expected a valid integer"),
        ("epochs = 3", "epochs = true", "epochs is True, expected a valid integer"),
        ("epochs = 3", "epochs = 3.0", "epochs is 3.0, expected a valid integer"),
        ("epochs = 3", f"epochs = {10**40}", "epochs is 1000.*, expected at most 1000000000"),
        ("[0, 1e-3]", "[0, true]", r"weight_decay\[2\] is True, expected a valid number"),
        ("units = 9", "units = 9.5", r"layers\[1\].units is 9.5"),
        ("units = 9", "units = 1_000_000_000", r"layers\[1\]: units is 1000000000, expected 1 to 1048576"),
        ("units = 9", "units = 9\ngain = -0.5", r"layers\[1\]: gain is -0.5, expected 0 to"),
        ("epochs = 3", "epochs = 3\nskips = [{source = 1, target = 4, kernel = 0}]", r"skips\[1\]: kernel is 0"),
        ("epochs = 3", 'epochs = 3\noptimizer = "adam"', "optimizer is 'adam', expected 'sgd', 'adamw' or 'muon'"),
    ],
)
def test_a_damaged_recipe_is_refused_by_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in FILE
    path.write_text(FILE.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_what_is_no_recipe_at_all_is_refused_by_file(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for path, message in [
        (tmp_path / "bytes.toml", "not TOML: 'utf-8' codec"),
        (tmp_path, "cannot be read: .*Is a directory"),
        (tmp_path / "none.toml", "no such file"),
        (Path("/dev/zero"), "larger than the 16 MiB"),
        (Path("zero\0byte.toml"), "cannot be read: embedded null byte"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            read_recipe(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_weights_that_no_computer_holds_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(ValueError, match=r"weights \(1000000, 1000000, 3, 3\) has 9,000,000,000,000, more than 2,147"):
        build_network((1_000_000, 8, 8), (Conv(1_000_000),), 10, torch.Generator())


def test_the_schema_for_editors_has_every_field_with_its_docstring() -> None:
    document = json.loads(schema(RECIPE))
    assert document["properties"].keys() == {field.name for field in fields(Recipe)}
    assert document["properties"]["watched"]["description"].startswith("Validation images that are looked at")
    assert document["additionalProperties"] is False
    kinds = document["properties"]["layers"]["items"]["discriminator"]["mapping"]
    assert kinds.keys() == {"conv", "dense"}


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_a_recipe_that_makes_no_sense_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_recipe(**changes)


@pytest.mark.parametrize("name", ["mnist", "hw-cifar10-small", "hw-cifar10"])
def test_noise_that_recipes_learn_with_is_that_of_programming_pcm(name: str) -> None:
    device, recipe = preset("pcm-nandakumar-2019"), recipe_for(name)
    share = np.linspace(0, 1, 11)
    sigma = sum(c * share**power for power, c in enumerate(recipe.weight_noise))
    assert sigma == pytest.approx(device.programming(device.g_max_s * share) / device.g_max_s, abs=1e-6)
