"""Checkpoints: one trained network as one safetensors file.

Tensors carry the names of `EPNetwork.named_parameters`, float32. How they are wired is JSON in the metadata:

    {"version": 1, "links": [{"kind": "conv", "weight": [16, 1, 3, 3], "below": [1, 8, 8], "stride": 1, "padding": 1,
     "pooling": "none", "pool_size": 1}, ...], "readout": {"kind": "dense", "weight": [10, 512], "below": [32, 4, 4]}}

with `"readout": null` for a network that has none, and for one with residual links the key "skips", a list of
{"source": 1, "target": 4, "link": {...}}, whose links have no bias. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, TypeAdapter, with_config
from torch import Tensor

from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork, Skip
from models.ep.pooling import PoolKind
from models.files.digest import sha256_of
from models.files.tensorfile import CheckpointError, check_numbers, check_tensors, read_tensors, write_tensors
from models.files.typed import OPEN, STRICT, read_json, read_text

SUFFIX = ".safetensors"
"""How the names of checkpoints end."""
KEY = "ep-hardware network"
VERSION = 1

__all__ = ["SUFFIX", "CheckpointError", "load_network", "manifest_path", "save_network"]


def manifest_path(checkpoint: Path) -> Path:
    """Where the manifest of a checkpoint is: NAME.json beside NAME.safetensors."""
    return checkpoint.with_suffix(".json")


def save_network(network: EPNetwork, path: Path) -> None:
    """Write `network` to `path`, complete or not at all; directories are made.

    Raises:
        CheckpointError: a tensor is not float32, or holds a NaN or an infinity.
    """
    write_tensors(path, KEY, network.named_parameters(), describe(network))


def load_network(path: Path) -> EPNetwork:
    """Read and check what `save_network` wrote: tensors on the CPU. Where a manifest lies beside it, the file must have
    the sha256 that the manifest tells.

    Raises:
        CheckpointError: the message names the file, the place in it and the value found there.
    """
    check_against_manifest(path)
    return restored(path, *read_tensors(path, KEY))


def restored(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> EPNetwork:
    """The network of named tensors and the document of `describe`, which may come from any kind of file.

    Raises:
        CheckpointError: the message names the file, the place in it and the value found there.
    """
    if document.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {document.get('version')!r}, this program reads {VERSION}")
    try:
        described = read_json(_DESCRIPTION, json.dumps(document))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    named: dict[str, _Conv | _Dense] = {f"link{number}": link for number, link in enumerate(described.links, start=1)}
    if described.readout is not None:
        named["readout"] = described.readout
    spans = {f"skip{number}": skip for number, skip in enumerate(described.skips, start=1)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, link in named.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = link.weight, link.weight[:1]
    check_numbers(path, tensors)
    check_tensors(path, tensors, shapes | {f"{name}.weight": skip.link.weight for name, skip in spans.items()})
    try:
        links = {name: _restored(name, link, tensors) for name, link in named.items()}
        readout = links.pop("readout", None)
        assert readout is None or isinstance(readout, DenseLink)
        tensors |= {f"{name}.bias": torch.zeros(skip.link.weight[0]) for name, skip in spans.items()}
        skips = [Skip(skip.source, skip.target, _restored(name, skip.link, tensors)) for name, skip in spans.items()]
        return EPNetwork(tuple(links.values()), readout, tuple(skips))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def check_against_manifest(path: Path) -> None:
    """Refuse a checkpoint whose manifest tells the sha256 of another file.

    Raises:
        CheckpointError: the message names both, or what is wrong with the manifest.
    """
    manifest = manifest_path(path)
    if not (manifest.is_file() and path.is_file()):
        return
    try:
        told = read_json(_TOLD, read_text(manifest)).sha256
        digest = sha256_of(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{manifest}: not a manifest: {error}") from error
    if told not in (None, digest):
        raise CheckpointError(
            f"{path}: has the sha256 {digest}, its manifest {manifest.name} is of {told}: damaged, or not its own"
        )


def describe(network: EPNetwork) -> dict[str, Any]:
    """The wiring of a network as a JSON document, as in the head of this file."""
    network.check_feedback("checkpoints hold networks that settle, controls hold the others")
    document = {
        "version": VERSION,
        "links": [_described(link) for link in network.links],
        "readout": None if network.readout is None else _described(network.readout),
    }
    if network.skips:
        document["skips"] = [
            {"source": skip.source, "target": skip.target, "link": _described(skip.link)} for skip in network.skips
        ]
    return document


Size = Annotated[int, Field(ge=1, le=2**31 - 1)]


@dataclass(frozen=True)
class _Conv:
    """A convolution as the document has it."""

    weight: tuple[Size, Size, Size, Size]
    below: tuple[Size, Size, Size]
    stride: Size
    padding: Annotated[int, Field(ge=0, le=2**31 - 1)]
    pooling: PoolKind
    pool_size: Size
    kind: Literal["conv"]


@dataclass(frozen=True)
class _Dense:
    weight: tuple[Size, Size]
    below: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]
    kind: Literal["dense"]


@dataclass(frozen=True)
class _Skip:
    source: int
    target: int
    link: Annotated[_Conv | _Dense, Field(discriminator="kind")]


@with_config(STRICT)
@dataclass(frozen=True)
class _Description:
    version: int
    links: Annotated[tuple[Annotated[_Conv | _Dense, Field(discriminator="kind")], ...], Field(min_length=1)]
    readout: _Dense | None
    skips: tuple[_Skip, ...] = ()


@with_config(OPEN)
@dataclass(frozen=True)
class _Told:
    sha256: str | None = None


_DESCRIPTION, _TOLD = TypeAdapter(_Description), TypeAdapter(_Told)


def _described(link: Link) -> dict[str, Any]:
    fields: dict[str, Any] = {"kind": link.kind, "weight": list(link.weight.shape), "below": list(link.below)}
    if isinstance(link, ConvLink):
        fields |= {"stride": link.stride, "padding": link.padding}
        fields |= {"pooling": link.pooling, "pool_size": link.pool_size}
    return fields


def _restored(name: str, link: _Conv | _Dense, tensors: dict[str, Tensor]) -> Link:
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    try:
        if isinstance(link, _Dense):
            return DenseLink(weight, bias, link.below)
        return ConvLink(weight, bias, link.below, link.stride, link.padding, link.pooling, link.pool_size)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
