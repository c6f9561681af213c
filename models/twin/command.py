"""Train the feed-forward twin of a recipe by backpropagation:  python -m models.twin hw-cifar10-small --batch-norm

The network of the recipe without feedback, for comparison: same data, augmentation, epochs and updates. Writes the
checkpoint FILE.safetensors and its manifest FILE.json; batch normalisation is folded into the weights. A twin is judged
by one pass upwards, not by settling. A run that was stopped continues with --resume after its last whole epoch, with
the same bits. The last line of output is the manifest as one JSON document. Exit code 2 for a bad option, 1 for a run
that failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from models.command_line import before_work
from models.data import check_data, load_data
from models.recipes import Recipe, recipe_for
from models.recipes.recipe import StateFormat
from models.train.adversary import AdversaryName
from models.train.calling import call
from models.train.checks import as_option, check_options, note_of_programs, validation_shown, with_overrides
from models.train.manifest import make_twin_manifest, save_with_manifest
from models.train.options import TrainingOptions
from models.train.place import check_place
from models.train.state import describe_run, read_state
from models.twin.controls import Controls
from models.twin.loop import train_twin
from models.twin.teacher import teacher_of


@dataclass(frozen=True)
class TwinOptions(TrainingOptions):
    """Train the feed-forward twin of a recipe by backpropagation. What is not given comes from the recipe."""

    output: Path | None = None
    """Checkpoint to write, ending in .safetensors; results/RECIPE-twin.safetensors if not given, with what was asked
    for in its name, as in results/RECIPE-twin-batch-norm.safetensors."""
    batch_norm: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Normalise the sums of every layer over the batch."""
    smooth: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Learn with the recipe's noise on weights, clipped as the recipe says: as smooth as what EP learns with them."""
    gaussian: float = 0.0
    """Standard deviation of noise on the pixels of every training image."""
    adversary: AdversaryName | None = None
    """Attack training images: linf-fast within 8/255, by one step from a random place; l2-pgd within 0.5, by two."""
    teacher: str | None = None
    """Network of the zoo, or .safetensors file: learn its answers at rest in place of labels."""
    arithmetic: StateFormat = "float32"
    """Compute states in it while learning; bfloat16 is twice as fast where the processor multiplies it."""

    @property
    def controls(self) -> Controls:
        """What the twin is trained with besides its recipe; ValueError names a bad option."""
        given = {field.name: getattr(self, field.name) for field in fields(Controls)}
        try:
            return Controls(**given)
        except ValueError as error:
            raise ValueError(as_option(str(error), given)) from error

    @property
    def name(self) -> str:
        """Of the checkpoint, if the options name none."""
        return f"{Path(self.recipe).stem}{self.controls.suffix}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(TwinOptions, args=arguments, prog="python -m models.twin")
    return call("models.twin", arguments, options, partial(checked, options), partial(run, options))


def checked(options: TwinOptions) -> Recipe:
    """The recipe with all options applied; ValueError names a bad option, its value and what it may be."""
    recipe = recipe_for(options.recipe)
    options.controls.check(recipe)
    check_options(options)
    check_place(options)
    recipe = with_overrides(recipe, options, ("data", "epochs", "batch_size", "learning_rates", "weight_decay"))
    check_data(recipe.data, options.data_dir)
    return recipe


def run(options: TwinOptions, recipe: Recipe, command: str) -> dict[str, Any]:
    """Load, train, write; returns the manifest."""
    with before_work():
        data = load_data(recipe.data, options.data_dir)
        teacher_of(options.controls, data, recipe, options.device)
        if options.resume:
            described = describe_run(data, recipe, options.seed, options.device)
            read_state(options.state, described | options.controls.described())
    with validation_shown(recipe.epochs) as report:
        trained = train_twin(
            data,
            recipe,
            controls=options.controls,
            seed=options.seed,
            device=options.device,
            state_path=options.state,
            resume=options.resume,
            report=report,
        )
    if (note := note_of_programs(trained.history)) is not None:
        print(note, file=sys.stderr)
    controls = options.controls.described()
    manifest = make_twin_manifest(
        trained, data, recipe, controls, seed=options.seed, device=options.device, command=command
    )
    manifest = save_with_manifest(trained.network, options.checkpoint, manifest)
    options.state.unlink()
    return manifest
