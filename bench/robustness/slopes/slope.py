"""What an attack asks for."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bench.robustness.losses import Loss


class Slope(Protocol):
    """Class scores of images, and the slope of a loss by them."""

    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        """(scores (B, K), d sum(loss(scores)) / d images (B, C, H, W)), both without history."""


def by_scores(loss: Loss, scores: Tensor) -> Tensor:
    """d sum(loss(scores)) / d scores, (B, K)."""
    with torch.enable_grad():
        leaf = scores.detach().requires_grad_()
        return torch.autograd.grad(loss(leaf).sum(), leaf)[0]
