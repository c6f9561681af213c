"""What training left beside the weights of a network: the manifest that `python -m models.train` writes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from models.data import Dataset
from models.files.checkpoint import SUFFIX, manifest_path
from models.zoo import FOLDER, zoo_names


def checkpoint_of(model: str) -> Path:
    """The file of a network of the zoo, or the file that was given."""
    return FOLDER / f"{model}{SUFFIX}" if model in zoo_names() else Path(model)


def manifest_of(model: str) -> dict[str, Any]:
    """The manifest of a network of the zoo or of a checkpoint file; ValueError names the file if there is none."""
    file = manifest_path(checkpoint_of(model))
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{model} has no manifest {str(file)!r} that names its data: give the data as --data"
        ) from None
    except ValueError as error:
        raise ValueError(f"{file}: not a manifest: {error}") from None
    return manifest


def trained_on(model: str) -> str:
    """The data set that a network was trained on."""
    return str(manifest_of(model)["data"])


def check_same(model: str, dataset: Dataset) -> None:
    """Refuse a file that is no longer what the network was trained on: its test images may have been learnt."""
    digest = manifest_of(model).get("data_sha256")
    if digest != dataset.sha256:
        raise ValueError(
            f"{dataset.name} has the sha256 {dataset.sha256}, {model} was trained on {digest}: give the data as --data"
        )


def trained_with_noise(model: str) -> bool:
    """Whether programming noise was injected while it was trained; not known of a network without a manifest."""
    if not manifest_path(checkpoint_of(model)).is_file():
        return False
    return bool(manifest_of(model)["hyperparameters"].get("weight_noise"))


def fingerprint(model: str) -> str:
    """sha256 of the checkpoint."""
    return hashlib.sha256(checkpoint_of(model).read_bytes()).hexdigest()
