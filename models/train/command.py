"""Train a network:  python -m models.train digits

Writes the checkpoint FILE.safetensors and its manifest FILE.json. While it runs, FILE.safetensors.training holds the
state of the last whole epoch: a run that was stopped goes on with --resume and gives the same weights bit for bit.
Several processes share every batch when torchrun starts them:  torchrun --nproc-per-node 2 -m models.train RECIPE. The
last line of output is the manifest as one JSON document. Exit code 2 for a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tyro

from models.data import check_data, load_data
from models.ep.gradient import Estimator
from models.files.checkpoint import manifest_path, save_network
from models.recipes import Recipe, recipe_for
from models.train.checks import check_options, how_to_go_on, made_by, overrides, progress_bar
from models.train.dial import UnsettledError
from models.train.loop import DivergedError, train
from models.train.manifest import make_manifest, write_manifest
from models.train.memory import TooLittleMemoryError
from models.train.options import TrainingOptions
from models.train.parallel import Team, team_of_torchrun
from models.train.state import EpochRecord
from models.zoo import load_model


@dataclass(frozen=True)
class TrainOptions(TrainingOptions):
    """Train a network by equilibrium propagation. What is not given comes from the recipe."""

    start: str | None = None
    """Network of the zoo, or .safetensors file, to go on from; by default all weights are drawn."""
    images: int | None = None
    """Learn from the first so many training images only, and measure on no more of the others: a try, not a result."""
    beta: float | None = None
    """Strength of the nudge."""
    estimator: Estimator | None = None
    """Which two phases the gradient compares."""
    free_steps: int | None = None
    """Odd-even sweeps of the free phase."""
    nudged_steps: int | None = None
    """Odd-even sweeps of each nudged phase."""
    momentum: float | None = None
    """Momentum of the gradient descent."""
    shift: int | None = None
    """Augmentation: shift images by up to this many pixels."""
    feedback: tuple[float, ...] | None = None
    """The dial, with the optimizer muon: what comes from above over what comes from below that layers 1..L-1 are to
    reach at rest."""
    weight_noise: tuple[float, ...] | None = None
    """Noise-aware training: standard deviation of the weights over the largest, as polynomial in |w| / max |w|."""
    weight_limit: float | None = None
    """Clip weights at so many standard deviations of their tensor after every update."""
    weight_bits: int | None = None
    """Quantization-aware training: settle with weights of so many bits."""
    compiled: bool = False
    """Make one program of the engine's gradient, which takes a C++ compiler and minutes at first. On a CPU it pays
    where nothing pools by maxima."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(TrainOptions, args=arguments, prog="python -m models.train")
    try:
        recipe = checked(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    command = made_by("models.train", arguments)
    try:
        with team_of_torchrun(options.device) as (team, device):
            manifest = run(options, recipe, command, team, device)
    except (ValueError, OSError, DivergedError, UnsettledError, TooLittleMemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(how_to_go_on(options.state, command), file=sys.stderr)
        return 130
    if manifest is not None:
        print(json.dumps(manifest))
    return 0


def checked(options: TrainOptions) -> Recipe:
    """The recipe with all options applied; ValueError names a bad option, its value and what it may be."""
    recipe = recipe_for(options.recipe)
    check_options(options)
    recipe = apply(options, recipe)
    check_data(recipe.data, options.data_dir)
    if recipe.start is not None:
        load_model(recipe.start)
    return recipe


def apply(options: TrainOptions, recipe: Recipe) -> Recipe:
    """The recipe with the hyperparameters that were given in place of its own; it checks their values."""
    phases = ("beta", "estimator", "free_steps", "nudged_steps")
    schedule = ("epochs", "batch_size", "momentum", "weight_decay", "learning_rates")
    others = ("data", "start", "shift", "feedback", "weight_noise", "weight_limit", "weight_bits")
    return replace(
        recipe,
        phases=replace(recipe.phases, **overrides(options, phases)),
        compiled=recipe.compiled or options.compiled,
        **overrides(options, (*schedule, *others)),
    )


def run(options: TrainOptions, recipe: Recipe, command: str, team: Team, device: str) -> dict[str, Any] | None:
    """Load, train, write; returns the manifest, to the leader of the team."""
    data = load_data(recipe.data, options.data_dir)
    if options.images is not None:
        seen = [split.at_most(options.images) for split in (data.validation, data.test)]
        data = replace(data, train=data.train.first(options.images), validation=seen[0], test=seen[1])
    with progress_bar() as progress:
        task = progress.add_task("training", total=recipe.epochs, status="")

        def report(record: EpochRecord) -> None:
            share = ", ".join(f"{value:.2f}" for value in record.feedback or ())
            status = (
                f"validation {record.validation_accuracy:.2%} ({record.accuracy_cut:.2%} without feedback), "
                f"residual (95 %) {record.residual_p95:.1e}, feedback {share or 'none'}, radius {record.radius:.2f}"
            )
            progress.update(task, completed=record.epoch, status=status)

        trained = train(
            data,
            recipe,
            seed=options.seed,
            device=device,
            state_path=options.state,
            resume=options.resume,
            report=report,
            team=team,
        )
    if not team.leads:
        return None
    manifest = make_manifest(
        trained, data, recipe, seed=options.seed, device=options.device, command=command, processes=team.size
    )
    save_network(trained.network, options.checkpoint)
    write_manifest(manifest_path(options.checkpoint), manifest)
    options.state.unlink()
    return manifest
