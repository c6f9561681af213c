"""What a run that was stopped needs to go on, bit for bit: one safetensors file, replaced after every epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config
from torch import Tensor

from models.data import Dataset
from models.files.provenance import this_program
from models.files.tensorfile import CheckpointError, check_tensors, read_tensors, write_tensors
from models.files.typed import STRICT, read_json
from models.recipes import Recipe

KEY = "ep-hardware training"
VERSION = 3


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch ended with."""

    epoch: int
    """From 1."""
    train_accuracy: float
    """Share of the training images classified right as they passed, by the free phase."""
    validation_accuracy: float
    """Share of the validation images classified right, under the deployed dynamics."""
    validation_cost: float
    """Their mean cost."""
    residual_p95: float | None
    """The residual that 95 % of them do not exceed at the step limit; None for a feed-forward twin, which has none."""
    accuracy_cut: float | None = None
    """Share of them classified right by one pass upwards, without feedback; None for a twin, as all below."""
    feedback: tuple[float, ...] | None = None
    """What comes from above over what comes from below at rest, in layers 1..L-1 (`models.ep.feedback`)."""
    radius: float | None = None
    """Spectral radius of the settling map at rest, its median over images."""
    radius_max: float | None = None
    """The same of the image that comes to rest most slowly."""
    program: str = field(default_factory=lambda: this_program().words)
    """Which made it."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on, besides the configuration of the run."""

    weights: Mapping[str, Tensor]
    """By the names of `EPNetwork.named_parameters`."""
    moments: Mapping[str, Mapping[str, Tensor]]
    """By the same names, what the optimizer remembers of each, by its own names for that; empty without momentum."""
    schedule: dict[str, Any]
    """State of the learning-rate schedule of every optimizer."""
    history: tuple[EpochRecord, ...]
    """One record per epoch done."""
    wall_s: float
    """Seconds spent so far."""
    running: Mapping[str, Tensor] = field(default_factory=dict)
    """What batches leave behind that is not learnt, by name: the running averages of a twin's norms."""


@with_config(STRICT)
@dataclass(frozen=True)
class _Description:
    """The document of a state."""

    version: int
    run: dict[str, Any]
    schedule: dict[str, Any]
    history: tuple[dict[str, Any], ...]
    wall_s: float


_DESCRIPTION = TypeAdapter(_Description)
# a cost may have become infinite
_HISTORY = TypeAdapter(tuple[EpochRecord, ...], config={**STRICT, "allow_inf_nan": True})


def describe_run(data: Dataset, recipe: Recipe, seed: int, device: str) -> dict[str, Any]:
    """The configuration of a run as JSON: two runs with equal ones give equal weights."""
    layers = [{**asdict(layer), "kind": type(layer).__name__} for layer in recipe.layers]
    phases = asdict(recipe.phases)
    apart = ("data", "layers", "phases", *(() if recipe.adversary is not None else ("adversary",)))
    rest = {name: value for name, value in asdict(recipe).items() if name not in apart}
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in rest.items()}
    counts = {split: len(getattr(data, split)) for split in ("train", "validation", "test")}
    return {
        "data": data.name, "data_sha256": data.sha256, "split": data.split, "images": counts,
        "seed": seed, "device": device, **lists, **phases, "layers": layers,
    }  # fmt: skip


def save_state(path: Path, state: TrainingState, run: dict[str, Any]) -> None:
    """Write the state of `run`, complete or not at all."""
    tensors = {f"weight.{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"running.{name}": tensor for name, tensor in state.running.items()}
    tensors |= {f"{key}.{name}": held for name, kept in state.moments.items() for key, held in kept.items()}
    document = {
        "version": VERSION,
        "run": run,
        "schedule": state.schedule,
        "history": [asdict(record) for record in state.history],
        "wall_s": state.wall_s,
    }
    write_tensors(path, KEY, tensors, document)


def load_state(
    path: Path, like: Mapping[str, Tensor], run: dict[str, Any], running: Mapping[str, Tensor]
) -> TrainingState:
    """Read what `save_state` wrote of the same `run`, with weights of the shapes of `like`, and running averages of
    those of `running`.

    Raises:
        CheckpointError: missing, damaged, or of another run: the message names the first setting that differs.
    """
    tensors, schedule, history, wall_s = read_state(path, run)
    keys = {name: remembered(run["optimizer"], run["momentum"], name) for name in like}
    shapes = {f"weight.{name}": tuple(tensor.shape) for name, tensor in like.items()}
    shapes |= {f"running.{name}": tuple(tensor.shape) for name, tensor in running.items()}
    for name, tensor in like.items():
        shapes |= {f"{key}.{name}": () if key == "step" else tuple(tensor.shape) for key in keys[name]}
    check_tensors(path, tensors, shapes)
    weights = {name: tensors[f"weight.{name}"] for name in like}
    moments = {name: {key: tensors[f"{key}.{name}"] for key in keys[name]} for name in like}
    averaged = {name: tensors[f"running.{name}"] for name in running}
    return TrainingState(weights, moments, schedule, history, wall_s, averaged)


def read_state(
    path: Path, run: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any], tuple[EpochRecord, ...], float]:
    """Tensors, schedule, history and seconds of a state of `run`; errors as of `load_state`."""
    tensors, document = read_tensors(path, KEY)
    if document.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {document.get('version')!r}, this program reads {VERSION}")
    try:
        described = read_json(_DESCRIPTION, json.dumps(document))
        records = [{"program": "an earlier version", **record} for record in described.history]
        history = read_json(_HISTORY, json.dumps(records))
    except ValueError as error:
        raise CheckpointError(f"{path}: the description of the run is damaged: {error}") from error
    saved = described.run
    for name in [name for name in {**run, **saved} if saved.get(name) != run.get(name)][:1]:
        raise CheckpointError(
            f"{path}: the run to resume has {name} {saved.get(name)!r}, this one {run.get(name)!r}: "
            "resume with the same, or delete the file to start anew"
        )
    return tensors, described.schedule, history, described.wall_s


def by_muon(optimizer: str, name: str) -> bool:
    """Whether Muon learns this tensor: weights of links, not biases nor the readout."""
    return optimizer == "muon" and name.endswith(".weight") and not name.startswith("readout")


def remembered(optimizer: str, momentum: float, name: str) -> tuple[str, ...]:
    """What torch's optimizer keeps of a tensor, by its own names."""
    if by_muon(optimizer, name):
        return ("momentum_buffer",)
    if optimizer != "sgd":
        return ("step", "exp_avg", "exp_avg_sq")
    return ("momentum_buffer",) if momentum else ()
