"""Adversarial training: images are attacked with the network as it is, and learnt with the labels that they had.

From a random place in the ball |d| <= radius around an image x, `steps` times

    d <- project( d + step u(g) ),      x + d clipped to [0, 1],      g = d loss / d (x + d),

u(g) the steepest direction of length 1: sign(g) in the norm Linf, g / |g|_2 in L2 (Madry et al. 2018,
arXiv:1706.06083). One step of 1.25 radii from a uniform place is "fast" adversarial training (Wong, Rice & Kolter 2020,
arXiv:2001.03994), which costs one gradient more per batch. The networks that come out are to be judged by stronger
attacks than they were trained with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Norm = Literal["L2", "Linf"]
AdversaryName = Literal["linf-fast", "l2-pgd"]


@dataclass(frozen=True)
class Adversary:
    """How images are attacked while a network learns."""

    norm: Norm
    radius: float
    """Of the ball, of pixels in [0, 1]."""
    steps: int
    step: float
    """Length of one, in the norm."""


ADVERSARIES: dict[AdversaryName, Adversary] = {
    "linf-fast": Adversary("Linf", 8 / 255, steps=1, step=1.25 * 8 / 255),
    "l2-pgd": Adversary("L2", 0.5, steps=2, step=0.5),
}
"""By the names that options and recipes have for them: the two threat models of the literature on CIFAR."""


def adversary_of(name: AdversaryName | None) -> Adversary | None:
    """The adversary of that name, nobody for None; ValueError lists those there are."""
    if name is not None and name not in ADVERSARIES:
        raise ValueError(f"adversary is {name!r}, choose from {', '.join(get_args(AdversaryName))}, or none at all")
    return None if name is None else ADVERSARIES[name]


def attacked(images: Tensor, slope: Callable[[Tensor], Tensor], adversary: Adversary, start: Tensor) -> Tensor:
    """Images (B, C, H, W) in [0, 1], moved within the ball to where the loss is larger, in [0, 1].

    Args:
        images: as they are.
        slope: from images to d loss / d images, of any scale per image.
        adversary: norm, radius and steps.
        start: where in the ball the attack begins (`start_of`), of the shape of the images.
    """
    moved = _clipped(images, start)
    for _ in range(adversary.steps):
        uphill = steepest(slope(moved), adversary.norm)
        moved = _clipped(images, _projected(moved + adversary.step * uphill - images, adversary))
    return moved


def start_of(images: Tensor, adversary: Adversary, generator: torch.Generator) -> Tensor:
    """A place in the ball for every image (B, C, H, W), uniform in its volume; `generator` is on the CPU."""
    if adversary.norm == "Linf":
        unit = 2 * torch.rand(images.shape, generator=generator) - 1
        return adversary.radius * unit.to(images.device)
    direction = torch.randn(images.shape, generator=generator).to(images.device)
    share = torch.rand(len(images), generator=generator).to(images.device) ** (1 / images[0].numel())
    return adversary.radius * share.view(-1, 1, 1, 1) * steepest(direction, "L2")


def steepest(slope: Tensor, norm: Norm) -> Tensor:
    """The change of length 1 that a slope (B, C, H, W) rises along most; none where it is zero."""
    if norm == "Linf":
        return slope.sign()
    return slope / _lengths(slope).clamp(min=torch.finfo(slope.dtype).tiny)


def _projected(move: Tensor, adversary: Adversary) -> Tensor:
    if adversary.norm == "Linf":
        return move.clamp(-adversary.radius, adversary.radius)
    return move * (adversary.radius / _lengths(move).clamp(min=adversary.radius))


def _clipped(images: Tensor, move: Tensor) -> Tensor:
    return (images + move).clamp(0, 1)


def _lengths(tensor: Tensor) -> Tensor:
    return tensor.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
