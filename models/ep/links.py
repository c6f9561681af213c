"""Links: one weight tensor, used in both directions.

A link l joins layer l - 1 (below) to layer l (above) and adds to the primitive function of the network

    Phi_l(s_below, s_above) = < pool(W * s_below) + b, s_above >

from which everything follows: `up` is its derivative by s_above, `down` by s_below, `correlate` by W, `correlate_bias`
by b. For max pooling the derivative is taken at the switch, the winners of the last `up`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from models.ep.pooling import PoolKind, as_pool_kind, pool, pool_at, unpool

Shape = tuple[int, ...]
MOST_UNITS = 2**24
"""Of a layer before it is pooled, 4 million pixels of 4 channels: a network that asks for more is a damaged one."""


@dataclass(frozen=True)
class ConvLink:
    """Convolution (cross-correlation, as torch) with pooling.

    weight (C_above, C_below, kh, kw), bias (C_above,), below (C_below, H, W).
    """

    weight: Tensor
    bias: Tensor
    below: Shape
    stride: int = 1
    padding: int = 0
    pooling: PoolKind = "none"
    pool_size: int = 1

    kind: ClassVar[Literal["conv"]] = "conv"

    def __post_init__(self) -> None:
        as_pool_kind(self.pooling)
        if self.weight.ndim != 4 or len(self.below) != 3 or self.weight.shape[1] != self.below[0]:
            raise ValueError(f"conv weight {tuple(self.weight.shape)} does not fit a layer below of {self.below}")
        if self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"conv bias {tuple(self.bias.shape)}, expected {tuple(self.weight.shape[:1])}")
        if self.stride < 1 or self.padding < 0 or self.pool_size < 1:
            raise ValueError(f"stride {self.stride}, padding {self.padding}, pool size {self.pool_size} make no sense")
        if (self.pooling == "none") != (self.pool_size == 1):
            raise ValueError(
                f"pooling {self.pooling!r} of size {self.pool_size}: 'none' has size 1, all others 2 or more"
            )
        if max(prod(self.below), prod(self.summed)) > MOST_UNITS:
            raise ValueError(
                f"{self.below} through {tuple(self.weight.shape)} with padding {self.padding} "
                f"gives {self.summed}: a layer has at most {MOST_UNITS:,} units"
            )
        if min(self.above) < 1:
            raise ValueError(
                f"nothing is left above: {self.below} through {tuple(self.weight.shape)} gives {self.above}"
            )

    def __repr__(self) -> str:
        rows, columns = self.weight.shape[2:]
        pooled = f", {self.pooling} of {self.pool_size} x {self.pool_size}" if self.pool_size > 1 else ""
        geometry = f"{rows} x {columns}, stride {self.stride}, padding {self.padding}{pooled}"
        return f"conv {geometry}: {self.below} to {self.above}"

    @property
    def summed(self) -> Shape:
        """(C_above, H', W') of the convolution's sums, before pooling."""
        spatial = [
            (size + 2 * self.padding - kernel) // self.stride + 1
            for size, kernel in zip(self.below[1:], self.weight.shape[2:], strict=True)
        ]
        return (self.weight.shape[0], *spatial)

    @property
    def above(self) -> Shape:
        """(C_above, H', W') of the layer above, after pooling."""
        channels, rows, columns = self.summed
        return (channels, rows // self.pool_size, columns // self.pool_size)

    def up(self, below: Tensor, held: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """pool(W * s_below) (B, *above), without the bias, and the pooling switch: that which is held, if one is."""
        sums = F.conv2d(below, self.weight, stride=self.stride, padding=self.padding)
        if held is not None:
            return pool_at(sums, held), held
        return pool(self.pooling, self.pool_size, sums)

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """W^T * unpool(s_above) (B, *below): the exact transpose of `up` at that switch."""
        spread = self._unpool(above, switch)
        # where the stride does not divide, the transpose must be told how many border rows `up` never read
        missing = [
            (size + 2 * self.padding - kernel) % self.stride
            for size, kernel in zip(self.below[1:], self.weight.shape[2:], strict=True)
        ]
        return F.conv_transpose2d(spread, self.weight, stride=self.stride, padding=self.padding, output_padding=missing)

    def folded(self) -> ConvLink:
        """The same map with the average pool folded into the kernel: half the products for 2 x 2 windows.

        A convolution of stride s under an average over k x k windows is a convolution of stride s k whose kernel is
        the mean of the kernel at the k x k places of the window. Links of other pooling are returned as they are.
        """
        if self.pooling != "average":
            return self
        reach = self.stride * (self.pool_size - 1)
        places = [(i, j) for i in range(0, reach + 1, self.stride) for j in range(0, reach + 1, self.stride)]
        kernels = [F.pad(self.weight, (j, reach - j, i, reach - i)) for i, j in places]
        kernel = torch.stack(kernels).sum(dim=0) / len(places)
        return ConvLink(kernel, self.bias, self.below, self.stride * self.pool_size, self.padding)

    def correlate(self, below: Tensor, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """dPhi/dW summed over the batch: every weight sees only the two states it joins. Shape of the weight."""
        return conv2d_weight(
            below, list(self.weight.shape), self._unpool(above, switch), stride=self.stride, padding=self.padding
        )

    def correlate_bias(self, above: Tensor) -> Tensor:
        """dPhi/db summed over the batch, (C_above,)."""
        return above.sum(dim=(0, 2, 3))

    def spread_bias(self) -> Tensor:
        """The bias as it meets states (B, *above): (C_above, 1, 1)."""
        return self.bias[:, None, None]

    def _unpool(self, above: Tensor, switch: Tensor | None) -> Tensor:
        return unpool(self.pooling, self.pool_size, above, self.summed[1:], switch)


@dataclass(frozen=True)
class DenseLink:
    """All-to-all: weight (units_above, units_below), bias (units_above,); `below` of any shape is flattened."""

    weight: Tensor
    bias: Tensor
    below: Shape

    kind: ClassVar[Literal["dense"]] = "dense"

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.weight.shape[1] != prod(self.below):
            raise ValueError(f"dense weight {tuple(self.weight.shape)} does not fit a layer below of {self.below}")
        if self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"dense bias {tuple(self.bias.shape)}, expected {tuple(self.weight.shape[:1])}")

    def __repr__(self) -> str:
        return f"dense: {self.below} to {self.above}"

    @property
    def above(self) -> Shape:
        """(units_above,)."""
        return (self.weight.shape[0],)

    def up(self, below: Tensor, held: Tensor | None = None) -> tuple[Tensor, None]:
        """s_below W^T (B, units_above), without the bias."""
        assert held is None, "a dense link pools nothing"
        return below.flatten(1) @ self.weight.T, None

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """s_above W (B, *below): the exact transpose of `up`."""
        assert switch is None, "a dense link pools nothing"
        return (above @ self.weight).unflatten(1, self.below)

    def folded(self) -> DenseLink:
        """The link itself: nothing to fold."""
        return self

    def correlate(self, below: Tensor, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """dPhi/dW = s_above^T s_below, summed over the batch. Shape of the weight."""
        assert switch is None, "a dense link pools nothing"
        return above.T @ below.flatten(1)

    def correlate_bias(self, above: Tensor) -> Tensor:
        """dPhi/db summed over the batch, (units_above,)."""
        return above.sum(dim=0)

    def spread_bias(self) -> Tensor:
        """The bias as it meets states (B, *above)."""
        return self.bias


Link = ConvLink | DenseLink


def pools_by_maxima(link: Link) -> bool:
    """Whether what the link sends down depends on what came up: on its switch."""
    return isinstance(link, ConvLink) and link.pooling == "max"


def with_tensors(link: Link, weight: Tensor, bias: Tensor) -> Link:
    """The same wiring with other numbers on it."""
    return replace(link, weight=weight, bias=bias)
