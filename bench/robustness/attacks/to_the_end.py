"""Attacks that go on when an image has fallen: what other machines are to be shown, which would answer many right that
have only just fallen on the network under attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.losses import lead


@dataclass(frozen=True)
class Endless(Target):
    """Of which no image is ever given up, those neither that are answered wrong from the start."""

    def fallen(self, leads: Tensor) -> Tensor:
        """(N,) none."""
        return torch.zeros_like(leads, dtype=torch.bool)


def to_the_end(target: Target, attacks: Sequence[Callable[[Target], Attacked]]) -> Attacked:
    """Of each image what leads furthest to a wrong answer of all that these attacks find when none is given up."""
    endless = Endless(target.predict, target.images, target.labels)
    every = [attack(endless) for attack in attacks]
    with torch.no_grad():
        leads = torch.stack([lead(target.predict(found.images), target.labels) for found in every])
    furthest = leads.argmax(dim=0)
    images = torch.stack([found.images for found in every])[
        furthest, torch.arange(len(furthest), device=furthest.device)
    ]
    zeros = [found.zero_slopes for found in every if found.zero_slopes is not None]
    queries = sum(found.queries for found in every)
    return Attacked(images, target.fallen(leads.amax(dim=0)), queries, max(zeros, default=None))
