"""Checkpoints: what is saved comes back, and nothing else is taken for it."""

# ruff: noqa: ARG005 - each change takes the tensors and the description, and touches one of them

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.ep_examples import conv_network
from safetensors import safe_open
from safetensors.torch import save_file

from models.ep.network import EPNetwork
from models.files import tensorfile
from models.files.checkpoint import KEY, CheckpointError, load_network, manifest_path, save_network

Tensors = dict[str, torch.Tensor]


def sample(seed: int = 0, **kinds: Any) -> EPNetwork:
    return conv_network(seed, **kinds).map_parameters(torch.Tensor.float)


@pytest.mark.parametrize("readout", [True, False])
@pytest.mark.parametrize("pooling", ["none", "average", "max"])
def test_what_is_saved_comes_back(tmp_path: Path, pooling: str, readout: bool) -> None:
    network = sample(pooling=pooling, readout=readout)
    path = tmp_path / "new" / "folder" / "net.safetensors"
    save_network(network, path)
    back = load_network(path)
    named = network.named_parameters()
    assert list(back.named_parameters()) == list(named)
    for name, tensor in back.named_parameters().items():
        assert torch.equal(tensor, named[name])
    wiring = [(link.kind, link.below, link.above) for link in network.links]
    assert [(link.kind, link.below, link.above) for link in back.links] == wiring
    assert repr(back.map_parameters(torch.zeros_like)) == repr(network.map_parameters(torch.zeros_like))
    assert [entry.name for entry in path.parent.iterdir()] == ["net.safetensors"]


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        save_network(sample(), tmp_path / name)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    save_network(sample(0), path)
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError("no space left on device")

    monkeypatch.setattr(tensorfile.Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        save_network(sample(1), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_not_written(tmp_path: Path, value: float) -> None:
    network = sample()
    network.links[1].weight[2, 1, 0, 0] = value
    path = tmp_path / "net.safetensors"
    with pytest.raises(CheckpointError, match=rf"link2.weight holds {value} at index \(2, 1, 0, 0\)"):
        save_network(network, path)
    assert not path.exists()


def test_only_float32_is_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"link1.weight is torch.float64, expected torch.float32"):
        save_network(conv_network(0), tmp_path / "net.safetensors")


def refusal(path: Path) -> str:
    """The message `load_network` refuses this file with: it names the file."""
    with pytest.raises(CheckpointError) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.safetensors")
    assert "not a safetensors file" in refusal(tmp_path)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "net.safetensors"
    save_network(sample(), path)
    path.write_bytes(path.read_bytes()[:keep])
    assert "truncated, or not a safetensors file" in refusal(path)


def test_another_kind_of_file_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    torch.save(sample().named_parameters(), path)
    assert "not a safetensors file" in refusal(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"w": torch.ones(2)}, path)
    assert f"expected the metadata key {KEY!r}, found none" in refusal(path)
    save_file({"w": torch.ones(2)}, path, {"format": "pt"})
    assert "found format" in refusal(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "the document is [1], expected an object"),
        (100_000 * "[", "not JSON: recursion limit"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"w": torch.ones(2)}, path, {KEY: text})
    assert message in refusal(path)


def change(path: Path, how: Callable[[Tensors, dict[str, Any]], object]) -> None:
    """Save a sound network, then change its tensors or its description, in a file without the sha256 of its content:
    written by an earlier version, or by a stranger."""
    save_network(sample(), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        document = json.loads(file.metadata()[KEY])
    del document["sha256"]
    how(tensors, document)
    save_file(tensors, path, {KEY: json.dumps(document)})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda t, d: t.pop("link2.bias"), "tensor link2.bias is missing"),
        (lambda t, d: t.update(extra=torch.ones(1)), "surplus tensor extra"),
        (lambda t, d: t.update({"link3.weight": torch.ones(7, 5)}), "link3.weight is (7, 5), expected (7, 24)"),
        (lambda t, d: t.update({"link3.bias": t["link3.bias"].half()}), "link3.bias is torch.float16"),
        (lambda t, d: t["readout.weight"][2].fill_(torch.nan), "readout.weight holds nan at index (2, 0)"),
        (lambda t, d: t["link1.bias"][4].fill_(-torch.inf), "link1.bias holds -inf at index (4,)"),
        (lambda t, d: d.update(version=2), "version is 2, this program reads 1"),
        (lambda t, d: d.pop("version"), "version is None"),
        (lambda t, d: d.pop("readout"), "the document lacks readout"),
        (lambda t, d: d.update(links=[]), "links is [], expected"),
        (lambda t, d: d["links"].pop(), "surplus tensor link3.bias"),
        (
            lambda t, d: d["links"][0].update(kind="attention"),
            "links[1] has the kind 'attention', choose from conv, dense",
        ),
        (lambda t, d: d["links"].__setitem__(0, 3), "links[1] is 3, expected an object"),
        (lambda t, d: d["links"][0].pop("stride"), "links[1] lacks stride"),
        (lambda t, d: d["links"][0].update(stride=0), "links[1].stride is 0, expected greater than or equal to 1"),
        (lambda t, d: d["links"][0].update(padding=1.5), "links[1].padding is 1.5"),
        (lambda t, d: d["links"][0].update(below=[2, "8", 8]), "links[1].below[2] is '8', expected a valid integer"),
        (lambda t, d: d["links"][0].update(below=[2, 8]), "links[1].below lacks 2"),
        (
            lambda t, d: d["links"][0].update(pooling="min"),
            "links[1].pooling is 'min', expected 'none', 'average' or 'max'",
        ),
        (lambda t, d: d["links"][0].update(pool_size=1), "link1: pooling 'average' of size 1"),
        (lambda t, d: d["links"][1].update(below=[5, 6, 6]), "layer 1 is (5, 4, 4) for the link below"),
        (lambda t, d: d.update(readout=d["links"][0]), "readout"),
    ],
)
def test_damage_is_refused_by_place_and_value(
    tmp_path: Path, how: Callable[[Tensors, dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "net.safetensors"
    change(path, how)
    assert message in refusal(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float64, torch.int8])
def test_numbers_of_another_type_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "net.safetensors"
    change(path, lambda t, d: t.update({"link1.weight": t["link1.weight"].to(dtype)}))
    assert f"link1.weight is {dtype}, expected torch.float32" in refusal(path)


def test_a_layer_that_no_computer_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    change(path, lambda t, d: d["links"][0].update(below=[2, 10**6, 10**6], padding=7))
    assert "a layer has at most 16,777,216 units" in refusal(path)
    change(path, lambda t, d: d["links"][0].update(below=[2, 8, 10**12]))
    assert "links[1].below[3] is 1000000000000, expected less than or equal to" in refusal(path)


def test_every_flipped_bit_of_weights_and_wiring_is_seen(tmp_path: Path) -> None:
    """Weights stay numbers when a low bit of them flips: only the digest tells."""
    path = tmp_path / "net.safetensors"
    save_network(sample(), path)
    sound = path.read_bytes()
    start = 8 + int.from_bytes(sound[:8], "little")
    padding = re.search(rb"padding\W+\d", sound)
    assert padding is not None
    for place in [*range(start, len(sound), len(sound) // 25), padding.end() - 1]:
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        assert "damaged: the sha256 of its content is not" in refusal(path)


def test_a_file_of_an_earlier_version_has_no_digest_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    change(path, lambda t, d: None)
    assert torch.equal(load_network(path).links[0].weight, sample().links[0].weight)


def test_a_checkpoint_is_the_one_that_its_manifest_tells(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_network(sample(), path)
    manifest = manifest_path(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for content in ({"sha256": digest, "more": [1, None]}, {"sha256": None}, {}):
        manifest.write_text(json.dumps(content))
        load_network(path)
    manifest.write_text(json.dumps({"sha256": digest}))
    save_network(sample(seed=1), path)
    assert f"its manifest net.json is of {digest}: damaged, or not its own" in refusal(path)
    for text, message in [("[", "not JSON"), ("[1]", "is [1], expected an object"), ('{"sha256": 1}', "sha256 is 1")]:
        manifest.write_text(text)
        with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
            load_network(path)
        assert str(caught.value).startswith(f"{manifest}: not a manifest")
