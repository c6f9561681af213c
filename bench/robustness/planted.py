"""Planted examples (Zimmermann et al. 2022, arXiv:2206.13991): a test of attacks, not of networks.

The network is given a readout that surely answers one image of the ball around a clean image wrong, and random images
nearer to it right. An attack that does not find what is there for certain says nothing where it finds
nothing elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.robustness.attacks.target import Target
from bench.robustness.ball import Ball
from bench.robustness.free_phase import FreePhase
from models.ep.links import DenseLink
from models.ep.network import EPNetwork

INNER, TRIES = 30, 50
"""Random images that must be answered right, and planted ones that are tried until one is told apart from them."""
SHARE = 0.5
"""Of eps: how far from the clean image the inner ones lie at most."""


class NoRoomError(RuntimeError):
    """No image of the ball moves the last layer further than the inner ones do."""


@torch.no_grad()
def planted(
    network: EPNetwork, clean: Tensor, ball: Ball, steps: int, generator: torch.Generator
) -> tuple[EPNetwork, Tensor]:
    """(network, planted image (C, H, W)): the clean image (C, H, W) is of class 0, the planted one of class 1.

    With s the last layer and d = s(planted) - s(clean), class 1 scores <d, s - s(clean)> / |d|^2 less a threshold
    midway between what the planted image reaches, 1, and the most of the inner ones. Class 0 scores 0; two more score
    -2 and -3, without which ratios of logits are constant.

    Raises:
        NoRoomError: after so many tries.
    """
    inner_ball = Ball(ball.norm, SHARE * ball.eps)
    repeated = clean.expand(INNER, *clean.shape)
    inner = torch.cat([clean[None], inner_ball.drawn(repeated, generator)])
    free = FreePhase(network, steps)
    near = free.settle(inner)[-1].flatten(1)
    for _ in range(TRIES):
        image = ball.edge(clean[None], generator)
        far = free.settle(image)[-1].flatten(1)
        way = (far - near[:1])[0]
        size = way.square().sum()
        if size == 0:
            continue
        way = way / size
        reached = ((near - near[:1]) @ way).max()
        if reached < 1:
            threshold = (reached + 1) / 2
            bias = torch.stack([threshold * 0, -(near[0] @ way) - threshold, threshold * 0 - 2, threshold * 0 - 3])
            readout = DenseLink(torch.stack([way * 0, way, way * 0, way * 0]), bias, network.layers[-1])
            return replace(network, readout=readout), image[0]
    raise NoRoomError(f"in {TRIES} tries no image of the ball {ball} moves the last layer further than {INNER} near it")


def planted_target(network: EPNetwork, clean: Tensor, steps: int) -> Target:
    """The clean image (C, H, W) of a planted network, of class 0."""
    label = torch.zeros(1, dtype=torch.int64, device=clean.device)
    return Target(FreePhase(network, steps).forward, clean[None], label)
