"""Checkpoints: one trained network as one safetensors file.

Tensors carry the names of `EPNetwork.named_parameters`, float32. How they are wired is JSON in the metadata:

    {"version": 1, "links": [{"kind": "conv", "weight": [16, 1, 3, 3], "below": [1, 8, 8], "stride": 1, "padding": 1,
     "pooling": "none", "pool_size": 1}, ...], "readout": {"kind": "dense", "weight": [10, 512], "below": [32, 4, 4]}}

with `"readout": null` for a network that has none, and for one with residual links the key "skips", a list of
{"source": 1, "target": 4, "link": {...}}, whose links have no bias. Nothing is ever unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork, Skip
from models.ep.pooling import as_pool_kind
from models.files.tensorfile import CheckpointError, check_tensors, read_tensors, write_tensors

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
    tensors = network.named_parameters()
    check_tensors(path, tensors, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    write_tensors(path, KEY, tensors, describe(network))


def load_network(path: Path) -> EPNetwork:
    """Read and check what `save_network` wrote: tensors on the CPU.

    Raises:
        CheckpointError: the message names the file, the place in it and the value found there.
    """
    return restored(path, *read_tensors(path, KEY))


def restored(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> EPNetwork:
    """The network of named tensors and the document of `describe`, which may come from any kind of file.

    Raises:
        CheckpointError: the message names the file, the place in it and the value found there.
    """
    if document.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {document.get('version')!r}, this program reads {VERSION}")
    if set(document) - {"skips"} != {"version", "links", "readout"}:
        raise CheckpointError(f"{path}: the description has {sorted(document)}, expected links, readout, version")
    skips = document.get("skips", [])
    if not isinstance(skips, list) or not all(isinstance(skip, dict) and set(skip) == _SKIP for skip in skips):
        raise CheckpointError(f"{path}: skips is {skips!r}, expected a list of objects with {', '.join(sorted(_SKIP))}")
    if not isinstance(document["links"], list) or not document["links"]:
        raise CheckpointError(f"{path}: links is {document['links']!r}, expected a list of at least one")
    described = {f"link{index}": fields for index, fields in enumerate(document["links"], start=1)}
    if document["readout"] is not None:
        described["readout"] = document["readout"]
    shapes = {}
    for name, fields in described.items():
        shape = _shape(path, name, fields)
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    for number, skip in enumerate(skips, start=1):
        shapes[f"skip{number}.weight"] = _shape(path, f"skip{number}.link", skip["link"])
        tensors[f"skip{number}.bias"] = torch.zeros(shapes[f"skip{number}.weight"][0])
        shapes[f"skip{number}.bias"] = shapes[f"skip{number}.weight"][:1]
    check_tensors(path, tensors, shapes)
    links = {name: _restored(path, name, fields, tensors) for name, fields in described.items()}
    readout = links.pop("readout", None)
    if readout is not None and not isinstance(readout, DenseLink):
        raise CheckpointError(f"{path}: readout.kind is {readout.kind!r}, expected 'dense'")
    joined = []
    for number, skip in enumerate(skips, start=1):
        ends = (skip["source"], skip["target"])
        if not all(type(end) is int for end in ends):
            raise CheckpointError(f"{path}: skip{number} joins {ends}, expected two numbers of layers")
        joined.append(Skip(*ends, _restored(path, f"skip{number}", skip["link"], tensors)))
    try:
        return EPNetwork(tuple(links.values()), readout, tuple(joined))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def describe(network: EPNetwork) -> dict[str, Any]:
    """The wiring of a network as a JSON document, as in the head of this file."""
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


_SKIP = {"source", "target", "link"}
_CONV_INTEGERS = {"stride": 1, "padding": 0, "pool_size": 1}
"""Integer fields of a conv link, and the least each may be."""
_FIELDS = {
    "conv": {"kind", "weight", "below", "pooling", *_CONV_INTEGERS},
    "dense": {"kind", "weight", "below"},
}


def _described(link: Link) -> dict[str, Any]:
    fields: dict[str, Any] = {"kind": link.kind, "weight": list(link.weight.shape), "below": list(link.below)}
    if isinstance(link, ConvLink):
        fields |= {"stride": link.stride, "padding": link.padding}
        fields |= {"pooling": link.pooling, "pool_size": link.pool_size}
    return fields


def _shape(path: Path, name: str, fields: Any) -> tuple[int, ...]:
    """The shape of the weight a link is described with, after checking the type of every field."""
    if not isinstance(fields, dict) or fields.get("kind") not in _FIELDS:
        kind = fields.get("kind") if isinstance(fields, dict) else fields
        raise CheckpointError(f"{path}: {name}.kind is {kind!r}, expected one of {', '.join(_FIELDS)}")
    expected = _FIELDS[fields["kind"]]
    if set(fields) != expected:
        raise CheckpointError(f"{path}: {name} has the fields {sorted(fields)}, expected {sorted(expected)}")
    for field in ("weight", "below"):
        sizes = fields[field]
        if not isinstance(sizes, list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
            raise CheckpointError(f"{path}: {name}.{field} is {sizes!r}, expected a list of positive integers")
    for field, least in _CONV_INTEGERS.items() if fields["kind"] == "conv" else ():
        if type(fields[field]) is not int or fields[field] < least:
            raise CheckpointError(f"{path}: {name}.{field} is {fields[field]!r}, expected an integer from {least}")
    return tuple(fields["weight"])


def _restored(path: Path, name: str, fields: dict[str, Any], tensors: dict[str, Tensor]) -> Link:
    weight, bias, below = tensors[f"{name}.weight"], tensors[f"{name}.bias"], tuple(fields["below"])
    try:
        if fields["kind"] == "dense":
            return DenseLink(weight, bias, below)
        pooling = as_pool_kind(fields["pooling"])
        return ConvLink(weight, bias, below, fields["stride"], fields["padding"], pooling, fields["pool_size"])
    except ValueError as error:
        raise CheckpointError(f"{path}: {name}: {error}") from error
