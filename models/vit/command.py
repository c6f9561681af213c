"""Train a vision transformer by backpropagation:  python -m models.vit vit-cifar10 --data-dir FOLDER

Writes the checkpoint FILE.safetensors and its manifest FILE.json. A run that was stopped continues with --resume after
its last whole epoch, with the same bits. The last line of output is the manifest as one JSON document. Exit code 2 for
a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import tyro

from models.command_line import before_work
from models.controls.classifier import evaluate_classifier
from models.data import check_data, form_of, load_data
from models.train.calling import call
from models.train.checks import check_files, validation_shown, with_overrides
from models.train.manifest import document, scored, write_manifest
from models.train.options import CheckpointOptions
from models.train.place import check_place
from models.train.state import read_state
from models.vit.network import save_transformer
from models.vit.recipe import VitRecipe, vit_recipe
from models.vit.training import describe_vit, train_vit


@dataclass(frozen=True)
class VitOptions(CheckpointOptions):
    """Train a vision transformer by backpropagation. What is not given comes from the recipe."""

    recipe: Annotated[str, tyro.conf.Positional] = "vit-cifar10"
    """Name of a recipe in models/vit/recipes, or a .toml file of your own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(VitOptions, args=arguments, prog="python -m models.vit")
    return call("models.vit", arguments, options, partial(checked, options), partial(run, options))


def checked(options: VitOptions) -> VitRecipe:
    """The recipe with all options applied; ValueError names a bad option, its value and what it may be."""
    recipe = vit_recipe(options.recipe)
    check_files(options)
    check_place(options)
    recipe = with_overrides(recipe, options, ("data", "epochs", "batch_size"))
    check_data(recipe.data, options.data_dir)
    shape, classes = form_of(recipe.data)
    recipe.form((shape[0], shape[1], shape[2]), classes)
    return recipe


def run(options: VitOptions, recipe: VitRecipe, command: str) -> dict[str, Any]:
    """Load, train, write; returns the manifest."""
    with before_work():
        data = load_data(recipe.data, options.data_dir)
        described = describe_vit(data, recipe, options.seed)
        if options.resume:
            read_state(options.state, described)
    with validation_shown(recipe.epochs) as report:
        trained = train_vit(
            data, recipe, seed=options.seed, state_path=options.state, resume=options.resume, report=report
        )
    figures = {
        "evaluation": "one pass of a transformer",
        "validation": scored(evaluate_classifier(trained.network, data.validation)),
        "test": scored(evaluate_classifier(trained.network, data.test)),
    }
    parameters = sum(tensor.numel() for tensor in trained.network.parameters())
    manifest = document((trained.history, trained.wall_s, parameters), described, figures, command)
    save_transformer(trained.network, options.checkpoint)
    manifest = write_manifest(options.checkpoint, manifest)
    options.state.unlink()
    return manifest
