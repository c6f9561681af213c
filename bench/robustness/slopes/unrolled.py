"""Automatic differentiation through the steps of the settle: all of them, the last few, or towards several at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.robustness.free_phase import FreePhase
from bench.robustness.losses import Loss
from models.ep.adjoint import scores_of
from models.ep.network import EPNetwork
from models.ep.relaxation import States, relax, start_states


@dataclass(frozen=True)
class Differentiated:
    """Of any differentiable computation from images to scores: a twin, or a network with its feedback cut."""

    forward: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = images.detach().requires_grad_()
            scores = self.forward(leaf)
            slope = torch.autograd.grad(loss(scores).sum(), leaf)[0]
        return scores.detach(), slope


def unrolled(network: EPNetwork, steps: int) -> Differentiated:
    """Through every step of the computation that predicts."""
    return Differentiated(FreePhase(network, steps).scores)


@dataclass(frozen=True)
class Truncated:
    """Through the last `last` of `steps` synchronous steps only; the ones before count as constants."""

    network: EPNetwork
    steps: int
    last: int

    def __post_init__(self) -> None:
        if not len(self.network.links) <= self.last <= self.steps:
            raise ValueError(
                f"the last {self.last} of {self.steps} steps: fewer than {len(self.network.links)} layers of steps do "
                "not reach the image, and more than all there are not"
            )

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        start: States = start_states(self.network, images, "zero")
        if self.steps > self.last:
            with torch.no_grad():
                start = relax(self.network, images, steps=self.steps - self.last, schedule="synchronous").states

        def forward(leaf: Tensor) -> Tensor:
            settled = relax(self.network, leaf, steps=self.last, schedule="synchronous", start=start).states
            return scores_of(self.network, leaf, settled)

        return Differentiated(forward)(images, loss)


@dataclass(frozen=True)
class Summed:
    """The sum of the losses of the states at every eighth of the steps, those included that no answer is read from.

    Yang, Pang & Liu 2022 (arXiv:2306.01429): against networks whose last state hides its gradient.
    """

    network: EPNetwork
    steps: int

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = images.detach().requires_grad_()
            trace = relax(self.network, leaf, steps=self.steps, schedule="synchronous", trace=True).trace
            assert trace is not None, "a trace was asked for"
            # before the image has reached the top there is nothing to learn
            read = sorted({max(self.steps * part // 8, len(self.network.links)) for part in range(1, 9)})
            scores = [scores_of(self.network, leaf, trace[step - 1]) for step in read]
            total = torch.stack([loss(each).sum() for each in scores]).sum()
            slope = torch.autograd.grad(total, leaf)[0]
        return scores[-1].detach(), slope
