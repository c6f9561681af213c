"""What a link computes, in numpy and BLAS: sums for the layer above and, transposed, for the layer below.

Layout: the batch comes last, (C, H, W, B) or (units, B). Then every copy of a shifted window is one of long contiguous
rows, and a convolution is one matrix product. Linear pooling is fused into the kernel: a convolution of stride s under
a k x k window sum is a convolution of stride s * k with the kernel added up over the window, fewer products by half for
k = 2 and a 3 x 3 kernel.

Integers travel through float32 BLAS. That is exact: products and partial sums of a valid program stay below 2**23 in
magnitude, float32 holds every integer to 2**24, and whole-number sums in that range round nowhere, in any order.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Wire

Array = NDArray[np.float32]


class Kernel(Protocol):
    """The linear part of a link."""

    def up(self, below: NDArray[np.generic]) -> Array:
        """(*below, B) to sums (*above, B)."""
        ...

    def down(self, above: NDArray[np.generic]) -> Array:
        """(*above, B) to sums (*below, B): the exact transpose, at the winners of the last `up` where there are any."""
        ...


class DenseKernel:
    """up = W s_below, down = W^T s_above."""

    def __init__(self, wire: Wire, weight: Array, batch: int) -> None:
        self.weight, self.transposed = weight, np.ascontiguousarray(weight.T)
        self.below, self.above = (*wire.below, batch), (*wire.above, batch)

    def up(self, below: NDArray[np.generic]) -> Array:
        """W s_below."""
        return self.weight @ below.reshape(-1, below.shape[-1]).astype(np.float32, copy=False)

    def down(self, above: NDArray[np.generic]) -> Array:
        """W^T s_above."""
        flat = above.reshape(-1, above.shape[-1]).astype(np.float32, copy=False)
        return (self.transposed @ flat).reshape(self.below)


class ConvKernel:
    """Convolution, with the sum over pooling windows fused into it, as one matrix product over unfolded windows."""

    def __init__(self, wire: Wire, weight: Array, batch: int) -> None:
        window = wire.pool_size if wire.pooling == "sum" else 1
        fused = fuse(weight, wire.stride, window)
        self.stride, self.padding = wire.stride * window, wire.padding
        self.size = fused.shape[2:]
        self.below = (*wire.below, batch)
        channels, rows, columns = wire.below
        padded = (rows + 2 * wire.padding, columns + 2 * wire.padding)
        self.out = tuple((n - k) // self.stride + 1 for n, k in zip(padded, self.size, strict=True))
        self.weight = fused.reshape(len(fused), -1)
        self.transposed = np.ascontiguousarray(self.weight.T)
        self.padded = np.zeros((channels, *padded, batch), np.float32)
        self.windows = np.empty((channels, *self.size, *self.out, batch), np.float32)

    def up(self, below: NDArray[np.generic]) -> Array:
        """W * s_below."""
        self._inside(self.padded)[...] = below
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                self.windows[:, i, j] = self._shifted(self.padded, i, j)
        sums: Array = self.weight @ self.windows.reshape(self.weight.shape[1], -1)
        return sums.reshape(-1, *self.out, self.below[-1])

    def down(self, above: NDArray[np.generic]) -> Array:
        """W^T * s_above: every sum is put back where its window was read."""
        flat = above.reshape(len(above), -1).astype(np.float32, copy=False)
        spread = (self.transposed @ flat).reshape(self.windows.shape)
        total = np.zeros_like(self.padded)
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                self._shifted(total, i, j)[...] += spread[:, i, j]
        return self._inside(total)

    def _shifted(self, padded: Array, i: int, j: int) -> Array:
        rows, columns = (self.stride * (n - 1) + 1 for n in self.out)
        return padded[:, i : i + rows : self.stride, j : j + columns : self.stride]

    def _inside(self, padded: Array) -> Array:
        rows, columns = self.below[1:3]
        return padded[:, self.padding : self.padding + rows, self.padding : self.padding + columns]


class MaxPoolKernel:
    """Convolution under a max pool; `down` sends everything to the winner of each window of the last `up`."""

    def __init__(self, wire: Wire, weight: Array, batch: int) -> None:
        self.conv, self.size, self.above = ConvKernel(wire, weight, batch), wire.pool_size, (*wire.above, batch)
        self.winner: NDArray[np.intp] = np.zeros((*wire.above[:1], *wire.above[1:], 1, batch), np.intp)

    def up(self, below: NDArray[np.generic]) -> Array:
        """max over windows of W * s_below."""
        windows = self._windows(self.conv.up(below))
        self.winner = windows.argmax(axis=3, keepdims=True)
        return np.take_along_axis(windows, self.winner, axis=3)[:, :, :, 0]

    def down(self, above: NDArray[np.generic]) -> Array:
        """W^T * (s_above at the winners, zero elsewhere)."""
        channels, rows, columns, batch = self.above
        size = self.size
        spread = np.zeros((channels, rows, columns, size * size, batch), np.float32)
        np.put_along_axis(spread, self.winner, above[:, :, :, None].astype(np.float32, copy=False), axis=3)
        sums = np.zeros((channels, *self.conv.out, batch), np.float32)
        blocks = spread.reshape(channels, rows, columns, size, size, batch).transpose(0, 1, 3, 2, 4, 5)
        sums[:, : rows * size, : columns * size] = blocks.reshape(channels, rows * size, columns * size, batch)
        return self.conv.down(sums)

    def _windows(self, sums: Array) -> Array:
        """(C, H, W, B) to (C, h, w, size * size, B), row by row within a window; the border remainder is dropped."""
        channels, rows, columns, batch = self.above
        size = self.size
        cut = sums[:, : rows * size, : columns * size]
        blocks = cut.reshape(channels, rows, size, columns, size, batch).transpose(0, 1, 3, 2, 4, 5)
        return blocks.reshape(channels, rows, columns, size * size, batch)


def fuse(weight: Array, stride: int, window: int) -> Array:
    """Kernel of a convolution of that stride followed by a sum over window x window of its outputs."""
    above, below, rows, columns = weight.shape
    reach = stride * (window - 1)
    fused = np.zeros((above, below, rows + reach, columns + reach), np.float32)
    for i in range(0, reach + 1, stride):
        for j in range(0, reach + 1, stride):
            fused[:, :, i : i + rows, j : j + columns] += weight
    return fused


def build_kernel(wire: Wire, weight: NDArray[np.generic], batch: int) -> Kernel:
    """The kernel of a wire with these weights on it."""
    numbers = np.ascontiguousarray(weight, np.float32)
    if wire.kind == "dense":
        return DenseKernel(wire, numbers, batch)
    return MaxPoolKernel(wire, numbers, batch) if wire.pooling == "max" else ConvKernel(wire, numbers, batch)
