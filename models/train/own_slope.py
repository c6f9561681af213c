"""The gradient by the image that a network finds itself, on the engine: what its training images are attacked with.

Rest is the free phase of the recipe, as for the gradient by the weights, and the adjoint (`models.fast.adjoint`) takes
as many sweeps as the nudged phases: less than the price of one gradient of equilibrium propagation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.ep.energy import one_hot
from models.ep.gradient import Phases
from models.ep.network import EPNetwork
from models.fast.adjoint import engine_slope
from models.fast.settling import Engine


class OwnSlope:
    """d cross-entropy / d images of a network at rest, from images to (B, C, H, W)."""

    def __init__(self, network: EPNetwork, labels: Tensor, phases: Phases, dtype: torch.dtype) -> None:
        self.engine, self.labels, self.phases = Engine(network, dtype), labels, phases

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Scaled by the number of images, which a steepest direction does not see."""
        at, (schedule, _) = self.engine.begin(images), self.phases.schedules
        for number in range(1, self.phases.free_steps + 1):
            at = self.engine.sweep(at, schedule, number)
        scores = self.engine.scores(at.states[-1])
        wrong = scores.softmax(dim=1) - one_hot(self.labels, scores.shape[1], scores)
        return engine_slope(self.engine, at, wrong, self.phases.nudged_steps)
