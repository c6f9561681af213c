"""Square (Andriushchenko et al. 2020, arXiv:1912.00049): random search over squares, by scores alone, no slope.

It sees only what a machine answers, so that it runs against hardware too, and is not fooled by a hidden gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from bench.robustness.attacks.target import Attacked, Predict, Target
from bench.robustness.ball import Ball, lengths
from bench.robustness.losses import lead

FIRST_SHARE = 0.8
"""Of the pixels, in the first square."""
HALVED_AFTER = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Queries, of 10,000, after which a square has half as many pixels."""

Draw = Callable[[Tensor, Tensor, int, torch.Generator], Tensor]
"""(best so far, clean, side) to a candidate."""


@dataclass(frozen=True)
class Square:
    """At most `queries` of each image; an image that has fallen is asked no more."""

    ball: Ball
    queries: int = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise ValueError(f"{self.queries} queries, expected at least 1")

    @torch.no_grad()
    def find(self, target: Target, asked: Predict | None = None) -> Attacked:
        """Raise the lead of the wrong classes by one square after another, each kept where it does.

        Args:
            target: What is attacked.
            asked: Scores near those of the target that come sooner; whether an image has fallen is judged by its own.
        """
        scores = asked or target.predict
        generator = torch.Generator().manual_seed(self.seed)
        begin, draw = (_stripes, _square_linf) if self.ball.norm == "Linf" else (_bumps, _square_l2)
        leads = lead(target.predict(target.images), target.labels)
        fell, worst, queries = target.fallen(leads), target.images.clone(), len(leads)
        left = (~fell).nonzero()[:, 0]
        for query in range(self.queries):
            if not len(left):
                break
            clean = target.images[left]
            if query == 0:
                tried = begin(self.ball, clean, generator)
            else:
                tried = draw(self.ball, worst[left], clean, self._side(query, clean), generator)
            found = lead(scores(tried), target.labels[left])
            queries += len(left)
            better = (found > leads[left]) | (query == 0)
            worst[left[better]], leads[left[better]] = tried[better], found[better]
            suspects = left[better & (found >= 0)]
            part = target.part(suspects)
            fell[suspects] = part.fallen(leads[suspects]) if asked is None else part.wrong(worst[suspects])
            left = left[~fell[left]]
        if asked is not None:  # near scores may miss what has fallen by little: the last word has what predicts
            fell[left] = target.part(left).wrong(worst[left])
        return Attacked(worst, fell, queries, None)

    def _side(self, query: int, clean: Tensor) -> int:
        """Pixels along the square of this query."""
        passed = sum(query * 10_000 // self.queries > limit for limit in HALVED_AFTER)
        rows, columns = clean.shape[2:]
        side = max(round(sqrt(FIRST_SHARE / 2**passed * rows * columns)), 1)
        if self.ball.norm == "L2":
            side = max(side, 3) | 1
        return min(side, rows, columns)


def _signs(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.randint(2, shape, generator=generator) * 2.0 - 1).to(like)


def _corner(clean: Tensor, side: int, generator: torch.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square drawn evenly."""
    rows, columns = (
        int(torch.randint(size - side + 1, (1,), generator=generator)) for size in (clean.shape[2], clean.shape[3])
    )
    return slice(rows, rows + side), slice(columns, columns + side)


def _stripes(ball: Ball, clean: Tensor, generator: torch.Generator) -> Tensor:
    """Vertical stripes of +-eps."""
    batch, channels, _, columns = clean.shape
    return ball.project(clean + ball.eps * _signs((batch, channels, 1, columns), generator, clean), clean)


def _square_linf(ball: Ball, best: Tensor, clean: Tensor, side: int, generator: torch.Generator) -> Tensor:
    rows, columns = _corner(clean, side, generator)
    change = torch.zeros_like(clean)
    change[:, :, rows, columns] = 2 * ball.eps * _signs((*clean.shape[:2], 1, 1), generator, clean)
    return ball.project(best + change, clean)


def _bumps(ball: Ball, clean: Tensor, generator: torch.Generator) -> Tensor:
    """A grid of five by five bumps, of either sign."""
    side = max(min(clean.shape[2:]) // 5, 1)
    change = torch.zeros_like(clean)
    for row in range(0, clean.shape[2] - side + 1, side):
        for column in range(0, clean.shape[3] - side + 1, side):
            bump = _bump(side, generator).to(clean) * _signs((*clean.shape[:2], 1, 1), generator, clean)
            change[:, :, row : row + side, column : column + side] += bump
    return _stretched(ball, clean, change)


def _square_l2(ball: Ball, best: Tensor, clean: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A bump where one square is, paid for with what a second square held and what of eps is not spent."""
    change = best - clean
    first, second = _corner(clean, side, generator), _corner(clean, side, generator)
    here, there = (slice(None), slice(None), *first), (slice(None), slice(None), *second)
    both = torch.zeros_like(clean)
    both[here], both[there] = 1, 1
    unspent = (ball.eps**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp(min=0) / clean.shape[1]
    budget = (unspent + (change.square() * both).sum(dim=(2, 3), keepdim=True)).sqrt()
    old = change[here]
    old = old / (old.square().sum(dim=(2, 3), keepdim=True).sqrt() + 1e-12)
    new = old + _bump(side, generator).to(clean) * _signs((*clean.shape[:2], 1, 1), generator, clean)
    new = new / (new.square().sum(dim=(2, 3), keepdim=True).sqrt() + 1e-12) * budget
    change[there] = 0
    change[here] = new
    return _stretched(ball, clean, change)


def _stretched(ball: Ball, clean: Tensor, change: Tensor) -> Tensor:
    """The change at the length eps."""
    return ball.project(clean + change / (lengths(change, "L2")[:, None, None, None] + 1e-12) * ball.eps, clean)


def _bump(side: int, generator: torch.Generator) -> Tensor:
    """(side, side) of norm 1: a pyramid up beside one down, along either axis."""
    upper = side // 2
    if upper == 0:
        return torch.ones(side, side)
    bump = torch.cat([_pyramid(upper, side), -_pyramid(side - upper, side)])
    bump = bump / bump.norm()
    return bump.T if int(torch.randint(2, (1,), generator=generator)) else bump


def _pyramid(rows: int, columns: int) -> Tensor:
    """Of rings around the middle, at Chebyshev distance d: sum of 1 / (k + 1)^2 over k >= d; norm 1."""
    rings = max(rows, columns) // 2 + 1
    heights = torch.tensor([sum(1 / (k + 1) ** 2 for k in range(ring, rings)) for ring in range(rings)])
    down = (torch.arange(rows) - rows // 2).abs()
    across = (torch.arange(columns) - columns // 2).abs()
    pyramid = heights[torch.maximum(down[:, None], across[None, :]).clamp(max=rings - 1)]
    return pyramid / pyramid.norm()
