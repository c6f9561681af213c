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

from models.data import Dataset, ImageSet
from models.ep.evaluation import Evaluation, Score
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.feedback import measure_feedback
from models.ep.network import EPNetwork
from models.fast.evaluation import evaluate_as_learnt
from models.files.checkpoint import manifest_path, save_network
from models.files.digest import sha256_of
from models.files.whole import write_atomically
from models.recipes import Recipe
from models.train.checks import programs
from models.train.loop import Trained
from models.train.state import EpochRecord, describe_run

RUN = ("data", "data_sha256", "split", "images", "seed", "device")
"""What a manifest says of a run beside its hyperparameters."""
FEEDBACK_IMAGES = 500
"""Validation images that feedback is measured on."""
SHARED_BY_TWINS = (
    "layers",
    "skips",
    "optimizer",
    "learning_rates",
    "bias_rate",
    "momentum",
    "weight_decay",
    "annealed_by",
    "epochs",
    "batch_size",
    "shift",
    "shift_chance",
    "shift_border",
    "flip",
    "flip_alternates",
    "normalise",
    "whiten",
    "zero_mean",
)
"""What a feed-forward twin takes from the recipe."""
SMOOTH = ("weight_noise", "weight_limit")
"""What a smooth one takes besides."""


def make_manifest(
    trained: Trained, data: Dataset, recipe: Recipe, *, seed: int, device: str, command: str, processes: int = 1
) -> dict[str, Any]:
    """The manifest of a run as a JSON document; measures the validation and, once, the test images."""
    figures = {
        "evaluation": _dynamics(recipe),
        "validation": _settled(evaluate_as_learnt(trained.network, data.validation, recipe)),
        "test": _settled(evaluate_as_learnt(trained.network, data.test, recipe)),
        "feedback": feedback_of(trained.network, data.validation, recipe.steps),
    }
    return document(_made(trained), describe_run(data, recipe, seed, device), figures, command, processes)


def make_twin_manifest(
    trained: Trained, data: Dataset, recipe: Recipe, controls: dict[str, Any], *, seed: int, device: str, command: str
) -> dict[str, Any]:
    """The manifest of a feed-forward twin: of the recipe's hyperparameters, those that it has, and its `controls`."""
    figures = {
        "evaluation": "one pass upwards, without feedback",
        "validation": scored(evaluate_feed_forward(trained.network, data.validation)),
        "test": scored(evaluate_feed_forward(trained.network, data.test)),
    }
    run = describe_run(data, recipe, seed, device)
    shared = (*RUN, *SHARED_BY_TWINS, *(SMOOTH if controls.get("smooth") else ()))
    kept = {name: run[name] for name in shared}
    return document(_made(trained), {**kept, **controls}, figures, command)


def save_with_manifest(network: EPNetwork, checkpoint: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Write a checkpoint, and beside it its manifest with the sha256 of the file, which is returned."""
    save_network(network, checkpoint)
    return write_manifest(checkpoint, manifest)


def write_manifest(checkpoint: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest beside a checkpoint that is there, with the sha256 of the file, and return it."""
    signed = {**manifest, "sha256": sha256_of(checkpoint)}
    content = json.dumps(signed, indent=2, allow_nan=False) + "\n"
    write_atomically(manifest_path(checkpoint), content.encode())
    return signed


def feedback_of(network: EPNetwork, validation: ImageSet, steps: int) -> dict[str, Any]:
    """What `models.ep.feedback` measures on the first of the validation images, in float32."""
    return asdict(measure_feedback(network, validation.at_most(FEEDBACK_IMAGES), steps=steps))


def parameter_count(network: EPNetwork) -> int:
    """Number of trained numbers: weights and biases of all links and the readout."""
    return sum(tensor.numel() for tensor in network.named_parameters().values())


def _dynamics(recipe: Recipe) -> str:
    if recipe.engine_dtype is not None:
        return f"{recipe.steps // 2} odd-even sweeps from zero in {recipe.arithmetic}, each as two synchronous steps"
    return f"{recipe.steps} synchronous steps from zero"


def document(
    made: tuple[tuple[EpochRecord, ...], float, int],
    run: dict[str, Any],
    figures: dict[str, Any],
    command: str,
    processes: int = 1,
) -> dict[str, Any]:
    """A manifest of what was made (history, seconds, parameters) by a run of this description, with these figures."""
    history, wall_s, parameters = made
    run = dict(run)
    return {
        "command": command,
        **{name: run.pop(name) for name in RUN},
        "hyperparameters": run,
        "weights_of": f"the last epoch, {len(history)}",
        "parameters": parameters,
        **figures,
        "history": [{name: value for name, value in asdict(record).items() if name != "program"} for record in history],
        "programs": programs(history),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        "processes": processes,
        "threads": torch.get_num_threads(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 1),
    }


def _made(trained: Trained) -> tuple[tuple[EpochRecord, ...], float, int]:
    return trained.history, trained.wall_s, parameter_count(trained.network)


def scored(score: Score) -> dict[str, Any]:
    """What a manifest says of a score."""
    return {"accuracy": score.accuracy, "correct": score.correct, "count": score.count, "cost": score.cost}


def _settled(evaluation: Evaluation) -> dict[str, Any]:
    return {
        **scored(evaluation),
        "residual": {
            "median": evaluation.residual_quantile(0.5),
            "p95": evaluation.residual_quantile(0.95),
            "max": evaluation.residual_quantile(1.0),
            "share_up_to_0.01": float((evaluation.residual <= 0.01).double().mean()),
        },
    }
