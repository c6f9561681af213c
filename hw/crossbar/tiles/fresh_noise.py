"""Fresh noise as what it adds to a read, without a matrix redrawn for every vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hw.crossbar.devices.device import Array
from hw.crossbar.tiles.layout import beside

Product = Callable[[Tensor, Tensor], Tensor]
"""Applies a matrix (outputs, inputs) to inputs (B, ...), giving (B, outputs, ...); of dies see `tiles.layout`."""


@dataclass(frozen=True)
class FreshNoise:
    """sigma**2 = (V x**2) (1 - lifted a(x)), in units of weight times input.

    Behind perfect wires the second factor is not there and the law exact. Behind wires, inputs driven together lift the
    lines they share, and every cell sees less of its voltage. a(x) is the mean product of two different inputs over the
    mean square of all, 1 where all are equal and 0 where one is driven alone: the law is exact for both, and its mean
    over all orders of the inputs is.
    """

    variance: Tensor
    """V (outputs, inputs): of every entry with its input driven alone."""
    lifted: Tensor | None
    """(outputs,) share of the variance that is lost with all inputs at one voltage; None behind perfect wires."""

    @staticmethod
    def of(alone: Array, together: Array, tensor: Callable[[Array], Tensor]) -> FreshNoise | None:
        """From variances (inputs, outputs) with one input driven and with all of them, made tensors by `tensor`; None
        without noise."""
        if not alone.any():
            return None
        total = alone.sum(axis=0)
        lifted = 1 - np.divide(together.sum(axis=0), total, out=np.ones_like(total), where=total > 0)
        return FreshNoise(
            tensor(alone.T),
            tensor(lifted) if lifted.any() else None,
        )

    def sigma(self, product: Product, x: Tensor, squared: Tensor) -> Tensor:
        """(B, outputs, ...) standard deviation of one read; `squared` is x**2."""
        # a convolution library may round a sum of squares to just below zero
        variance = product(squared, self.variance).clamp_(min=0)
        if self.lifted is not None:
            lifted = beside(self.lifted, variance)
            alike = _alike(product, x, squared, self.variance)
            variance = variance.mul_(1 - lifted * alike)
        return variance.sqrt_()


def drawn(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Numbers of N(0, 1), as many as `like` (B, ...) has; of several dies the images of each from its own generator, so
    that what a die draws does not depend on those beside it."""
    noise = torch.empty_like(like)
    for part, generator in zip(noise.chunk(len(generators)), generators, strict=True):
        part.normal_(generator=generator)
    return noise


def _alike(product: Product, x: Tensor, squared: Tensor, matrix: Tensor) -> Tensor:
    """a(x) (B, 1, ...): ((sum x)**2 / sum x**2 - 1) / (inputs - 1); 0 where nothing is driven."""
    inputs = matrix.shape[-1]
    every = squared.new_ones((*matrix.shape[:-2], 1, inputs))
    power = product(squared, every)
    crossed = product(x, every).square_().sub_(power)
    driven = power > 0
    return torch.where(driven, crossed / torch.where(driven, power, 1.0), 0.0) / max(inputs - 1, 1)
