"""What a settling network answers, at a fraction of its steps: few sweeps of the engine, all steps where in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.robustness.attacks.target import Predict
from bench.robustness.losses import lead
from models.ep.network import EPNetwork
from models.fast.settling import Engine

SWEEPS = (5, 7, 9, 13, 19)
"""Of the engine, upwards last; a network that needs more is asked by all its steps."""
SAFE = 8.0
"""An answer is in doubt where its lead is less than so many times the error of a score. A lead is the difference of two
scores: the error may be 4 times what was seen."""
MOST_DOUBT = {torch.float32: 0.02, torch.bfloat16: 0.1}
"""Share of doubtful images with which so few sweeps still pay."""
NEAR = 0.01
"""Of scores that a search by queries is steered by: their largest error."""

Wrong = Callable[[Tensor, Tensor], Tensor]
"""Images and labels to (N,) which are answered wrong; a tie is wrong."""


@dataclass(frozen=True)
class Swift:
    """So many sweeps of an engine."""

    engine: Engine
    sweeps: int

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """(B, K)."""
        return self.last_two(images)[1]

    @torch.no_grad()
    def last_two(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K) a sweep before the last, and after it."""
        at = self.engine.begin(images)
        before = at
        for number in range(1, self.sweeps + 1):
            before, at = at, self.engine.sweep(at, "rising", number)
        return self.engine.scores(before.states[-1]).float(), self.engine.scores(at.states[-1]).float()


@dataclass(frozen=True)
class WithoutDoubt:
    """Answers of few sweeps; images in doubt are answered by a closer computation."""

    swift: Swift
    error: float
    """The largest of a score, over the images that it was set up on."""
    closer: Wrong

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        before, scores = self.swift.last_two(images)
        wrong, doubtful = lead(scores, labels) >= 0, self.in_doubt(before, scores, labels)
        if bool(doubtful.any()):
            wrong[doubtful] = self.closer(images[doubtful], labels[doubtful])
        return wrong

    def in_doubt(self, before: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """(B,) where the lead is within reach of the error, or of what the last sweep still changed."""
        moved = (scores - before).abs().amax(dim=1).clamp(min=self.error)
        return lead(scores, labels).abs() <= SAFE * moved


@torch.no_grad()
def wrong_by(network: EPNetwork, predict: Predict, images: Tensor, labels: Tensor) -> Wrong:
    """The same answers as `predict`, sooner where that pays, as these few images show.

    By the engine in bfloat16, what it leaves in doubt in float32, and the rest by `predict`.
    """

    def by_all_steps(shown: Tensor, answers: Tensor) -> Tensor:
        return lead(predict(shown), answers) >= 0

    truth = predict(images)
    wrong: Wrong = by_all_steps
    for dtype in (torch.float32, torch.bfloat16):
        engine = Engine(network, dtype, torch.float32)
        for sweeps in SWEEPS:
            swift = Swift(engine, sweeps)
            before, scores = swift.last_two(images)
            judge = WithoutDoubt(swift, float((scores - truth).abs().max()), wrong)
            if float(judge.in_doubt(before, scores, labels).double().mean()) <= MOST_DOUBT[dtype]:
                wrong = judge
                break
    return wrong


@torch.no_grad()
def scores_near(network: EPNetwork, predict: Predict, images: Tensor) -> Predict:
    """Scores within `NEAR` of those that `predict` gives of these few images, in float32; `predict` if none are."""
    truth = predict(images)
    engine = Engine(network, torch.float32)
    for sweeps in SWEEPS:
        swift = Swift(engine, sweeps)
        if float((swift.scores(images) - truth).abs().max()) <= NEAR:
            return swift.scores
    return predict
