"""How good a network is, under the dynamics it will be deployed with: synchronous steps from zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import ImageSet
from models.ep.cudnn import exact
from models.ep.gradient import mean_cost
from models.ep.network import EPNetwork
from models.ep.relaxation import Schedule, relax

BATCH = 250
"""Images at once."""


@dataclass(frozen=True)
class Score:
    """How many images a network classifies right."""

    correct: int
    count: int
    cost: float
    """Mean cost of an image."""

    @property
    def accuracy(self) -> float:
        """Share of images classified right."""
        return self.correct / self.count


@dataclass(frozen=True, eq=False)
class Evaluation(Score):
    """The same of a network that settles, and whether it came to rest."""

    residual: Tensor
    """(N,) largest change of any state in the last step: 0 where the image has come to rest."""

    def residual_quantile(self, share: float) -> float:
        """The residual that this share of the images does not exceed."""
        return float(self.residual.quantile(share))


@torch.no_grad()
def evaluate(
    network: EPNetwork, images: ImageSet, *, steps: int, schedule: Schedule = "synchronous", batch_size: int = BATCH
) -> Evaluation:
    """Settle all images for exactly `steps` steps and compare with their labels. Everything on the same device."""

    def settle(batch: Tensor) -> tuple[Tensor, Tensor]:
        relaxed = relax(network, batch, steps=steps, schedule=schedule)
        return relaxed.states[-1], relaxed.residual

    return settled(network, images, settle, batch_size)


def settled(
    network: EPNetwork, images: ImageSet, settle: Callable[[Tensor], tuple[Tensor, Tensor]], batch_size: int
) -> Evaluation:
    """The evaluation by any way to settle a batch (B, C, H, W): to states of the last layer and residuals (B,)."""
    residuals: list[Tensor] = []

    def last(batch: Tensor) -> Tensor:
        state, residual = settle(batch)
        residuals.append(residual)
        return state

    total = score(network, images, last, batch_size)
    return Evaluation(total.correct, total.count, total.cost, torch.cat(residuals).cpu())


@exact
def score(network: EPNetwork, images: ImageSet, last: Callable[[Tensor], Tensor], batch_size: int) -> Score:
    """The score by any way from a batch of images (B, C, H, W) to states of the last layer."""
    correct, cost = 0, 0.0
    for indices in torch.arange(len(images), device=images.pixels.device).split(batch_size):
        batch, labels = images.batch(indices)
        state = last(batch)
        correct += int((network.logits(state).argmax(dim=1) == labels).sum())
        cost += float(mean_cost(network, state, labels)) * len(batch)
    return Score(correct, len(images), cost / len(images))
