"""Pooling of a link: between what the weights sum and what the layer above receives."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

PoolKind = Literal["none", "average", "max"]
POOL_KINDS: tuple[PoolKind, ...] = ("none", "average", "max")


def pool(kind: PoolKind, size: int, sums: Tensor) -> tuple[Tensor, Tensor | None]:
    """Pool (B, C, H, W) over windows of size x size, stride `size`; a remainder at the border is dropped.

    Returns the pooled sums (B, C, H // size, W // size) and, for max pooling, the switch: the flat position of every
    window's maximum, which `unpool` needs. Linear poolings have no switch.
    """
    if kind == "none":
        return sums, None
    if kind == "average":
        return F.avg_pool2d(sums, size), None
    pooled, switch = F.max_pool2d(sums, size, return_indices=True)
    return pooled, switch


def pool_at(sums: Tensor, switch: Tensor) -> Tensor:
    """Max pooling held at a switch: the sums (B, C, h, w) that it points to, of which `unpool` is the transpose."""
    return sums.flatten(2).gather(2, switch.flatten(2)).view_as(switch)


def unpool(kind: PoolKind, size: int, above: Tensor, shape: tuple[int, ...], switch: Tensor | None) -> Tensor:
    """The exact transpose of `pool` at a given switch: (B, C, h, w) back to (B, C, *shape).

    Average: every unit of a window receives 1 / size**2 of what is above. Max: the unit that won receives all of it.
    """
    if kind == "none":
        return above
    if kind == "max":
        if switch is None:
            raise ValueError("unpooling a max needs the switch of the `up` pass")
        return F.max_unpool2d(above, switch, [size, size], output_size=list(shape))
    spread = above.repeat_interleave(size, dim=-2).repeat_interleave(size, dim=-1) / size**2
    rows, columns = shape[0] - spread.shape[-2], shape[1] - spread.shape[-1]
    return F.pad(spread, (0, columns, 0, rows)) if rows or columns else spread


def as_pool_kind(kind: str) -> PoolKind:
    """The pooling of that name, or a ValueError that lists them."""
    for known in POOL_KINDS:
        if kind == known:
            return known
    raise ValueError(f"pooling {kind!r} is none of {', '.join(POOL_KINDS)}")
