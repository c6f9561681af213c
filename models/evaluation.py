"""How good a network is, under the dynamics it will be deployed with: synchronous steps from zero."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import ImageSet
from models.learning import mean_cost
from models.network import EPNetwork
from models.relaxation import Schedule, relax

BATCH = 500
"""Images that settle together."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found on N images."""

    correct: int
    cost: float
    """Mean cost of an image."""
    residual: Tensor
    """(N,) largest change of any state in the last step: 0 where the image has come to rest."""

    @property
    def count(self) -> int:
        """N."""
        return len(self.residual)

    @property
    def accuracy(self) -> float:
        """Share of images classified right."""
        return self.correct / self.count

    def residual_quantile(self, share: float) -> float:
        """The residual that this share of the images does not exceed."""
        return float(self.residual.quantile(share))


@torch.no_grad()
def evaluate(
    network: EPNetwork, images: ImageSet, *, steps: int, schedule: Schedule = "synchronous", batch_size: int = BATCH
) -> Evaluation:
    """Settle all images for exactly `steps` steps and compare with their labels. Everything on the same device."""
    correct, cost, residuals = 0, 0.0, []
    for indices in torch.arange(len(images), device=images.pixels.device).split(batch_size):
        batch, labels = images.batch(indices)
        relaxed = relax(network, batch, steps=steps, schedule=schedule)
        correct += int((network.logits(relaxed.states[-1]).argmax(dim=1) == labels).sum())
        cost += float(mean_cost(network, relaxed.states[-1], labels)) * len(batch)
        residuals.append(relaxed.residual)
    return Evaluation(correct, cost / len(images), torch.cat(residuals).cpu())
