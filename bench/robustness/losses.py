"""What an attack makes large: losses by image, of class scores (B, K)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Loss = Callable[[Tensor], Tensor]
"""Scores (B, K) to losses (B,), one by image, differentiable."""


def crossed_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(scores)[label]."""
    return cross_entropy(scores, labels, reduction="none")


def lead(scores: Tensor, labels: Tensor) -> Tensor:
    """(B,) how far the best other class is ahead of the label: above 0, the answer is wrong."""
    others = scores.scatter(1, labels[:, None], -torch.inf)
    return others.amax(dim=1) - scores.gather(1, labels[:, None])[:, 0]


def logit_ratio(scores: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits, -(z_y - max z_other) / (z_(1) - z_(3)): blind to their scale (Croce & Hein 2020)."""
    ranked = scores.sort(dim=1, descending=True).values
    return lead(scores, labels) / (ranked[:, 0] - ranked[:, min(2, scores.shape[1] - 1)] + 1e-12)


def targeted_ratio(scores: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The same towards a class t, -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) (Croce & Hein 2020)."""
    ranked = scores.sort(dim=1, descending=True).values
    last = scores.shape[1] - 1
    spread = ranked[:, 0] - (ranked[:, min(2, last)] + ranked[:, min(3, last)]) / 2 + 1e-12
    chosen = scores.gather(1, torch.stack([targets, labels], dim=1))
    return (chosen[:, 0] - chosen[:, 1]) / spread
