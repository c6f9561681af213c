"""The batches of one epoch: every image once, in random order, augmented as the recipe says."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.data import ImageSet
from models.data.augment import mirrored, shifted
from models.recipes import Recipe


def batches(images: ImageSet, recipe: Recipe, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, C, H, W) in [0, 1] and labels (B,) on the device of `images`; the last batch may be smaller.

    `generator`, on the CPU, is drawn from only when the next batch is made: code that draws from it between batches
    gets the same numbers again from the same seed.
    """
    order = torch.randperm(len(images), generator=generator).to(images.pixels.device)
    for indices in order.split(recipe.batch_size):
        batch, labels = images.batch(indices)
        batch = mirrored(batch, generator) if recipe.flip else batch
        yield shifted(batch, recipe.shift, recipe.shift_chance, generator, recipe.shift_border), labels
