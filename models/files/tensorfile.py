"""One safetensors file: named tensors and a JSON document, written complete or not at all, checked when read.

The document lies under one key of the file's metadata. One key, because safetensors writes several in random order:
this way the same content always gives the same bytes. Its entry "sha256" is that of all else in the file
(`models.files.digest.content_sha256`), so that no flipped bit is taken for a weight; older files have none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.files.digest import content_sha256
from models.files.typed import read_json
from models.files.whole import write_atomically

DIGEST = "sha256"
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class CheckpointError(ValueError):
    """A file that does not hold what it should; the message names the file, the place and the value."""


def write_tensors(path: Path, key: str, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Write finite float32 tensors, from any device, and a JSON document under `key`."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    check_numbers(path, on_cpu)
    signed = {**document, DIGEST: _digest(on_cpu, document)}
    write_atomically(path, save(on_cpu, {key: json.dumps(signed)}))


def read_tensors(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the document of a file of this key.

    Raises:
        CheckpointError: no such file; truncated or not safetensors; another key; no JSON object under it; a tensor that
            is not float32, or holds a NaN or an infinity; a sha256 that the content does not have.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: {'not a safetensors file' if path.exists() else 'no such file'}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # cloned, because they are views of the file: it may change under them later
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: truncated, or not a safetensors file ({error})") from error
    if key not in metadata:
        names = ", ".join(sorted(metadata)) or "none"
        raise CheckpointError(f"{path}: not a file of this program: expected the metadata key {key!r}, found {names}")
    try:
        document = read_json(_OBJECT, metadata[key])
    except ValueError as error:
        raise CheckpointError(f"{path}: metadata {key!r}: {error}") from error
    check_numbers(path, tensors)
    digest = document.pop(DIGEST, None)
    if digest is not None and digest != _digest(tensors, document):
        raise CheckpointError(
            f"{path}: damaged: the sha256 of its content is not the {digest!r} that it was written with"
        )
    return tensors, document


def is_of(path: Path, key: str) -> bool:
    """Whether a file can be read and has this key; what is wrong with it else is said by whoever reads it."""
    try:
        with safe_open(path, framework="pt") as file:
            return key in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError):
        return False


def _digest(tensors: dict[str, Tensor], document: dict[str, Any]) -> str:
    return content_sha256({name: tensor.numpy() for name, tensor in tensors.items()}, document)


def check_tensors(path: Path, tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are missing, surplus or of another shape."""
    for name in sorted(shapes.keys() - tensors.keys()):
        raise CheckpointError(f"{path}: tensor {name} is missing")
    for name in sorted(tensors.keys() - shapes.keys()):
        raise CheckpointError(f"{path}: surplus tensor {name}, expected only {', '.join(shapes)}")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(f"{path}: tensor {name} is {tuple(tensors[name].shape)}, expected {shape}")


def check_numbers(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse what is not float32, and a NaN or an infinity, naming the first."""
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{path}: tensor {name} is {tensor.dtype}, expected torch.float32")
        bad = (~torch.isfinite(tensor)).nonzero()
        if len(bad):
            index = tuple(bad[0].tolist())
            raise CheckpointError(f"{path}: tensor {name} holds {float(tensor[index])} at index {index}")
