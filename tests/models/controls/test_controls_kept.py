"""Controls: packed is rounded, what comes along is what its manifest says, and what is foreign is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, conv_network, random_images, tiny_recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from models.controls import FOLDER, control_names, load_control
from models.controls import __main__ as keeping
from models.controls.classifier import FeedForward, evaluate_classifier
from models.controls.packed import load_packed, pack, save_packed, unpack
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.network import EPNetwork
from models.files.checkpoint import CheckpointError, save_network
from models.files.digest import sha256_of
from models.train.loop import train
from models.train.manifest import make_manifest, make_twin_manifest, save_with_manifest
from models.twin.controls import Controls
from models.twin.loop import train_twin
from models.vit.network import Form, VisionTransformer, drawn, save_transformer


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.floats(1e-6, 1e6), st.integers(0, 99))
def test_no_weight_moves_by_more_than_half_a_step(rows: int, columns: int, size: float, seed: int) -> None:
    weight = size * torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed))
    quantized, scales = pack(weight)
    step = weight.abs().amax(dim=1) / 127
    torch.testing.assert_close(scales, step)
    assert ((unpack(quantized, scales) - weight).abs() <= step[:, None] * 0.5001).all()
    again, same = pack(unpack(quantized, scales))
    assert torch.equal(again, quantized)
    torch.testing.assert_close(same, scales)


def test_filters_of_zeros_stay() -> None:
    assert torch.equal(unpack(*pack(torch.zeros(3, 2, 2))), torch.zeros(3, 2, 2))


@pytest.mark.parametrize("kind", ["settling", "feed_forward", "transformer"])
def test_a_packed_network_is_of_its_kind_and_rounded(kind: str, tmp_path: Path) -> None:
    network = conv_network(0).map_parameters(torch.Tensor.float)
    form = Form((2, 8, 8), 4, patch=4, width=6, depth=1, heads=2)
    made = {
        "settling": network,
        "feed_forward": FeedForward(network),
        "transformer": drawn(form, torch.Generator().manual_seed(0)),
    }[kind]
    file, images = tmp_path / "net.safetensors", random_images(3).float()
    save_packed(made, file)
    loaded = load_control(str(file))
    assert type(loaded) is type(made)
    if isinstance(made, EPNetwork):
        assert isinstance(loaded, EPNetwork)
        for name, tensor in made.named_parameters().items():
            expected = unpack(*pack(tensor)) if tensor.ndim > 1 else tensor
            torch.testing.assert_close(loaded.named_parameters()[name], expected)
        return
    assert isinstance(loaded, FeedForward | VisionTransformer)
    assert (loaded.input_shape, loaded.classes) == ((2, 8, 8), 4)
    torch.testing.assert_close(loaded(images), made(images), rtol=0, atol=0.02)
    leaf = images.clone().requires_grad_()
    assert float(torch.autograd.grad(loaded(leaf).square().sum(), leaf)[0].abs().max()) >= 0


def test_a_path_of_each_kind_is_told_apart(tmp_path: Path) -> None:
    settling, twin, transformer = (tmp_path / f"{name}.safetensors" for name in "abc")
    network = conv_network(0).map_parameters(torch.Tensor.float)
    save_network(network, settling)
    save_network(network, twin)
    twin.with_suffix(".json").write_text('{"evaluation": "one pass upwards, without feedback"}')
    save_transformer(drawn(Form((2, 8, 8), 4, 4, 6, 1, 2), torch.Generator().manual_seed(0)), transformer)
    kinds = [type(load_control(str(path))) for path in (settling, twin, transformer)]
    assert kinds == [EPNetwork, FeedForward, VisionTransformer]


def test_what_is_no_control_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"control 'digits' is neither one of .* nor a path to a \.safetensors file"):
        load_control("digits")
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="truncated, or not a safetensors"):
        load_control(str(file))
    with pytest.raises(CheckpointError, match="not a control that was packed"):
        load_packed(file)
    save_packed(conv_network(0).map_parameters(torch.Tensor.float), file)
    file.with_suffix(".json").write_text('{"sha256": "0"}')
    with pytest.raises(CheckpointError, match=r"its manifest net\.json is of 0"):
        load_control(str(file))


def test_finished_networks_are_kept_with_what_the_packed_ones_get_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keeping, "load_data", lambda _name, _folder: bars())
    data, recipe, twin, ep = bars(), tiny_recipe(3), tmp_path / "twin.safetensors", tmp_path / "ep.safetensors"
    said = {"seed": 0, "device": "cpu", "command": "python"}
    trained = train_twin(data, recipe, seed=0)
    save_with_manifest(trained.network, twin, make_twin_manifest(trained, data, recipe, Controls().described(), **said))
    trained = train(data, recipe, seed=0)
    save_with_manifest(trained.network, ep, make_manifest(trained, data, recipe, **said))
    assert keeping.main([str(twin), str(ep), "--folder", str(tmp_path / "kept")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    kept = tmp_path / "kept" / "twin.safetensors"
    manifest, control = json.loads(kept.with_suffix(".json").read_text()), load_control(str(kept))
    assert isinstance(control, FeedForward)
    score = evaluate_classifier(control, data.test)
    assert manifest["packed"]["test"]["correct"] == score.correct
    assert score.correct == evaluate_feed_forward(control.network, data.test).correct
    assert score.cost == pytest.approx(evaluate_feed_forward(control.network, data.test).cost, rel=1e-5)
    assert manifest["sha256"] == sha256_of(kept)
    assert isinstance(load_control(str(tmp_path / "kept" / "ep.safetensors")), EPNetwork)
    assert keeping.main([str(twin), "--folder", str(tmp_path / "kept")]) == 2
    assert "is there already" in capsys.readouterr().err


def test_every_control_that_comes_along_is_what_its_manifest_says() -> None:
    names = control_names()
    assert "hw-cifar10-short-twin-0" in names
    sizes = []
    for name in names:
        manifest, file = json.loads((FOLDER / f"{name}.json").read_text()), FOLDER / f"{name}.safetensors"
        control = load_control(name)
        assert control.input_shape == {"digits": (1, 8, 8), "mnist": (1, 28, 28)}.get(
            name.partition("-")[0], (3, 32, 32)
        )
        assert control.classes == 10
        assert isinstance(control, EPNetwork) == (
            "settl" in manifest["evaluation"] or "sweeps" in manifest["evaluation"]
        )
        assert manifest["seed"] == int(name.rsplit("-", 1)[1])
        assert re.fullmatch(rf"python -m models\.\w+ \S+ .*--output {name}\.safetensors", manifest["command"])
        assert abs(manifest["packed"]["test"]["accuracy"] - manifest["test"]["accuracy"]) < 0.006
        sizes.append(file.stat().st_size)
    assert max(sizes) < 0.9e6, "a byte for every weight"
    assert sum(sizes) < 20e6, "the wheel carries them"


def test_twins_on_one_footing_differ_in_nothing_but_what_they_are_called() -> None:
    """All that learnt by the short recipe from drawn weights: equal images, epochs, updates, augmentation."""
    manifests = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in control_names()}
    short = {name: one["hyperparameters"] for name, one in manifests.items() if name.startswith("hw-cifar10-short")}
    shared = ("layers", "optimizer", "learning_rates", "weight_decay", "epochs", "batch_size", "shift", "flip")
    plain = short["hw-cifar10-short-twin-0"]
    for name, told in short.items():
        if told.get("start") is not None:
            continue
        assert {key: told[key] for key in shared} == {key: plain[key] for key in shared}, name
        assert manifests[name]["images"] == manifests["hw-cifar10-short-twin-0"]["images"]
