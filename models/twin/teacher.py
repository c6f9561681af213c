"""A network that settles, as teacher of a network that does not: its answers at rest are what the student learns.

The student's cost is the cross-entropy against softmax(logits at rest) of the very images that it sees. Rest is 2 F
symmetric sweeps in the arithmetic of the student's recipe, F those of the free phase of that recipe: after F the
gradients that taught the teacher were those of the equilibrium already.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import Dataset
from models.fast.settling import Engine
from models.recipes import Recipe
from models.twin.controls import Controls
from models.zoo import load_model
from models.zoo.fit import check_form


@dataclass(frozen=True)
class Teacher:
    """A network at rest."""

    engine: Engine
    sweeps: int

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Class probabilities (B, K) of images (B, C, H, W)."""
        at = self.engine.begin(images)
        for number in range(1, self.sweeps + 1):
            at = self.engine.sweep(at, "rising", number)
        return self.engine.scores(at.states[-1]).softmax(dim=1)


def teacher_of(controls: Controls, data: Dataset, recipe: Recipe, device: str) -> Teacher | None:
    """Who teaches; nobody, where the controls name none.

    Raises:
        ValueError: neither in the zoo nor a checkpoint, of other images or classes, or without a softmax readout.
        CheckpointError: that file is missing, damaged or foreign.
    """
    if controls.teacher is None:
        return None
    network = load_model(controls.teacher)
    check_form(controls.teacher, network, recipe.data, (data.train.shape, data.classes))
    network = network.map_parameters(lambda tensor: tensor.to(device))
    return Teacher(Engine(network, recipe.engine_dtype or torch.float32), 2 * recipe.phases.free_steps)
