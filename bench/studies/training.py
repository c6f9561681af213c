"""What is learnt from, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.machines.backend import Images
from mapping.training import Change, LearningSchedule
from models.data import ImageSet

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Images (N, C, H, W) in [0, 1] and their labels (N,)."""

    images: Images
    labels: Labels

    def first(self, count: int) -> Labelled:
        """The first so many."""
        return Labelled(self.images[:count], self.labels[:count])

    @staticmethod
    def of(images: ImageSet) -> Labelled:
        """A split of a data set."""
        return Labelled(images.floats().numpy(), images.labels.numpy())


@dataclass(frozen=True)
class Material:
    """What everything is learnt from and measured on."""

    train: Labelled
    test: Labelled
    """Never learnt from."""
    classes: int


@dataclass(frozen=True)
class Training:
    """How one machine learns from it."""

    material: Material
    schedule: LearningSchedule
    seed: int
    """Of the order of the images."""
    augment: Change | None = None
    """Changes a copy of the images before each epoch."""
