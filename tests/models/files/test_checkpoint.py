"""Checkpoints: what is saved comes back, and nothing else is taken for it."""

# ruff: noqa: ARG005 - each change takes the tensors and the description, and touches one of them

from __future__ import annotations

import json
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
from models.files.checkpoint import KEY, CheckpointError, load_network, save_network

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


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "is a list, expected an object")])
def test_a_damaged_description_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"w": torch.ones(2)}, path, {KEY: text})
    assert message in refusal(path)


def change(path: Path, how: Callable[[Tensors, dict[str, Any]], object]) -> None:
    """Save a sound network, then change its tensors or its description behind the back of the program."""
    save_network(sample(), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        document = json.loads(file.metadata()[KEY])
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
        (lambda t, d: d.pop("readout"), "the description has ['links', 'version']"),
        (lambda t, d: d.update(links=[]), "links is []"),
        (lambda t, d: d["links"].pop(), "surplus tensor link3.bias"),
        (lambda t, d: d["links"][0].update(kind="attention"), "link1.kind is 'attention', expected one of conv, dense"),
        (lambda t, d: d["links"].__setitem__(0, 3), "link1.kind is 3"),
        (lambda t, d: d["links"][0].pop("stride"), "link1 has the fields"),
        (lambda t, d: d["links"][0].update(stride=0), "link1.stride is 0, expected an integer from 1"),
        (lambda t, d: d["links"][0].update(padding=1.5), "link1.padding is 1.5"),
        (lambda t, d: d["links"][0].update(below=[2, "8", 8]), "link1.below is [2, '8', 8]"),
        (lambda t, d: d["links"][0].update(below=[2, 8]), "link1: conv weight (5, 2, 3, 3) does not fit"),
        (lambda t, d: d["links"][0].update(pooling="min"), "link1: pooling 'min' is none of"),
        (lambda t, d: d["links"][0].update(pool_size=1), "link1: pooling 'average' of size 1"),
        (lambda t, d: d["links"][1].update(below=[5, 6, 6]), "layer 1 is (5, 4, 4) for the link below"),
        (lambda t, d: d.update(readout=d["links"][0]), "readout.weight is (4, 7), expected (5, 2, 3, 3)"),
    ],
)
def test_damage_is_refused_by_place_and_value(
    tmp_path: Path, how: Callable[[Tensors, dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "net.safetensors"
    change(path, how)
    assert message in refusal(path)
