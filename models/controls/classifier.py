"""Classifiers: from images to class scores in one differentiable pass, whatever is behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.data import ImageSet
from models.ep.evaluation import BATCH, Score
from models.ep.network import EPNetwork
from models.ep.relaxation import start_states
from models.zoo.fit import Reader


class Classifier(Reader, Protocol):
    """What attacks and corruptions need of a network that does not settle."""

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W) in [0, 1]; differentiable in them."""


@dataclass(frozen=True)
class FeedForward:
    """A network without feedback: one pass upwards, s_l = clip(pool(W_l * s_{l-1}) + b_l, 0, 1)."""

    network: EPNetwork

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of one image."""
        return self.network.input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.network.classes

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W) in [0, 1]."""
        return self.network.logits(start_states(self.network, images, "feed_forward")[-1])


@torch.no_grad()
def evaluate_classifier(classifier: Classifier, images: ImageSet, *, batch_size: int = BATCH) -> Score:
    """How many images it classifies right, and the mean cross-entropy."""
    correct, cost = 0, 0.0
    for indices in torch.arange(len(images)).split(batch_size):
        batch, labels = images.batch(indices)
        scores = classifier(batch)
        correct += int((scores.argmax(dim=1) == labels).sum())
        cost += float(cross_entropy(scores, labels, reduction="sum"))
    return Score(correct, len(images), cost / len(images))
