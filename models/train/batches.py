"""The batches of one epoch: every image once, in random order, augmented as the recipe says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from models.data import ImageSet
from models.data.augment import Border, mirrored, shifted


class Augmented(Protocol):
    """What a recipe says of batches (`models.recipes.Recipe`)."""

    @property
    def batch_size(self) -> int:
        """Images of a batch."""

    @property
    def shift(self) -> int:
        """Most pixels that an image is shifted by."""

    @property
    def shift_chance(self) -> float:
        """Share of the images that are shifted."""

    @property
    def shift_border(self) -> Border:
        """What moves in."""

    @property
    def flip(self) -> bool:
        """Whether half of the images are mirrored."""

    @property
    def flip_alternates(self) -> bool:
        """Whether they are in turn, not by chance."""


def batches(
    images: ImageSet, recipe: Augmented, generator: torch.Generator, epoch: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, C, H, W) in [0, 1] and labels (B,) on the device of `images`; the last batch may be smaller.

    `generator`, on the CPU, is drawn from only when the next batch is made: code that draws from it between batches
    gets the same numbers again from the same seed.
    """
    order = torch.randperm(len(images), generator=generator).to(images.pixels.device)
    for indices in order.split(recipe.batch_size):
        batch, labels = images.batch(indices)
        if recipe.flip_alternates:
            turned = (first_turned(len(images))[indices.cpu()] + epoch) % 2 == 0
            batch = torch.where(turned.to(batch.device).view(-1, 1, 1, 1), batch.flip(3), batch)
        elif recipe.flip:
            batch = mirrored(batch, generator)
        yield shifted(batch, recipe.shift, recipe.shift_chance, generator, recipe.shift_border), labels


@cache
def first_turned(count: int) -> Tensor:
    """(count,) 1 for every image that is mirrored in odd epochs, 0 for those of even ones: the same in every run."""
    return torch.randint(0, 2, (count,), generator=torch.Generator().manual_seed(0))
