"""Trials: one attack on all images, batch after batch, each kept when it is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.command_line import ConfigError
from bench.robustness.attacks.apgd import APGD, TargetedAPGD
from bench.robustness.attacks.noise import RandomNoise
from bench.robustness.attacks.official import official
from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.square import Square
from bench.robustness.attacks.target import Attacked, Predict, Target
from bench.robustness.attacks.to_the_end import to_the_end
from bench.robustness.kept import keep, read_kept
from bench.robustness.slopes.slope import Slope
from bench.robustness.suites import (
    AUTO,
    AUTO_END,
    NOISE,
    OF,
    OFFICIAL,
    PGD_,
    SQUARE,
    SQUARE_END,
    STRONGEST,
    TARGETED,
    Trial,
)
from bench.robustness.victim import CALIBRATED_ON, Victim

BATCH = 50
"""Images that are attacked together and kept together: what a kill may cost."""
UNROLLED_BATCH = 10
"""Of gradients through every step, which keep all states."""


@dataclass(frozen=True)
class Plan:
    """What is attacked, and with what luck."""

    victim: Victim
    target: Target
    seed: int
    targets: int
    """Classes that a targeted attack goes for."""
    folder: Path
    """Where batches are kept."""
    origin: dict[str, Any]
    """Digests of the network and the images, which kept batches must be of."""
    others: Mapping[str, Victim] = field(default_factory=dict)
    """Networks whose gradients are followed too, by name."""
    slopes: dict[str, Slope] = field(default_factory=dict)
    """Gradients that were set up, by name."""

    @cached_property
    def asked(self) -> Predict:
        """Scores that steer a search by queries, set up on the first images."""
        return self.victim.asked(self.target.images[:CALIBRATED_ON])

    def slope(self, name: str) -> Slope:
        """The gradient of that name, set up on the first images by whoever asks for it first."""
        if name not in self.slopes:
            shown = self.target.images, self.target.labels
            if name.startswith(OF):
                other = self.others[name.removeprefix(OF)]
                self.slopes[name] = other.gradient(other.main, *shown)
            else:
                self.slopes[name] = self.victim.gradient(name, *shown)
        return self.slopes[name]


def carry_out(plan: Plan, trial: Trial, announce: Callable[[str], None]) -> Attacked:
    """All batches of a trial; those that are kept already are read."""
    parts: list[Attacked] = []
    size = UNROLLED_BATCH if trial.gradient in ("every step", "sum over steps") else BATCH
    for number, (_, target) in enumerate(plan.target.batches(size)):
        file = plan.folder / trial.name / f"{number:04}.safetensors"
        origin = {**plan.origin, "trial": trial.name, "seed": plan.seed, "batch": [number, size]}
        if file.exists():
            parts.append(_read(file, origin, target))
            continue
        announce(f"{trial.attack} {trial.ball}, image {number * size} of {len(plan.target.labels)}")
        if trial.attack == OFFICIAL:
            found = official(plan.victim.differentiable, target, trial.ball, plan.seed + number)
        else:
            found = _attacked(plan, trial, target, plan.seed + number)
        _keep(file, origin, found)
        parts.append(found)
    return joined(parts)


def joined(parts: list[Attacked]) -> Attacked:
    """Batches as one."""
    slopes = [part.zero_slopes for part in parts if part.zero_slopes is not None]
    return Attacked(
        torch.cat([part.images for part in parts]),
        torch.cat([part.fell for part in parts]),
        sum(part.queries for part in parts),
        sum(slopes) / len(slopes) if slopes else None,
    )


def _attacked(plan: Plan, trial: Trial, target: Target, seed: int) -> Attacked:
    ball, budget = trial.ball, trial.budget
    if trial.attack == NOISE:
        return RandomNoise(ball, budget, seed).find(target)
    if trial.attack == SQUARE:
        return Square(ball, budget, seed).find(target, plan.asked)
    if trial.attack == SQUARE_END:
        return to_the_end(target, [partial(Square(ball, budget, seed).find, asked=plan.asked)])
    assert trial.gradient is not None, "an attack by a gradient names it"
    slope = plan.slope(trial.gradient)
    if trial.attack == PGD_:
        return PGD(ball, budget, trial.starts, seed).find(target, slope)
    if trial.attack == STRONGEST:
        return PGD(ball, budget, seed=seed).strongest(target, slope)
    auto = APGD(ball, budget, seed=seed)
    if trial.attack == AUTO:
        return auto.find(target, slope)
    targeted = TargetedAPGD(ball, budget, plan.targets, seed)
    if trial.attack == AUTO_END:
        return to_the_end(target, [partial(attack.find, slope=slope) for attack in (auto, targeted)])
    assert trial.attack == TARGETED, trial.attack
    return targeted.find(target, slope)


def _keep(file: Path, origin: dict[str, Any], found: Attacked) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"fell": found.fell.int().tolist(), "queries": found.queries, "zero_slopes": found.zero_slopes}
    keep(file, found.images.cpu().numpy(), origin, told)


def _read(file: Path, origin: dict[str, Any], target: Target) -> Attacked:
    images, told = read_kept(file, origin, target.images.shape)
    fell = torch.tensor(told["fell"], device=target.labels.device) > 0
    return Attacked(torch.from_numpy(images).to(target.images), fell, told["queries"], told["zero_slopes"])


def balanced(labels: Tensor, count: int, classes: int) -> Tensor:
    """Indices of `count` images, as many of every class as can be, the first ones of each, in their order."""
    each, rest = divmod(count, classes)
    chosen: list[Tensor] = []
    for label in range(classes):
        places = (labels == label).nonzero()[:, 0]
        wanted = each + (label < rest)
        if len(places) < wanted:
            raise ConfigError(
                f"{count} images are asked for: {wanted} of class {label}, of which there are {len(places)}"
            )
        chosen.append(places[:wanted])
    return torch.cat(chosen).sort().values
