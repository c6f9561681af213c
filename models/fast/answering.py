"""Answers without waiting for the last image: every image leaves the batch when its answer can hardly change any more.

Sweeps go upwards and downwards in turn. After each one upwards an image is decided when the lead of its best class over
the second is more than `assurance` times the largest change of a score since the last one. What is left to come of a
settling that shrinks by a factor r from one to the next is r / (1 - r) of the last change, so that an assurance of
2 r / (1 - r) is safe for any two classes: 8 covers r up to 0.8. Only the scores are looked at, a few numbers per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.fast.settling import Engine, Running

PART_DECIDED = 0.25
"""Share of a batch that must be decided before the rest is moved together: moving costs about a pointwise pass."""


@dataclass(frozen=True)
class Answers:
    """Scores (B, K) where each image was decided, and after how many sweeps (B,): the limit, if it never was."""

    scores: Tensor
    sweeps: Tensor


@torch.no_grad()
def answer(engine: Engine, images: Tensor, *, limit: int, assurance: float = 8.0) -> Answers:
    """Settle images (B, C, H, W) from zero for at most `limit` sweeps each.

    Raises:
        ValueError: no sweep is allowed, or `assurance` is below 0.
    """
    if limit < 1 or not assurance >= 0:
        raise ValueError(f"limit is {limit} and assurance {assurance}, expected at least 1 sweep and at least 0")
    at = engine.begin(images)
    left = torch.arange(len(images), device=images.device)
    scores = engine.scores(at.states[-1])
    final, taken = scores.clone(), torch.full((len(images),), limit, device=images.device)
    for sweep in range(1, limit + 1):
        at = engine.sweep(at, "rising", sweep)
        if sweep == limit:
            final[left] = engine.scores(at.states[-1])
            break
        if sweep % 2 == 0:
            continue  # on its way down
        before, scores = scores, engine.scores(at.states[-1])
        if sweep == 1:
            continue  # the images have just arrived
        best = scores.topk(2, dim=1).values
        open_ = best[:, 0] - best[:, 1] <= assurance * (scores - before).abs().amax(dim=1)
        count = int(open_.sum())
        if len(left) - count < PART_DECIDED * len(left):
            continue
        final[left[~open_]], taken[left[~open_]] = scores[~open_], sweep
        if not count:
            break
        left, scores, at = left[open_], scores[open_], _part(at, open_)
    return Answers(final, taken)


def _part(at: Running, chosen: Tensor) -> Running:
    def part(tensors: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        return tuple(None if tensor is None else tensor[chosen] for tensor in tensors)

    states, drives = (tuple(tensor[chosen] for tensor in held) for held in (at.states, at.drives))
    return Running(states, part(at.switches), part(at.sums), part(at.feedback), drives)
