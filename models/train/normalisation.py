"""Normalised pixels without a normalising machine: what is learnt on them, as weights for pixels as they are.

A network that reads (x - m_c) / d_c in every colour c, black beyond the border, is the network that reads x with

    W = W' / d_c,      b = b' - sum_{c, i, j} W'[:, c, i, j] m_c / d_c

on its first link, exactly. Descent goes on in (W', b'), where the colours have no mean and one size; the chain rule
takes a gradient there:  dW' = (dW - m_c db) / d_c,  db' = db.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import ImageSet

DEVIATIONS = 3.0
"""Standard deviations that become 1: of Mansingh et al. 2024, arXiv:2401.11543, who divide by 3 of them."""


@dataclass(frozen=True)
class Normalisation:
    """m_c and d_c of every colour, (C,) float32."""

    mean: Tensor
    size: Tensor

    def folded(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Parameters for pixels as they are, from those for normalised pixels."""
        weight = named["link1.weight"]
        shape = _by_colour(weight, self.mean)
        raw = weight / self.size.view(shape)
        bias = named["link1.bias"] - (raw * self.mean.view(shape)).flatten(1).sum(dim=1)
        return {**named, "link1.weight": raw, "link1.bias": bias}

    def unfolded(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Parameters for normalised pixels, from those for pixels as they are."""
        raw = named["link1.weight"]
        shape = _by_colour(raw, self.mean)
        bias = named["link1.bias"] + (raw * self.mean.view(shape)).flatten(1).sum(dim=1)
        return {**named, "link1.weight": raw * self.size.view(shape), "link1.bias": bias}

    def pulled_back(self, gradient: dict[str, Tensor]) -> dict[str, Tensor]:
        """The gradient by parameters for normalised pixels, from that by those for pixels as they are."""
        weight, bias = gradient["link1.weight"], gradient["link1.bias"]
        shape = _by_colour(weight, self.mean)
        by_bias = bias.view(-1, *[1] * (weight.ndim - 1))
        return {**gradient, "link1.weight": (weight - self.mean.view(shape) * by_bias) / self.size.view(shape)}

    def to(self, device: torch.device | str) -> Normalisation:
        """The same numbers elsewhere."""
        return Normalisation(self.mean.to(device), self.size.to(device))


def normalisation_of(images: ImageSet) -> Normalisation:
    """Mean and `DEVIATIONS` standard deviations of every colour of these images."""
    means, sizes = [], []
    for colour in range(images.shape[0]):
        values, counts = _histogram(images.pixels[:, colour].flatten(), images.scale)
        mean = (counts * values).sum() / counts.sum()
        means.append(mean)
        sizes.append(DEVIATIONS * ((counts * (values - mean).square()).sum() / counts.sum()).sqrt())
        if not sizes[-1]:
            raise ValueError(f"colour {colour} is {float(mean):g} in all images: it cannot be normalised")
    return Normalisation(torch.stack(means).float(), torch.stack(sizes).float())


def _histogram(pixels: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Values, and how often each occurs: of integers one for each there can be, of floats one for each pixel."""
    if pixels.dtype == torch.uint8:
        return torch.arange(256, dtype=torch.float64) / scale, pixels.bincount(minlength=256).cpu().double()
    return pixels.cpu().double(), torch.ones(len(pixels), dtype=torch.float64)


def _by_colour(weight: Tensor, mean: Tensor) -> tuple[int, ...]:
    if weight.ndim != 4 or weight.shape[1] != len(mean):
        raise ValueError(
            f"link1.weight is {tuple(weight.shape)}: pixels of {len(mean)} colours are normalised for a convolution of "
            f"(C_above, {len(mean)}, kh, kw)"
        )
    return (1, len(mean), 1, 1)
