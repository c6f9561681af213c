"""The zoo: what ships is what its manifest says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from models import zoo
from models.data import load_data
from models.ep.evaluation import evaluate
from models.ep.network import build_network
from models.files.checkpoint import CheckpointError, save_network
from models.recipes import recipe_for
from models.train.manifest import parameter_count
from models.train.state import describe_run
from models.zoo import load_model, zoo_names


def manifest_of(name: str) -> dict:
    return json.loads((zoo.FOLDER / f"{name}.json").read_text())


def test_every_network_of_the_zoo_has_a_manifest_that_fits() -> None:
    assert "digits" in zoo_names()
    for name in zoo_names():
        network, manifest = load_model(name), manifest_of(name)
        assert manifest["parameters"] == parameter_count(network)
        # what makes a network of the zoo is the default, and for its twin the noise it was trained with
        data = name.removesuffix("-noise-aware")
        noise = "" if name == data else r" --weight-noise( -?[0-9.]+)+ --weight-limit [0-9.]+"
        assert re.fullmatch(
            rf"python -m models.train {data}( --data-dir \S+)?{noise}( --output \S+)?", manifest["command"]
        )


@pytest.mark.parametrize("name", zoo_names())
def test_every_network_was_made_by_the_recipe_of_today(name: str) -> None:
    manifest, recipe = manifest_of(name), recipe_for(name.removesuffix("-noise-aware"))
    if name == "digits-noise-aware":
        recipe = replace(recipe, weight_noise=(0.02, 0.14, -0.085), weight_limit=2.5)
    images = {split: range(count) for split, count in manifest["images"].items()}
    data = SimpleNamespace(name=recipe.data, split=manifest["split"], sha256=None, **images)
    run = describe_run(data, recipe, seed=0, device="cpu")  # type: ignore[arg-type]
    assert run.pop("data_sha256") is None
    assert {key: run.pop(key) for key in ("data", "split", "images", "seed", "device")}.items() <= manifest.items()
    assert manifest["hyperparameters"] == run
    assert (
        load_model(name).layers
        == build_network(load_model(name).input_shape, recipe.layers, 10, torch.Generator(), recipe.skips).layers
    )


def test_digits_are_split_as_the_manifests_say() -> None:
    data = load_data("digits")
    for name in ("digits", "digits-noise-aware"):
        assert manifest_of(name)["split"] == data.split
        assert manifest_of(name)["images"] == {
            split: len(getattr(data, split)) for split in ("train", "validation", "test")
        }


@pytest.mark.parametrize("name", ["digits", "digits-noise-aware"])
def test_the_digits_network_is_as_good_as_its_manifest_and_settles(name: str) -> None:
    data, manifest = load_data("digits"), manifest_of(name)
    for split in ("validation", "test"):
        evaluation = evaluate(load_model(name), getattr(data, split), steps=40)
        # one image on the edge may fall to the other side on another processor
        assert abs(evaluation.correct - manifest[split]["correct"]) <= 1
        assert evaluation.accuracy >= 0.98
        assert float((evaluation.residual <= 0.01).double().mean()) >= 0.97
        assert evaluation.residual_quantile(0.95) < 5e-3


def test_a_path_is_loaded_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_network(load_model("digits"), path)
    loaded = load_model(str(path)).named_parameters()
    for name, tensor in load_model("digits").named_parameters().items():
        assert torch.equal(loaded[name], tensor)
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("name", ["digit", "models/zoo/digits", "net.pt", ""])
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"neither in the zoo \(.*digits.*\) nor a path to a .safetensors file"
    ) as caught:
        load_model(name)
    assert repr(name) in str(caught.value)
