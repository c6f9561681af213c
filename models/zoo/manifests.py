"""What training left beside the weights of a network: the manifest that `python -m models.train` writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, with_config

from models.data import Dataset
from models.files.checkpoint import SUFFIX, manifest_path
from models.files.digest import sha256_of
from models.files.typed import OPEN, read_json, read_text
from models.zoo import FOLDER, zoo_names
from models.zoo.resistive import FOLDER as RESISTIVE
from models.zoo.resistive import resistive_names

Count = Annotated[int, Field(ge=1, le=10**9)]


@dataclass(frozen=True)
class Hyperparameters:
    """Of those of a run, what is read again."""

    steps: Count | None = None
    """None of a feed-forward twin, which does not settle."""
    weight_noise: tuple[float, ...] = ()


@dataclass(frozen=True)
class Images:
    """How many a network was shown."""

    train: Count
    validation: int
    test: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch ended with."""

    epoch: Count
    train_accuracy: Annotated[float, Field(ge=0, le=1)]
    validation_accuracy: Annotated[float, Field(ge=0, le=1)]
    residual_p95: float | None


@with_config(OPEN)
@dataclass(frozen=True)
class Manifest:
    """What every manifest says; it may say more."""

    command: str
    data: str
    """Name of the data set, or path of one's own."""
    images: Images
    device: str
    hyperparameters: Hyperparameters
    history: tuple[Epoch, ...]
    threads: Count
    date: str
    wall_s: Annotated[float, Field(ge=0)]
    data_sha256: str | None = None
    """Of a data set of one's own."""
    sha256: str | None = None
    """Of the checkpoint file; None of those made before it was told."""


MANIFEST = TypeAdapter(Manifest)
"""Reads manifests, and makes their JSON schema."""


def checkpoint_of(model: str) -> Path:
    """The file of a network of the zoo, or the file that was given."""
    if model in resistive_names():
        return RESISTIVE / f"{model}{SUFFIX}"
    return FOLDER / f"{model}{SUFFIX}" if model in zoo_names() else Path(model)


def manifest_of(model: str) -> dict[str, Any]:
    """The manifest of a network of the zoo or of a checkpoint file; ValueError names the file if there is none."""
    file = manifest_path(checkpoint_of(model))
    if not file.exists():
        raise ValueError(f"{model} has no manifest {str(file)!r} that names its data: give the data as --data")
    try:
        content = read_text(file)
        read_json(MANIFEST, content)
        manifest: dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{str(error) if str(file) in str(error) else f'{file}: not a manifest: {error}'}") from None
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
    return sha256_of(checkpoint_of(model))
