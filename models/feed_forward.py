"""How good a network is without feedback: one pass upwards, s_l = clip(pool(W_l * s_{l-1}) + b_l, 0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from models.cudnn import exact
from models.data import ImageSet
from models.learning import mean_cost
from models.network import EPNetwork
from models.relaxation import start_states


@dataclass(frozen=True)
class Score:
    """What `evaluate_feed_forward` found."""

    correct: int
    count: int
    cost: float
    """Mean cost of an image."""

    @property
    def accuracy(self) -> float:
        """Share of images classified right."""
        return self.correct / self.count


@exact
@torch.no_grad()
def evaluate_feed_forward(network: EPNetwork, images: ImageSet, *, batch_size: int = 500) -> Score:
    """Classify all images by one pass upwards and compare with their labels. Everything on the same device."""
    correct, cost = 0, 0.0
    for indices in torch.arange(len(images), device=images.pixels.device).split(batch_size):
        batch, labels = images.batch(indices)
        last = start_states(network, batch, "feed_forward")[-1]
        correct += int((network.logits(last).argmax(dim=1) == labels).sum())
        cost += float(mean_cost(network, last, labels)) * len(batch)
    return Score(correct, len(images), cost / len(images))
