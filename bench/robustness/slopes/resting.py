"""Gradients of the state of rest itself: implicit, and as equilibrium propagation measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from bench.robustness.losses import Loss
from bench.robustness.slopes.slope import by_scores
from models.ep.adjoint import adjoint_slope, scores_of
from models.ep.gradient import switches
from models.ep.network import EPNetwork
from models.ep.relaxation import Force, relax

TOLERANCE = 1e-5
"""Of the adjoint, by its largest part: float32 knows states to 1e-7."""


@dataclass(frozen=True)
class Implicit:
    """By the adjoint at the states that `steps` synchronous steps reach (`models.ep.adjoint`)."""

    network: EPNetwork
    steps: int

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            states = relax(self.network, images, steps=self.steps, schedule="synchronous").states
            scores = scores_of(self.network, images, states)
        slopes = by_scores(loss, scores)
        return scores, adjoint_slope(self.network, images, states, slopes, tolerance=TOLERANCE)


@dataclass(frozen=True)
class Propagated:
    """Equilibrium propagation's own: (dPhi/dx at s(-beta) - dPhi/dx at s(+beta)) / 2 beta, dPhi/dx = W_1^T s_1.

    The nudge is a constant force, beta times minus the slope of the loss by the last states where the free phase ends,
    scaled to a largest part of 1, so that beta means the same for every loss and image.
    """

    network: EPNetwork
    steps: int
    beta: float

    def __post_init__(self) -> None:
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta is {self.beta}, must be above 0 and at most 1: states lie in [0, 1]")

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        network = self.network
        with torch.no_grad():
            free = relax(network, images, steps=self.steps, schedule="synchronous").states
            scores = scores_of(network, images, free)
            slopes = by_scores(loss, scores)
            pull = slopes if network.readout is None else network.readout.down(slopes)
            size = pull.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(pull.dtype).tiny)
            force = -pull / size.view(-1, *[1] * (pull.ndim - 1))
            held = switches(network, images, free)
            ends = []
            for sign in (-1.0, 1.0):
                pulled = Force(sign * self.beta * force, held)
                states = relax(network, images, steps=self.steps, start=free, nudge=pulled).states
                ends.append(network.links[0].down(states[0], held[0]))
            slope = (ends[0] - ends[1]) / (2 * self.beta) * size[:, None, None, None]
        return scores, slope


class _AtRest(torch.autograd.Function):
    """Scores at rest of images, with the implicit slope."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, network: EPNetwork, steps: int) -> Tensor:
        states = relax(network, images, steps=steps, schedule="synchronous").states
        ctx.settled = network, images, states
        return scores_of(network, images, states)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        network, images, states = ctx.settled
        return adjoint_slope(network, images, states, slopes[0], tolerance=TOLERANCE), None, None


def at_rest(network: EPNetwork, steps: int, images: Tensor) -> Tensor:
    """(B, K) scores, differentiable in the images once: what libraries of attacks go back through."""
    return cast(Tensor, _AtRest.apply(images, network, steps))
