"""Where attacked images may lie: within eps of the clean image, in the range of images."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import get_args

import torch
from torch import Tensor

from models.train.adversary import Norm, steepest

ROUNDING = 2.0**-23
"""What sums of float32 numbers up to 1 are off by at most: attacks stay so much within the ball per pixel, so that what
they return lies in it exactly."""


@dataclass(frozen=True)
class Ball:
    """Images x with |x - clean| <= eps in this norm over all pixels, and 0 <= x <= 1."""

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        if self.norm not in get_args(Norm):
            raise ValueError(f"norm {self.norm!r} is none of {', '.join(get_args(Norm))}")
        if not (isfinite(self.eps) and self.eps > 0):
            raise ValueError(f"eps is {self.eps}, must be above 0 and finite: pixels go from 0 to 1")

    def __str__(self) -> str:
        return f"{self.norm} {self.eps:g}"

    def project(self, moved: Tensor, clean: Tensor) -> Tensor:
        """The nearest image (B, C, H, W) in the ball of the same norm, then in the range."""
        change = moved - clean
        if self.norm == "Linf":
            reach = max(self.eps - ROUNDING, 0.0)
            change = change.clamp(-reach, reach)
        else:
            reach = max(self.eps - ROUNDING * change[0].numel() ** 0.5, 0.0)
            change = change * (reach / lengths(change, "L2").clamp(min=1e-30)).clamp(max=1)[:, None, None, None]
        return (clean + change).clamp(0, 1)

    def steepest(self, slope: Tensor) -> Tensor:
        """The change of norm 1 that a slope (B, C, H, W) rises along most; none where it is zero."""
        return steepest(slope, self.norm)

    def drawn(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """An image of the ball: every pixel changed by up to eps, evenly; in L2 a direction drawn evenly, and a length
        of up to eps, evenly by volume. `generator` is on the CPU."""
        if self.norm == "Linf":
            change = torch.rand(clean.shape, generator=generator) * 2 - 1
        else:
            change = torch.randn(clean.shape, generator=generator)
            change = change / lengths(change, "L2")[:, None, None, None]
            change = change * torch.rand(len(clean), 1, 1, 1, generator=generator) ** (1 / clean[0].numel())
        return self.project(clean + self.eps * change.to(clean), clean)

    def edge(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """An image at the edge of the ball in a random direction: noise of the same norm as the attack."""
        if self.norm == "Linf":
            change = torch.randint(2, clean.shape, generator=generator) * 2.0 - 1
        else:
            change = self.steepest(torch.randn(clean.shape, generator=generator))
        return self.project(clean + self.eps * change.to(clean), clean)

    def outside(self, images: Tensor, clean: Tensor) -> Tensor:
        """(B,) how far images lie beyond the ball or the range, in exact arithmetic: 0 of those within."""
        exact, start = images.double(), clean.double()
        beyond = (lengths(exact - start, self.norm) - self.eps).clamp(min=0)
        low, high = (-exact).flatten(1).amax(dim=1), (exact - 1).flatten(1).amax(dim=1)
        return torch.maximum(beyond, torch.maximum(low, high).clamp(min=0))


def lengths(change: Tensor, norm: Norm) -> Tensor:
    """(B,) norms of changes (B, C, H, W)."""
    return torch.linalg.vector_norm(change.flatten(1), 2 if norm == "L2" else inf, dim=1)
