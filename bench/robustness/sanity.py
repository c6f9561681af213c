"""Checks of the attacks themselves: what must hold if what they found is to be believed (Carlini et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.target import Target
from bench.robustness.ball import Ball
from bench.robustness.losses import crossed_entropy
from bench.robustness.planted import NoRoomError, planted, planted_target
from bench.robustness.slopes.slope import Slope
from bench.robustness.suites import FAR
from bench.robustness.victim import Settling, Victim
from models.ep.relaxation import relax

PLATEAU_STEPS, PLATEAU_STARTS = (10, 20, 100), (1, 5)
WATCHED = 10
"""Images whose gradients are compared, by every way, and whose rest is looked at."""


@dataclass(frozen=True)
class Check:
    """One of them: what was seen, and whether it is as it must be."""

    name: str
    seen: str
    passed: bool


def plateau(target: Target, slope: Slope, ball: Ball, seed: int) -> Check:
    """More steps and more starts must not find much more: within a tenth of the images."""
    budgets = [(steps, 1) for steps in PLATEAU_STEPS] + [(PLATEAU_STEPS[1], PLATEAU_STARTS[1])]
    left = {budget: 1 - share(PGD(ball, *budget, seed=seed).find(target, slope).fell) for budget in budgets}
    seen = ", ".join(f"{steps} steps x {starts}: {100 * value:.1f} %" for (steps, starts), value in left.items())
    return Check(f"more steps and starts, {ball}", seen, left[PLATEAU_STEPS[1], 1] - min(left.values()) <= 0.1)


def far(target: Target, slope: Slope, seed: int) -> Check:
    """At 64/255 in Linf fewer than 1 % may be left."""
    ball = Ball("Linf", FAR)
    left = 1 - share(PGD(ball, 40, seed=seed).find(target, slope).fell)
    return Check(f"far away, {ball}", f"{100 * left:.1f} % left", left < 0.01)


def cosines(victim: Victim, target: Target) -> Check:
    """Of every gradient with that through every step, the median over images; in no way below 0.6."""
    images, labels = target.images[:WATCHED], target.labels[:WATCHED]
    loss = partial(crossed_entropy, labels=labels)
    found = {name: victim.gradient(name, images, labels)(images, loss)[1] for name in victim.gradients()}
    truth = found["every step" if "every step" in found else victim.main].flatten(1)
    agree = {
        name: float(torch.cosine_similarity(slope.flatten(1), truth, dim=1).median()) for name, slope in found.items()
    }
    seen = ", ".join(f"{name} {value:.3f}" for name, value in agree.items())
    return Check("cosine with the gradient through every step", seen, min(agree.values()) >= 0.6)


@torch.no_grad()
def at_rest(victim: Settling, attacked: Tensor, clean: Tensor) -> Check:
    """Attacked images come to rest as clean ones do: the median change in the last step, within ten times."""
    moved = [
        float(relax(victim.network, images, steps=victim.steps, schedule="synchronous").residual.median())
        for images in (clean[:WATCHED], attacked[:WATCHED])
    ]
    seen = f"median {moved[1]:.1e} attacked, {moved[0]:.1e} clean"
    return Check("residual of attacked images", seen, moved[1] <= max(10 * moved[0], 1e-3))


def finds_planted(victim: Settling, clean: Tensor, balls: Sequence[Ball], count: int, seed: int) -> list[Check]:
    """PGD by every gradient finds every example that is surely there, for each of the balls."""
    checks = []
    for ball in balls:
        missed, tried = [], 0
        for index in range(count):
            generator = torch.Generator().manual_seed(seed * 1_000 + index)
            try:
                network, _ = planted(victim.network, clean[index], ball, victim.steps, generator)
            except NoRoomError:
                continue
            tried += 1
            hidden = Settling(network, victim.steps)
            shown = planted_target(network, clean[index], victim.steps)
            for name in hidden.gradients():
                slope = hidden.gradient(name, shown.images, shown.labels)
                if not bool(PGD(ball, seed=seed).find(shown, slope).fell):
                    missed.append(name)
        seen = f"{tried} of {count} could be planted" + (
            f", missed by {', '.join(sorted(set(missed)))}" if missed else ""
        )
        checks.append(Check(f"planted examples, {ball}", seen, not missed and tried > 0))
    return checks


def ordered(accuracies: Sequence[tuple[str, float]], images: int) -> Check:
    """Weaker attacks, which come first, leave no less; two images are a slip of the noise."""
    seen = " >= ".join(f"{name} {100 * value:.1f} %" for name, value in accuracies)
    values = [value for _, value in accuracies]
    falls = all(later <= earlier + 2 / images for earlier, later in pairwise(values))
    return Check("random noise >= black box >= white box", seen, falls)


def share(fell: Tensor) -> float:
    """Of images that fell."""
    return float(fell.double().mean())


def every_check(
    victim: Victim, target: Target, middle: tuple[Ball, Ball], plants: int, seed: int, announce: Callable[[str], None]
) -> list[Check]:
    """Those that need attacks of their own, on these few images."""
    slope = victim.gradient(victim.main, target.images, target.labels)
    announce("checks: more steps and starts")
    checks = [plateau(target, slope, ball, seed) for ball in middle]
    announce("checks: far away")
    checks.append(far(target, slope, seed))
    announce("checks: gradients")
    checks.append(cosines(victim, target))
    if isinstance(victim, Settling):
        announce("checks: planted examples")
        checks += finds_planted(victim, target.images, middle, plants, seed)
        checks.append(at_rest(victim, PGD(middle[1], seed=seed).strongest(target, slope).images, target.images))
    return checks
