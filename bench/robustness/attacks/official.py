"""AutoAttack as its authors publish it (Croce & Hein 2020, github.com/fra31/auto-attack), where it is installed.

It is on no package registry, so that nothing here depends on it. No figure of this program is called AutoAttack but
this one's. Its ensemble keeps an image as fallen if any of four attacks brings it down once.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch

from bench.robustness.attacks.target import Attacked, Predict, Target
from bench.robustness.ball import Ball

PACKAGE = "autoattack"


def official_is_here() -> bool:
    """Whether it can be imported."""
    return find_spec(PACKAGE) is not None


def official(forward: Predict, target: Target, ball: Ball, seed: int) -> Attacked:
    """Its standard ensemble on these images; `forward` gives scores that autograd can go back through."""
    ensemble = import_module(PACKAGE).AutoAttack(
        forward, norm=ball.norm, eps=ball.eps, seed=seed, version="standard", device=target.images.device, verbose=False
    )
    found = ensemble.run_standard_evaluation(target.images, target.labels, bs=len(target.images))
    # it rounds on its way: what lies a last digit outside is no attacked image of this ball
    attacked = ball.project(torch.as_tensor(found).to(target.images), target.images)
    return Attacked(attacked, target.wrong(attacked), 0, None)
