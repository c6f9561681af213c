"""The manifest beside a checkpoint: what made it, and how good it is."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.data import Dataset
from models.evaluation import Evaluation, evaluate
from models.network import EPNetwork
from models.recipes import Recipe
from models.tensorfile import write_atomically
from models.training import Trained
from models.training_state import describe_run


def manifest_path(checkpoint: Path) -> Path:
    """NAME.json beside NAME.safetensors."""
    return checkpoint.with_suffix(".json")


def make_manifest(
    trained: Trained, data: Dataset, recipe: Recipe, *, seed: int, device: str, command: str, processes: int = 1
) -> dict[str, Any]:
    """The manifest of a run as a JSON document; measures the validation and, once, the test images."""
    network = trained.network
    run = describe_run(data, recipe, seed, device)
    return {
        "command": command,
        **{name: run.pop(name) for name in ("data", "split", "images", "seed", "device")},
        "hyperparameters": run,
        "weights_of": f"the last epoch, {len(trained.history)}",
        "parameters": parameter_count(network),
        "evaluation": f"{recipe.steps} synchronous steps from zero",
        "validation": _measured(evaluate(network, data.validation, steps=recipe.steps)),
        "test": _measured(evaluate(network, data.test, steps=recipe.steps)),
        "history": [asdict(record) for record in trained.history],
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        "processes": processes,
        "threads": torch.get_num_threads(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "wall_s": round(trained.wall_s, 1),
    }


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write it as indented JSON, complete or not at all."""
    write_atomically(path, (json.dumps(manifest, indent=2) + "\n").encode())


def parameter_count(network: EPNetwork) -> int:
    """Number of trained numbers: weights and biases of all links and the readout."""
    return sum(tensor.numel() for tensor in network.named_parameters().values())


def _measured(found: Evaluation) -> dict[str, Any]:
    return {
        "accuracy": found.accuracy,
        "correct": found.correct,
        "count": found.count,
        "cost": found.cost,
        "residual": {
            "median": found.residual_quantile(0.5),
            "p95": found.residual_quantile(0.95),
            "max": found.residual_quantile(1.0),
            "share_up_to_0.01": float((found.residual <= 0.01).double().mean()),
        },
    }
