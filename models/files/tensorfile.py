"""One safetensors file: named tensors and a JSON document, written complete or not at all, checked when read.

The document lies under one key of the file's metadata. One key, because safetensors writes several in random order:
this way the same content always gives the same bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


class CheckpointError(ValueError):
    """A file that does not hold what it should; the message names the file, the place and the value."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write through a temporary file beside `path`: a reader finds the old content or the new, never half of one.

    Raises:
        OSError: there is no room or no permission; names `path`, which is as it was.
    """
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            with part.open("r+b") as stream:
                os.fsync(stream.fileno())  # or a power cut could leave the new name with nothing behind it
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise at_file(error, path) from error


def at_file(error: OSError, path: Path) -> OSError:
    """The same error, naming `path`: what a full disk raises names no file."""
    if error.errno is None:
        return OSError(f"{path}: {error}")
    return OSError(error.errno, error.strerror, str(path))


def write_tensors(path: Path, key: str, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Write finite tensors, from any device, and a JSON document under `key`."""
    check_finite(path, tensors)
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(on_cpu, {key: json.dumps(document)}))


def read_tensors(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the document of a file of this key.

    Raises:
        CheckpointError: no such file; truncated or not safetensors; another key; no JSON object under it; a NaN or
            infinity in a tensor.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # cloned, because they are views of the file: it may change under them later
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: truncated, or not a safetensors file ({error})") from error
    if key not in metadata:
        names = ", ".join(sorted(metadata)) or "none"
        raise CheckpointError(f"{path}: not a file of this program: expected the metadata key {key!r}, found {names}")
    try:
        document = json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}: metadata {key!r} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: metadata {key!r} is a {type(document).__name__}, expected an object")
    check_finite(path, tensors)
    return tensors, document


def check_tensors(path: Path, tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are missing, surplus, of another shape or not float32."""
    for name in sorted(shapes.keys() - tensors.keys()):
        raise CheckpointError(f"{path}: tensor {name} is missing")
    for name in sorted(tensors.keys() - shapes.keys()):
        raise CheckpointError(f"{path}: surplus tensor {name}, expected only {', '.join(shapes)}")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise CheckpointError(f"{path}: tensor {name} is {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{path}: tensor {name} is {tensor.dtype}, expected torch.float32")


def check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse a NaN or an infinity, naming the first."""
    for name, tensor in tensors.items():
        bad = (~torch.isfinite(tensor)).nonzero()
        if len(bad):
            index = tuple(bad[0].tolist())
            raise CheckpointError(f"{path}: tensor {name} holds {float(tensor[index])} at index {index}")
