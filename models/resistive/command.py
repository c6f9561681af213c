"""Train a deep resistive network:  python -m models.resistive drn-digits

Writes the checkpoint FILE.safetensors and its manifest FILE.json. While it runs, FILE.safetensors.training holds the
state of the last whole epoch: a run that was stopped goes on with --resume and gives the same weights bit for bit. The
last line of output is the manifest as one JSON document. Exit code 2 for a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from models.command_line import before_work
from models.data import Dataset, check_data, load_data
from models.files.checkpoint import manifest_path
from models.files.digest import sha256_of
from models.files.whole import write_atomically
from models.resistive.equivalent import measured
from models.resistive.files import save_resistive
from models.resistive.network import build_resistive
from models.resistive.recipe import ResistiveRecipe, resistive_recipe
from models.resistive.training import BATCH, Trained, describe_run, evaluate, parameter_count, read_state, train
from models.train.calling import call
from models.train.checks import check_files, validation_shown, with_overrides
from models.train.options import CheckpointOptions
from models.train.place import check_place

RUN = ("data", "data_sha256", "split", "images", "seed")
"""What a manifest says of a run beside its hyperparameters."""
CHANGED = ("data", "hidden", "input_gain", "learning_rates", "epochs", "batch_size", "beta", "rate_decay")


@dataclass(frozen=True)
class ResistiveOptions(CheckpointOptions):
    """Train a deep resistive network by equilibrium propagation. What is not given comes from the recipe."""

    recipe: Annotated[str, tyro.conf.Positional] = "drn-digits"
    """Name of a recipe in models/resistive/recipes, or a .toml file of your own."""
    data: str | None = None
    """Data set to learn: digits, mnist, or your own .npz file or folder of pictures."""
    hidden: tuple[int, ...] | None = None
    """Nodes of every hidden layer."""
    input_gain: float | None = None
    """Voltage of a pixel of 1."""
    learning_rates: tuple[float, ...] | None = None
    """One value per link."""
    beta: float | None = None
    """Conductance of the nudge."""
    rate_decay: float | None = None
    """Factor of the rates from epoch to epoch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(ResistiveOptions, args=arguments, prog="python -m models.resistive")
    return call("models.resistive", arguments, options, partial(checked, options), partial(run, options))


def checked(options: ResistiveOptions) -> ResistiveRecipe:
    """The recipe with all options applied; ValueError names a bad option, its value and what it may be."""
    recipe = resistive_recipe(options.recipe)
    check_files(options)
    check_place(options)
    recipe = with_overrides(recipe, options, CHANGED)
    check_data(recipe.data, options.data_dir)
    return recipe


def run(options: ResistiveOptions, recipe: ResistiveRecipe, command: str) -> dict[str, Any]:
    """Load, train, write; returns the manifest."""
    with before_work():
        data = load_data(recipe.data, options.data_dir)
        if options.resume:
            classes = int(data.train.labels.max()) + 1
            drawn = build_resistive(
                data.train.shape, recipe.hidden, classes, torch.Generator(), input_gain=recipe.input_gain
            )
            read_state(options.state, drawn, describe_run(data, recipe, options.seed))
    with validation_shown(recipe.epochs) as report:
        trained = train(data, recipe, seed=options.seed, state_path=options.state, resume=options.resume, report=report)
    shown = (data.train.batch(indices)[0] for indices in torch.arange(len(data.train)).split(BATCH))
    save_resistive(measured(trained.network, shown, recipe.sweeps), options.checkpoint)
    manifest = {**_manifest(trained, data, recipe, options.seed, command), "sha256": sha256_of(options.checkpoint)}
    content = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    write_atomically(manifest_path(options.checkpoint), content.encode())
    options.state.unlink()
    return manifest


def _manifest(trained: Trained, data: Dataset, recipe: ResistiveRecipe, seed: int, command: str) -> dict[str, Any]:
    described = describe_run(data, recipe, seed)
    return {
        "kind": "resistive",
        "command": command,
        **{name: described.pop(name) for name in RUN},
        "device": "cpu",
        "hyperparameters": described,
        "weights_of": f"the last epoch, {len(trained.history)}",
        "parameters": parameter_count(trained.network.named_parameters()),
        "evaluation": f"{recipe.sweeps} odd-even sweeps from zero",
        "validation": asdict(evaluate(trained.network, data.validation, recipe.sweeps)),
        "test": asdict(evaluate(trained.network, data.test, recipe.sweeps)),
        "history": [asdict(record) for record in trained.history],
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        "threads": torch.get_num_threads(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "wall_s": round(trained.wall_s, 1),
    }
