"""Random changes of the same norm as an attack: what no attack may be weaker than."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.ball import Ball


@dataclass(frozen=True)
class RandomNoise:
    """The worst of `draws` changes at the edge of the ball."""

    ball: Ball
    draws: int = 10
    seed: int = 0

    @torch.no_grad()
    def find(self, target: Target) -> Attacked:
        """Ask each image until it has fallen."""
        generator = torch.Generator().manual_seed(self.seed)
        fell, worst, asked = target.wrong(target.images), target.images.clone(), len(target.labels)
        for _ in range(self.draws):
            left = (~fell).nonzero()[:, 0]
            if not len(left):
                break
            tried = self.ball.edge(target.images[left], generator)
            worst[left], fell[left] = tried, target.part(left).wrong(tried)
            asked += len(left)
        return Attacked(worst, fell, asked, None)
