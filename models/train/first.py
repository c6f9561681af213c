"""The network that training begins with: drawn, or one that has learnt already."""

from __future__ import annotations

import torch

from models.data import Dataset
from models.ep.network import EPNetwork, build_network
from models.files.checkpoint import describe
from models.recipes import Recipe
from models.train.whitening import Preparation
from models.zoo import load_model


def first_network(
    data: Dataset, recipe: Recipe, preparation: Preparation | None, generator: torch.Generator
) -> EPNetwork:
    """The network of the recipe for pixels as it learns on them: normalised or whitened, if there is a preparation.

    Raises:
        ValueError: `recipe.start` is neither in the zoo nor a checkpoint, or has other layers than the recipe.
        CheckpointError: that file is missing, damaged or foreign.
    """
    drawn = build_network(data.train.shape, recipe.layers, data.classes, generator, recipe.skips)
    if recipe.start is None:
        return drawn
    start = load_model(recipe.start)
    here, there = describe(drawn), describe(start)
    for part, expected in here.items():
        if there.get(part) != expected:
            raise ValueError(
                f"start {recipe.start!r} has other {part} than the recipe: {there.get(part)}, not {expected}"
            )
    return start if preparation is None else start.with_parameters(preparation.unfolded(start.named_parameters()))
