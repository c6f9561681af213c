"""Projected gradient descent (Madry et al. 2018), in L2 and Linf."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.ball import Ball
from bench.robustness.losses import crossed_entropy, lead
from bench.robustness.slopes.slope import Slope

TRAVEL = 2.5
"""Radii that all steps together go, as in the seed study (arXiv:2401.11543); libraries that go 0.67 by default find 5
to 6 points less."""


@dataclass(frozen=True)
class PGD:
    """`steps` steps of TRAVEL * eps / steps along the slope of the cross-entropy; the first start is the clean image,
    every further one is drawn from the ball."""

    ball: Ball
    steps: int = 20
    starts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.starts < 1:
            raise ValueError(f"{self.steps} steps from {self.starts} starts, expected at least 1 of each")

    def find(self, target: Target, slope: Slope) -> Attacked:
        """Attack until each image has fallen: it is looked at no more then; what is answered wrong already falls at the
        first look. What has not fallen is where the last step led."""
        worst = target.images.clone()
        fell = torch.zeros(len(worst), dtype=torch.bool, device=worst.device)
        asked = zeros = 0
        generator = torch.Generator().manual_seed(self.seed)
        for start in range(self.starts):
            left = (~fell).nonzero()[:, 0]
            if not len(left):
                break
            part = target.part(left)
            begun = part.images if start == 0 else self.ball.drawn(part.images, generator)
            worst[left], fell[left], queries, zero = self._climb(part, begun, slope)
            asked, zeros = asked + queries, zeros + zero
        return Attacked(worst, fell, asked, zeros / max(asked, 1))

    def strongest(self, target: Target, slope: Slope) -> Attacked:
        """Attack every image to the end from the clean start, those too that are answered wrong already: what is to be
        shown to other machines. The last step counts."""
        now, zeros = target.images, 0
        for _ in range(self.steps):
            _, slopes = slope(now, partial(crossed_entropy, labels=target.labels))
            zeros += count_zeros(slopes)
            now = self._stepped(now, slopes, target.images)
        asked = self.steps * len(now)
        return Attacked(now, target.wrong(now), asked + len(now), zeros / asked)

    def _climb(self, target: Target, begun: Tensor, slope: Slope) -> tuple[Tensor, Tensor, int, int]:
        """(images, fell, slopes asked for, slopes that were zero)."""
        worst, fell = begun.clone(), torch.zeros(len(begun), dtype=torch.bool, device=begun.device)
        left, now, part = torch.arange(len(begun), device=begun.device), begun, target
        asked = zeros = 0
        for _ in range(self.steps):
            scores, slopes = slope(now, partial(crossed_entropy, labels=part.labels))
            asked, zeros = asked + len(now), zeros + count_zeros(slopes)
            suspects = (lead(scores, part.labels) >= 0).nonzero()[:, 0]
            if len(suspects):
                # the slope may come from a faster arithmetic: what falls is judged by what predicts
                gone = suspects[part.part(suspects).wrong(now[suspects])]
                worst[left[gone]], fell[left[gone]] = now[gone], True
                stays = torch.ones(len(now), dtype=torch.bool, device=now.device)
                stays[gone] = False
                left, now, slopes, part = left[stays], now[stays], slopes[stays], part.part(stays)
                if not len(left):
                    return worst, fell, asked, zeros
            now = self._stepped(now, slopes, part.images)
        worst[left], fell[left] = now, part.wrong(now)
        return worst, fell, asked, zeros

    def _stepped(self, now: Tensor, slopes: Tensor, clean: Tensor) -> Tensor:
        step = TRAVEL * self.ball.eps / self.steps
        return self.ball.project(now + step * self.ball.steepest(slopes), clean)


def count_zeros(slopes: Tensor) -> int:
    """Of how many images the slope (B, C, H, W) is zero everywhere."""
    return int((slopes == 0).flatten(1).all(dim=1).sum())
