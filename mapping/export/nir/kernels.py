"""Links as `Conv2d`, exact in both directions.

NIR has no transposed convolution. Four steps do without:

- the transpose of a convolution of stride 1 is one with channels swapped, a kernel turned round, padding k - 1 - p;
- a stride s vanishes if the layer below keeps its pixels in s x s blocks as channels, (C s s, H / s, W / s), torch's
  pixel_unshuffle; average pools are folded into kernel and stride first;
- kernels are square, with zeros around them;
- a dense link is a convolution over the whole map, its transpose one with padding k - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.ep.links import ConvLink, Link, Shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """A `Conv2d` without its bias: weight (C_above, C_below, kh, kw)."""

    weight: Array
    stride: int
    padding: tuple[int, int]

    def transposed(self) -> Kernel:
        """Of a kernel of stride 1: its exact transpose."""
        assert self.stride == 1, "strides are blocks"
        turned = np.ascontiguousarray(self.weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        rows, columns = (size - 1 - pad for size, pad in zip(turned.shape[2:], self.padding, strict=True))
        return Kernel(turned, 1, (rows, columns))


def as_map(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W), of flat layers (units, 1, 1)."""
    channels, rows, columns = (*shape, 1, 1)[:3]
    return channels, rows, columns


def as_conv(link: Link) -> ConvLink:
    """The same link without pooling, a dense one as a convolution over the whole map."""
    folded = link.folded()
    if isinstance(folded, ConvLink):
        return folded
    below = as_map(folded.below)
    return ConvLink(folded.weight.reshape(len(folded.weight), *below), folded.bias, below)


def blocked(link: ConvLink, a: int, b: int) -> Kernel | None:
    """From a layer kept in a x a blocks to one in b x b blocks, with a = stride b: stride 1."""
    weight = link.weight.numpy()
    count, channels, *sizes = weight.shape
    lows = -(-link.padding // a)
    axes = [
        Axis(below // a, above // b, lows, ((b - 1) * link.stride + size - 1 - link.padding) // a + lows + 1)
        for size, above, below in zip(sizes, link.above[1:], link.below[1:], strict=True)
    ]
    found = squared(axes, 1)
    if found is None:
        return None
    kernel = np.zeros((count, b, b, channels, a, a, found.size, found.size), weight.dtype)
    for py, px, ky, kx in np.ndindex(b, b, *sizes):
        (by, qy), (bx, qx) = (divmod(p * link.stride + k - link.padding, a) for p, k in ((py, ky), (px, kx)))
        kernel[:, py, px, :, qy, qx, by + found.padding[0], bx + found.padding[1]] += weight[:, :, ky, kx]
    return Kernel(kernel.reshape(count * b * b, channels * a * a, found.size, found.size), 1, found.padding)


def from_input(link: ConvLink, b: int) -> Kernel | None:
    """From the images, as they are, to a layer kept in b x b blocks: stride b times that of the link."""
    weight = link.weight.numpy()
    count, channels, *sizes = weight.shape
    axes = [
        Axis(below, above // b, link.padding, size + (b - 1) * link.stride)
        for size, above, below in zip(sizes, link.above[1:], link.below[1:], strict=True)
    ]
    found = squared(axes, link.stride * b)
    if found is None:
        return None
    kernel = np.zeros((count, b, b, channels, found.size, found.size), weight.dtype)
    for py, px in np.ndindex(b, b):
        y, x = (pad - link.padding + p * link.stride for pad, p in zip(found.padding, (py, px), strict=True))
        kernel[:, py, px, :, y : y + sizes[0], x : x + sizes[1]] += weight
    return Kernel(kernel.reshape(count * b * b, channels, found.size, found.size), link.stride * b, found.padding)


def whole(weight: Array, *, sends_down: bool) -> Kernel | None:
    """A kernel (C_above, C_below, H, W) over all that is below, to a layer kept as channels alone.

    What sends nothing down may have a stride, which leaves a row over where the square is one larger than the map.
    """
    rows, columns = weight.shape[2:]
    stride = 1 if sends_down else 2
    found = squared([Axis(rows, 1, 0, rows), Axis(columns, 1, 0, columns)], stride)
    if found is None:
        return None
    kernel = np.zeros((*weight.shape[:2], found.size, found.size), weight.dtype)
    top, left = found.padding
    kernel[:, :, top : top + rows, left : left + columns] = weight
    return Kernel(kernel, stride, found.padding)


def matrix_of(link: ConvLink) -> Array:
    """(units above, units below) of the link as a dense one."""
    units = int(np.prod(link.below))
    sent, _ = link.up(torch.eye(units, dtype=link.weight.dtype).reshape(units, *link.below))
    return np.ascontiguousarray(sent.flatten(1).T.numpy())


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution."""

    below: int
    above: int
    first: int
    """Zeros before the map that output 0 reads."""
    span: int
    """Places that an output reads."""


@dataclass(frozen=True)
class Square:
    """A square kernel with zeros around what is read."""

    size: int
    padding: tuple[int, int]


def squared(axes: Sequence[Axis], stride: int) -> Square | None:
    """The smallest square kernel that gives as many outputs as there are, on both axes; None if there is none.

    nir 1.0.8 takes the rows of a kernel for its columns, too, when it checks shapes: a kernel has to be square, which
    zeros make it wherever what is left over on both axes is both even or both odd.
    """
    for size in range(1, 4 * max(axis.below + axis.span + axis.first for axis in axes)):
        pads = [_padding(axis, size, stride) for axis in axes]
        if pads[0] is not None and pads[1] is not None:
            return Square(size, (pads[0], pads[1]))
    return None


def _padding(axis: Axis, size: int, stride: int) -> int | None:
    """Padding with which a kernel of that size gives the outputs of the axis, and can be transposed; None if none."""
    for padding in range(axis.first, size):
        left = axis.below + 2 * padding - size - (axis.above - 1) * stride
        if 0 <= left < stride and size >= axis.span + padding - axis.first:
            return padding
    return None
