"""What is attacked, and what an attack brings back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.robustness.losses import lead

Predict = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to the scores (B, K) that the answer is read from; no history is kept of it."""


@dataclass(frozen=True)
class Target:
    """Clean images with their labels, and the computation that predicts."""

    predict: Predict
    images: Tensor
    """(N, C, H, W) in [0, 1]."""
    labels: Tensor
    """(N,)."""

    def __post_init__(self) -> None:
        if not len(self.images):
            return
        low, high = float(self.images.min()), float(self.images.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"images go from {low:g} to {high:g}, attacks expect them between 0 and 1")

    def part(self, chosen: Tensor) -> Target:
        """Some of the images, by index or mask."""
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def fallen(self, leads: Tensor) -> Tensor:
        """(N,) which images are given up, by how far a wrong class is ahead: a tie is wrong."""
        return leads >= 0

    @torch.no_grad()
    def wrong(self, images: Tensor) -> Tensor:
        """(N,) which of these, in place of its own, are answered wrong."""
        return self.fallen(lead(self.predict(images), self.labels))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Target]]:
        """(indices, part) of at most so many images at once."""
        for indices in torch.arange(len(self.labels), device=self.labels.device).split(size):
            yield indices, self.part(indices)


@dataclass(frozen=True)
class Attacked:
    """What an attack found."""

    images: Tensor
    """(N, C, H, W): of each image the worst that was found."""
    fell: Tensor
    """(N,) whether it is answered wrong, by the computation that predicts."""
    queries: int
    """Images shown to the network, or asked a slope of."""
    zero_slopes: float | None
    """Share of slopes that were zero everywhere; None of attacks that ask for none."""
