"""Augmentation: the same picture, elsewhere, and mirrored."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Border = Literal["black", "edge"]


def shifted(images: Tensor, reach: int, chance: float, generator: torch.Generator, border: Border = "black") -> Tensor:
    """Move each image, with this chance, by a whole number of pixels uniform in -reach..reach along each axis.

    Args:
        images: (B, C, H, W).
        reach: 0 leaves all images where they are.
        chance: 0 to 1.
        generator: on the CPU.
        border: what moves in from outside: 0, or the pixel of the border beside it.
    """
    if not reach:
        return images
    count, _, height, width = images.shape
    moved = torch.rand(count, generator=generator) < chance
    offsets = torch.randint(-reach, reach + 1, (2, count), generator=generator) * moved + reach
    rows, columns = offsets.to(images.device)
    # one row of indices per image: (B, 1, H, 1) and (B, 1, 1, W) pick the window out of the padded image
    batch = torch.arange(count, device=images.device).view(-1, 1, 1, 1)
    channels = torch.arange(images.shape[1], device=images.device).view(1, -1, 1, 1)
    y = (rows[:, None] + torch.arange(height, device=images.device)).view(count, 1, height, 1)
    x = (columns[:, None] + torch.arange(width, device=images.device)).view(count, 1, 1, width)
    padded = pad(images, [reach] * 4, mode="constant" if border == "black" else "replicate")
    return padded[batch, channels, y, x]


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image (B, C, H, W), or with a chance of 1/2 its mirror image; `generator` is on the CPU."""
    turned = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(turned.view(-1, 1, 1, 1), images.flip(3), images)
