"""From scratch: a fresh network learns on the machine that will run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machines.backend import INTEGERS, ScratchLearner
from bench.records.learning_row import LearningCurve
from bench.studies.curve import learning_curve
from bench.studies.training import Material, Training
from mapping.program import Program
from mapping.quantization import quantize
from mapping.training import Change, LearningSchedule
from models.data.augment import shifted
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.recipes import Recipe
from models.resistive.equivalent import equivalent
from models.resistive.network import build_resistive
from models.resistive.recipe import resistive_recipe

DIE_LAYERS = (Dense(128, gain=0.7), Dense(10, gain=0.7))
"""Network of a die: 64-128-10 on digits, the last layer the output of a squared error."""
RESISTIVE_RECIPE = "drn-digits"
"""Whose wiring resistors start with."""
INTEGER_HEADROOM_BITS = 3
"""Bits that the weights of a program start below their range."""
CALIBRATION_IMAGES = 256


def scratch_curve(
    learner: ScratchLearner,
    recipe: Recipe,
    schedule: LearningSchedule,
    material: Material,
    steps: int,
    keep: Path,
    advance: Callable[[], None],
) -> LearningCurve:
    """A machine learns from weights of its own; what it learns goes into the file `keep`."""
    source = NETWORKS[learner.network](recipe, material, learner.seed)
    held: EPNetwork | Program = source
    if learner.key.precision in INTEGERS:
        calibration = torch.as_tensor(material.train.images[:CALIBRATION_IMAGES])
        held = quantize(source, calibration, steps=steps, headroom_bits=INTEGER_HEADROOM_BITS)
    augment = _shifts(recipe) if learner.network == "recipe" else None
    with learner.open(held) as machine:
        return learning_curve(
            machine,
            held,
            Training(material, schedule, learner.seed, augment),
            keep,
            refresh=lambda: learner.refresh(machine),
            effort=learner.effort,
            advance=advance,
        )


def links_of(learner: ScratchLearner, recipe: Recipe) -> int:
    """Links of the network that learns, readout included."""
    if learner.network == "resistive":
        return len(resistive_recipe(RESISTIVE_RECIPE).hidden) + 2
    return len(DIE_LAYERS) if learner.network == "die" else len(recipe.layers) + 1


def _recipe_network(recipe: Recipe, material: Material, seed: int) -> EPNetwork:
    return _drawn(recipe.layers, material.classes, material, seed)


def _die_network(recipe: Recipe, material: Material, seed: int) -> EPNetwork:  # noqa: ARG001
    return _drawn((*DIE_LAYERS[:-1], Dense(material.classes, gain=DIE_LAYERS[-1].gain)), None, material, seed)


def _resistive_network(recipe: Recipe, material: Material, seed: int) -> EPNetwork:  # noqa: ARG001
    shape, generator = tuple(material.train.images.shape[1:]), torch.Generator().manual_seed(seed)
    made = resistive_recipe(RESISTIVE_RECIPE)
    return equivalent(
        build_resistive(shape, made.hidden, material.classes, generator, input_gain=made.input_gain, gain=made.gain)
    )


NETWORKS: dict[str, Callable[[Recipe, Material, int], EPNetwork]] = {
    "recipe": _recipe_network,
    "die": _die_network,
    "resistive": _resistive_network,
}
"""Networks that learn from scratch: that of the recipe of the data, a small dense one that fits a few tiles, or one of
resistors."""


def _drawn(layers: tuple[Conv | Dense, ...], classes: int | None, material: Material, seed: int) -> EPNetwork:
    shape = material.train.images.shape[1:]
    return build_network(shape, layers, classes, torch.Generator().manual_seed(seed))


def _shifts(recipe: Recipe) -> Change:
    """The augmentation of a recipe."""

    def shift(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return shifted(torch.as_tensor(images), recipe.shift, recipe.shift_chance, generator).numpy()

    return shift
