"""The vision transformer: what it computes, what it learns, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import KilledError, bars, kill_after
from torch import Tensor

from models.controls.classifier import evaluate_classifier
from models.files.checkpoint import CheckpointError
from models.vit import command
from models.vit.network import Form, VisionTransformer, drawn, load_transformer, save_transformer
from models.vit.recipe import VitRecipe, vit_recipe, vit_recipe_names
from models.vit.training import rate_share, train_vit

FORM = Form((3, 8, 12), classes=5, patch=4, width=12, depth=2, heads=3)


def recipe(**changes: object) -> VitRecipe:
    settings: dict[str, object] = {"data": "bars", "epochs": 6, "batch_size": 8, "rate": 0.02, "other_rate": 0.01,
                                   "weight_decay": 0.1, "patch": 3, "width": 16, "depth": 1, "heads": 2}  # fmt: skip
    return VitRecipe(**{**settings, **changes})  # type: ignore[arg-type]


def shaken(form: Form) -> VisionTransformer:
    network, generator = drawn(form, torch.Generator().manual_seed(0)).double(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
    return network


def by_hand(named: dict[str, Tensor], image: Tensor) -> Tensor:
    """The scores of one image (3, 8, 12), token by token and head by head."""

    def normed(tokens: Tensor, name: str) -> Tensor:
        spread = tokens.var(dim=1, unbiased=False, keepdim=True)
        whole = (tokens - tokens.mean(dim=1, keepdim=True)) / (spread + 1e-5).sqrt()
        return whole * named[f"{name}.weight"] + named[f"{name}.bias"]

    def linear(tokens: Tensor, name: str) -> Tensor:
        return tokens @ named[f"{name}.weight"].T + named[f"{name}.bias"]

    patches = [image[:, r : r + 4, c : c + 4].flatten() for r in (0, 4) for c in (0, 4, 8)]
    tokens = linear((torch.stack(patches) - 0.5) * 4, "embed") + named["place"]
    for layer in ("encoder.layers.0", "encoder.layers.1"):
        seen = normed(tokens, f"{layer}.norm1")
        joint = seen @ named[f"{layer}.self_attn.in_proj_weight"].T + named[f"{layer}.self_attn.in_proj_bias"]
        parts = []
        for head in range(3):
            query, key, value = (joint[:, at + 4 * head : at + 4 * head + 4] for at in (0, 12, 24))
            parts.append((query @ key.T / 2).softmax(dim=1) @ value)
        tokens = tokens + linear(torch.cat(parts, dim=1), f"{layer}.self_attn.out_proj")
        hidden = linear(normed(tokens, f"{layer}.norm2"), f"{layer}.linear1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        tokens = tokens + linear(hidden, f"{layer}.linear2")
    return linear(normed(tokens, "norm").mean(dim=0, keepdim=True), "head")[0]


def test_it_computes_what_the_paper_says() -> None:
    network = shaken(FORM)
    images = torch.rand((3, 3, 8, 12), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = torch.stack([by_hand(dict(network.named_parameters()), image) for image in images])
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(network.eval().requires_grad_(False)(images), expected)


def test_a_loaded_one_gives_the_same_scores_and_slopes_by_the_image(tmp_path: Path) -> None:
    network, file = shaken(FORM).float(), tmp_path / "net.safetensors"
    save_transformer(network, file)
    again, images = load_transformer(file), torch.full((1, 3, 8, 12), 0.25, requires_grad=True)
    for one in (network, again):
        assert one.input_shape == (3, 8, 12)
    torch.testing.assert_close(again(images), network(images))
    slopes = [torch.autograd.grad(one(images)[0, 1], images)[0] for one in (network, again)]
    torch.testing.assert_close(*slopes)
    assert float(slopes[0].abs().max()) > 0
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="truncated"):
        load_transformer(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 5}, r"patch is 5, expected a divisor of \(8, 12\)"),
        ({"heads": 5}, "width is 12, expected a multiple of the 5 heads"),
        ({"depth": 0}, "depth is 0, expected 1 to"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Form(**{**vars(FORM), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0, expected 1 to"),
        ({"rate": -1.0}, "rate is -1.0, expected a finite value from 0"),
        ({"warming": 2.0}, "warming is 2.0, expected 0 to 1"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(**changes)


def test_the_recipes_that_come_along_fit_their_data() -> None:
    for name in vit_recipe_names():
        assert vit_recipe(name).form((3, 32, 32), 10).patch == 4
    with pytest.raises(ValueError, match=r"'vit' is neither one of vit-cifar10 nor a path to a \.toml"):
        vit_recipe("vit")


def test_it_learns_an_easy_set_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    data, state = bars(), tmp_path / "net.training"
    whole = train_vit(data, recipe(), seed=0)
    assert evaluate_classifier(whole.network, data.test).accuracy == 1.0
    with pytest.raises(KilledError):
        train_vit(data, recipe(), seed=0, state_path=state, report=kill_after(2))
    rest = train_vit(data, recipe(), seed=0, state_path=state, resume=True)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, rest.network.state_dict()[name]), name
    assert [record.validation_cost for record in rest.history] == [one.validation_cost for one in whole.history]
    with pytest.raises(CheckpointError, match=r"the run to resume has rate 0\.02, this one 0\.03"):
        train_vit(data, recipe(rate=0.03), seed=0, state_path=state, resume=True)


def test_rates_rise_straight_and_fall_as_a_cosine() -> None:
    assert rate_share(0.0, 0.1) < 0.02
    assert rate_share(0.1, 0.1) == pytest.approx(1)
    assert rate_share(0.55, 0.1) == pytest.approx(0.5)
    assert rate_share(1.0, 0.1) == pytest.approx(0)
    assert rate_share(0.0, 0.0) == 1


def exit_code(*arguments: str) -> int:
    try:
        return command.main(arguments)
    except SystemExit as ended:
        return int(str(ended.code))


def test_the_command_writes_a_checkpoint_and_a_manifest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "check_data", lambda _name, _folder: None)
    monkeypatch.setattr(command, "form_of", lambda _name: ((1, 6, 6), 3))
    monkeypatch.setattr(command, "load_data", lambda _name, _folder: bars())
    monkeypatch.setattr(command, "vit_recipe", lambda _name: recipe())
    output = tmp_path / "net.safetensors"
    assert exit_code("--output", str(output), "--epochs", "1") == 0
    manifest = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert manifest == json.loads(output.with_suffix(".json").read_text())
    assert manifest["command"] == f"python -m models.vit --output {output} --epochs 1"
    assert (manifest["evaluation"], manifest["hyperparameters"]["width"]) == ("one pass of a transformer", 16)
    assert manifest["test"]["correct"] == evaluate_classifier(load_transformer(output), bars().test).correct
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["net.json", "net.safetensors"]
    assert exit_code("--output", str(output)) == 2
    assert exit_code("--epochs", "0") == 2
    assert "--epochs is 0, expected 1 to" in capsys.readouterr().err
