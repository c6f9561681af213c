"""Train a network:  python -m models.train digits

Writes the checkpoint FILE.safetensors and its manifest FILE.json. While it runs, FILE.safetensors.training holds the
state of the last whole epoch: a run that was stopped goes on with --resume and gives the same weights bit for bit.
Several processes share every batch when torchrun starts them:  torchrun --nproc-per-node 2 -m models.train RECIPE. The
last line of output is the manifest as one JSON document. Exit code 2 for a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tyro

from models.command_line import before_work
from models.data import Dataset, check_data, load_data
from models.ep.gradient import Estimator
from models.recipes import Recipe, recipe_for
from models.train.adversary import AdversaryName
from models.train.calling import call
from models.train.checks import (
    as_option,
    check_options,
    note_of_programs,
    overrides,
    progress_bar,
    with_overrides,
)
from models.train.first import first_network
from models.train.loop import generator_of, train
from models.train.manifest import make_manifest, save_with_manifest
from models.train.options import TrainingOptions
from models.train.parallel import Team, team_of_torchrun
from models.train.place import check_place
from models.train.state import EpochRecord, describe_run, read_state
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
    adversary: AdversaryName | None = None
    """Attack training images with the network's own gradient: linf-fast within 8/255, by one step from a random place;
    l2-pgd within 0.5, by two."""
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

    def run_in_team(recipe: Recipe, command: str) -> dict[str, Any] | None:
        with team_of_torchrun(options.device) as (team, device):
            return run(options, recipe, command, team, device)

    return call("models.train", arguments, options, partial(checked, options), run_in_team)


def checked(options: TrainOptions) -> Recipe:
    """The recipe with all options applied; ValueError names a bad option, its value and what it may be."""
    recipe = recipe_for(options.recipe)
    check_options(options)
    check_place(options)
    if options.images is not None and options.images < 1:
        raise ValueError(f"--images is {options.images}, must be at least 1")
    recipe = apply(options, recipe)
    check_data(recipe.data, options.data_dir)
    if recipe.start is not None:
        load_model(recipe.start)
    return recipe


def apply(options: TrainOptions, recipe: Recipe) -> Recipe:
    """The recipe with the hyperparameters that were given in place of its own; it checks their values."""
    phases = overrides(options, ("beta", "estimator", "free_steps", "nudged_steps"))
    schedule = ("epochs", "batch_size", "momentum", "weight_decay", "learning_rates")
    others = ("data", "start", "shift", "feedback", "adversary", "weight_noise", "weight_limit", "weight_bits")
    try:
        changed = replace(recipe.phases, **phases)
    except ValueError as error:
        raise ValueError(as_option(str(error), phases)) from error
    compiled = recipe.compiled or options.compiled
    return with_overrides(recipe, options, (*schedule, *others), phases=changed, compiled=compiled)


def run(options: TrainOptions, recipe: Recipe, command: str, team: Team, device: str) -> dict[str, Any] | None:
    """Load, train, write; returns the manifest, to the leader of the team."""
    with before_work():
        data = seen(load_data(recipe.data, options.data_dir), options.images)
        if recipe.start is not None:
            first_network(data, recipe, None, generator_of(options.seed, epoch=0))
        if options.resume:
            read_state(options.state, describe_run(data, recipe, options.seed, device))
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
    if (note := note_of_programs(trained.history)) is not None:
        print(note, file=sys.stderr)
    manifest = make_manifest(
        trained, data, recipe, seed=options.seed, device=options.device, command=command, processes=team.size
    )
    manifest = save_with_manifest(trained.network, options.checkpoint, manifest)
    options.state.unlink()
    return manifest


def seen(data: Dataset, images: int | None) -> Dataset:
    """The data set, or a small one to try: the first so many training images, and no more of the others."""
    if images is None:
        return data
    if images > len(data.train):
        raise ValueError(f"--images is {images}, {data.name} has {len(data.train)} training images")
    validation, test = (split.at_most(images) for split in (data.validation, data.test))
    return replace(data, train=data.train.first(images), validation=validation, test=test)
