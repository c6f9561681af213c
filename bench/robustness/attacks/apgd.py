"""Auto-PGD (Croce & Hein 2020, arXiv:2003.01690, algorithm 1): PGD with momentum and a step that halves itself.

Part of the ensemble AutoAttack, which it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.robustness.attacks.pgd import count_zeros
from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.ball import Ball
from bench.robustness.losses import Loss, crossed_entropy, lead, logit_ratio, targeted_ratio
from bench.robustness.slopes.slope import Slope

MOMENTUM = 0.75
"""Share of the new step; the rest is the last one's."""
RISING = 0.75
"""Share of steps that must raise the loss between two looks for the step to stay as it is."""
FIRST_LOOK, SHORTER, LEAST = 0.22, 0.03, 0.06
"""Of all steps: until the first look, how much earlier each following one comes, and the least between two."""


@dataclass(frozen=True)
class APGD:
    """From a random start of the ball, by cross-entropy or by the ratio of logits, at most `steps` steps."""

    ball: Ball
    steps: int = 100
    ratio: bool = False
    """The loss: `losses.logit_ratio` rather than the cross-entropy."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.steps)

    def find(self, target: Target, slope: Slope) -> Attacked:
        """Attack until each image has fallen."""
        kind = logit_ratio if self.ratio else crossed_entropy
        fell = target.wrong(target.images)
        left = (~fell).nonzero()[:, 0]
        worst, asked, zeros = target.images.clone(), 0, 0
        if len(left):
            part = target.part(left)
            climb = _Climb(self.ball, part, slope, lambda chosen: partial(kind, labels=part.labels[chosen]))
            worst[left], fell[left] = climb.run(self.steps, torch.Generator().manual_seed(self.seed))
            asked, zeros = climb.asked, climb.zeros
        return Attacked(worst, fell, asked + len(fell), zeros / max(asked, 1))


@dataclass(frozen=True)
class TargetedAPGD:
    """The same towards each of the `targets` classes that score highest after the right one, one after another."""

    ball: Ball
    steps: int = 100
    targets: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.steps)
        if self.targets < 1:
            raise ValueError(f"{self.targets} targets, expected at least 1")

    def find(self, target: Target, slope: Slope) -> Attacked:
        """Attack until each image has fallen."""
        with torch.no_grad():
            scores = target.predict(target.images)
        ahead, worst = lead(scores, target.labels), target.images.clone()
        fell = target.fallen(ahead)
        ranked = scores.scatter(1, target.labels[:, None], -torch.inf).sort(dim=1, descending=True).indices
        asked = zeros = 0
        generator = torch.Generator().manual_seed(self.seed)
        for place in range(min(self.targets, scores.shape[1] - 1)):
            left = (~fell).nonzero()[:, 0]
            if not len(left):
                break
            part, towards = target.part(left), ranked[left, place]

            def loss(chosen: Tensor, part: Target = part, towards: Tensor = towards) -> Loss:
                return partial(targeted_ratio, labels=part.labels[chosen], targets=towards[chosen])

            climb = _Climb(self.ball, part, slope, loss)
            found, fell[left] = climb.run(self.steps, generator)
            with torch.no_grad():
                leads = lead(target.predict(found), part.labels)
            further = fell[left] | (leads > ahead[left])  # the last bits of scores differ from batch to batch
            worst[left[further]], ahead[left[further]] = found[further], leads[further]
            asked, zeros = asked + climb.asked, zeros + climb.zeros
        return Attacked(worst, fell, asked + len(fell), zeros / max(asked, 1))


class _Climb:
    """One run of the algorithm, of images that leave it when they fall."""

    def __init__(self, ball: Ball, target: Target, slope: Slope, loss: Callable[[Tensor], Loss]) -> None:
        self.ball, self.target, self.slope, self.loss_of = ball, target, slope, loss
        self.asked = self.zeros = 0

    def run(self, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(images (N, C, H, W) of the largest loss, fell (N,))."""
        target, ball, device = self.target, self.ball, self.target.images.device
        worst, fell = target.images.clone(), torch.zeros(len(target.labels), dtype=torch.bool, device=device)
        left = torch.arange(len(fell), device=device)
        now = before = ball.edge(target.images, generator)
        losses, slopes, gone = self._look(now, left)
        at = _Point(now, before, slopes, now, slopes, losses)
        size = torch.full((len(left), 1, 1, 1), 2 * ball.eps, device=device)
        rises, halved, last_best = torch.zeros(len(left), device=device), torch.ones_like(losses).bool(), losses
        latest, look, since = losses, max(int(FIRST_LOOK * steps), 1), 0
        for step in range(steps + 1):
            worst[left[gone]], fell[left[gone]] = at.now[gone], True
            worst[left[~gone]] = at.best[~gone]
            if bool(gone.any()):
                stays = ~gone
                left, at = left[stays], at.part(stays)
                size, rises, halved, last_best, latest = (
                    kept[stays] for kept in (size, rises, halved, last_best, latest)
                )
            if not len(left) or step == steps:
                break
            at = at.moved(ball, target.images[left], size, MOMENTUM if step else 1.0)
            losses, slopes, gone = self._look(at.now, left)
            at = at.seen(losses, slopes)
            rises, latest, since = rises + (losses > latest), losses, since + 1
            if since == look:
                flat = rises <= RISING * look
                flat |= ~halved & (last_best >= at.best_loss)
                size = torch.where(flat[:, None, None, None], size / 2, size)
                at, halved, last_best = at.back(flat), flat, at.best_loss
                look, since, rises = max(look - max(int(SHORTER * steps), 1), max(int(LEAST * steps), 1)), 0, rises * 0
        # scores of a slope that is near the truth may miss what has fallen: the last word has what predicts
        for images in (at.now, at.best):
            gone = self.target.part(left).wrong(images)
            worst[left[gone]], fell[left[gone]] = images[gone], True
        return worst, fell

    def _look(self, now: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(losses, slopes, fell) of the images that are left."""
        loss = self.loss_of(left)
        scores, slopes = self.slope(now, loss)
        self.asked, self.zeros = self.asked + len(now), self.zeros + count_zeros(slopes)
        fell = lead(scores, self.target.labels[left]) >= 0
        suspects = fell.nonzero()[:, 0]
        if len(suspects):
            fell[suspects] = self.target.part(left[suspects]).wrong(now[suspects])
        return loss(scores), slopes, fell


@dataclass(frozen=True)
class _Point:
    """Where images are, were a step ago, and were best."""

    now: Tensor
    before: Tensor
    slopes: Tensor
    best: Tensor
    best_slopes: Tensor
    best_loss: Tensor

    def part(self, chosen: Tensor) -> _Point:
        tensors = (self.now, self.before, self.slopes, self.best, self.best_slopes, self.best_loss)
        return _Point(*(tensor[chosen] for tensor in tensors))

    def moved(self, ball: Ball, clean: Tensor, size: Tensor, share: float) -> _Point:
        """A step along the slope, and on along the last step."""
        ahead = ball.project(self.now + size * ball.steepest(self.slopes), clean)
        mixed = self.now + share * (ahead - self.now) + (1 - share) * (self.now - self.before)
        return _Point(ball.project(mixed, clean), self.now, self.slopes, self.best, self.best_slopes, self.best_loss)

    def seen(self, losses: Tensor, slopes: Tensor) -> _Point:
        """What was found where they are now."""
        better = losses > self.best_loss
        wide = better[:, None, None, None]
        return _Point(
            self.now,
            self.before,
            slopes,
            torch.where(wide, self.now, self.best),
            torch.where(wide, slopes, self.best_slopes),
            torch.where(better, losses, self.best_loss),
        )

    def back(self, chosen: Tensor) -> _Point:
        """Some return to where they were best."""
        wide = chosen[:, None, None, None]
        now, slopes = torch.where(wide, self.best, self.now), torch.where(wide, self.best_slopes, self.slopes)
        return _Point(now, self.before, slopes, self.best, self.best_slopes, self.best_loss)


def _check(steps: int) -> None:
    if steps < 10:
        raise ValueError(f"{steps} steps: Auto-PGD looks back at its own steps, at least 10 are needed")
