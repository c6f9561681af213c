"""Attacked images in a run folder: a run that goes on shows them again, and refuses what it did not make itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.command_line import ConfigError
from bench.machines.backend import Images
from models.ep.network import EPNetwork
from models.files.tensorfile import CheckpointError, check_tensors, read_tensors, write_tensors

KEY, TOLD = "ep-hardware attack", "told"


def origin_of(name: str, network: EPNetwork, clean: Images) -> dict[str, Any]:
    """What attacked images are of: the attack, and digests of the network and of the clean images."""
    return {"attack": name, "network": weights_digest(network.named_parameters()), "clean": digest_of(clean)}


def keep(file: Path, attacked: Images, origin: dict[str, Any], told: dict[str, Any] | None = None) -> None:
    """Write them, complete or not at all, with their digest, and what else there is to tell of them."""
    document = {**origin, "images": digest_of(attacked), **({} if told is None else {TOLD: told})}
    write_tensors(file, KEY, {"images": torch.from_numpy(attacked)}, document)


def read_kept(file: Path, origin: dict[str, Any], shape: tuple[int, ...]) -> tuple[Images, dict[str, Any]]:
    """The images that `keep` wrote of the same origin, and what it told; ConfigError says what is wrong with the file,
    and what to do."""
    try:
        tensors, document = read_tensors(file, KEY)
        check_tensors(file, tensors, {"images": shape})
        attacked: Images = tensors["images"].numpy()
        told: dict[str, Any] = document.pop(TOLD, {})
        expected = {**origin, "images": digest_of(attacked)}
        differing = [name for name in {**expected, **document} if document.get(name) != expected.get(name)]
        if differing:
            raise CheckpointError(f"{file}: not the images that this run made, its {differing[0]} differs")
    except CheckpointError as error:
        raise ConfigError(f"{error}; delete it to have the images attacked anew") from error
    return attacked, told


def weights_digest(named: Mapping[str, Tensor]) -> str:
    """sha256 of the tensors of a network, in their order."""
    return digest_of(*(tensor.detach().cpu().numpy() for tensor in named.values()))


def digest_of(*arrays: Any) -> str:
    """sha256 of arrays, with their shapes and types."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
