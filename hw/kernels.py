"""What a link computes, in numpy and BLAS: sums for the layer above and, transposed, for the layer below.

Layout: the batch comes last, (C, H, W, B) or (units, B). Then every copy of a shifted window is one of long contiguous
rows, and a convolution is one matrix product. Linear pooling is fused into the kernel: a convolution of stride s under
a k x k window sum is a convolution of stride s * k with the kernel added up over the window, fewer products by half for
k = 2 and a 3 x 3 kernel.

Numbers travel through float32 BLAS unless float64 is asked for. Of integers float32 is exact: products and partial sums
of a valid program stay below 2**23 in magnitude, float32 holds every integer to 2**24, and whole-number sums in that
range round nowhere, in any order.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Wire

Array = NDArray[np.floating]
Precision = type[np.float32] | type[np.float64]
Products = NDArray[np.float64]


class Kernel(Protocol):
    """The linear part of a link."""

    def up(self, below: NDArray[np.generic]) -> Array:
        """(*below, B) to sums (*above, B)."""
        ...

    def down(self, above: NDArray[np.generic]) -> Array:
        """(*above, B) to sums (*below, B): the exact transpose, at the winners of the last `up` where there are any."""
        ...

    def correlate(self, below: NDArray[np.generic], above: NDArray[np.generic]) -> Products:
        """dPhi/dW summed over the batch, in the shape of the wire's weight: the states every weight joins, multiplied
        and added up in float64, at the winners of the last `up` where there are any. Float32 would not do: products of
        integers reach 2**16, and phases differ by little."""
        ...

    def load(self, weight: NDArray[np.generic]) -> None:
        """Take these weights, in the shape of the wire's, from now on."""
        ...


class DenseKernel:
    """up = W s_below, down = W^T s_above."""

    def __init__(self, wire: Wire, weight: Array, batch: int) -> None:
        self.dtype = weight.dtype
        self.below, self.above = (*wire.below, batch), (*wire.above, batch)
        self.load(weight)

    def up(self, below: NDArray[np.generic]) -> Array:
        """W s_below."""
        flat: NDArray[Any] = below.reshape(-1, below.shape[-1]).astype(self.dtype, copy=False)
        sums: Array = self.weight @ flat
        return sums

    def down(self, above: NDArray[np.generic]) -> Array:
        """W^T s_above."""
        flat: NDArray[Any] = above.reshape(-1, above.shape[-1]).astype(self.dtype, copy=False)
        sums: Array = (self.transposed @ flat).reshape(self.below)
        return sums

    def correlate(self, below: NDArray[np.generic], above: NDArray[np.generic]) -> Products:
        """s_above s_below^T."""
        products: Products = _flat(above) @ _flat(below).T
        return products

    def load(self, weight: NDArray[np.generic]) -> None:
        """Take these weights from now on."""
        self.weight = np.ascontiguousarray(weight, self.dtype)
        self.transposed = np.ascontiguousarray(self.weight.T)


class ConvKernel:
    """Convolution, with the sum over pooling windows fused into it, as one matrix product over unfolded windows."""

    def __init__(self, wire: Wire, weight: Array, batch: int) -> None:
        self.dtype = weight.dtype
        self.window = wire.pool_size if wire.pooling == "sum" else 1
        self.step, self.stride, self.padding = wire.stride, wire.stride * self.window, wire.padding
        self.load(weight)
        self.below = (*wire.below, batch)
        channels, rows, columns = wire.below
        padded = (rows + 2 * wire.padding, columns + 2 * wire.padding)
        self.out = tuple((n - k) // self.stride + 1 for n, k in zip(padded, self.size, strict=True))
        self.padded = np.zeros((channels, *padded, batch), self.dtype)
        self.windows = np.empty((channels, *self.size, *self.out, batch), self.dtype)

    def up(self, below: NDArray[np.generic]) -> Array:
        """W * s_below."""
        self._unfold(below, self.padded, self.windows)
        sums: Array = self.weight @ self.windows.reshape(self.weight.shape[1], -1)
        return sums.reshape(-1, *self.out, self.below[-1])

    def down(self, above: NDArray[np.generic]) -> Array:
        """W^T * s_above: every sum is put back where its window was read."""
        flat = above.reshape(len(above), -1).astype(self.dtype, copy=False)
        spread = (self.transposed @ flat).reshape(self.windows.shape)
        total = np.zeros_like(self.padded)
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                self._shifted(total, i, j)[...] += spread[:, i, j]
        return self._inside(total)

    def correlate(self, below: NDArray[np.generic], above: NDArray[np.generic]) -> Products:
        """Of the fused kernel, s_above times the unfolded s_below; then the adjoint of fusing."""
        windows = np.empty(self.windows.shape)
        self._unfold(below, np.zeros(self.padded.shape), windows)
        products = above.reshape(len(above), -1).astype(np.float64) @ windows.reshape(self.weight.shape[1], -1).T
        return unfuse(products.reshape(len(above), -1, *self.size), self.step, self.window)

    def load(self, weight: NDArray[np.generic]) -> None:
        """Take these weights from now on."""
        fused = fuse(np.asarray(weight, self.dtype), self.step, self.window)
        self.size = fused.shape[2:]
        self.weight = fused.reshape(len(fused), -1)
        self.transposed = np.ascontiguousarray(self.weight.T)

    def _unfold(self, below: NDArray[np.generic], padded: Array, windows: Array) -> None:
        """What every window sees, into `windows` (C, kh, kw, H', W', B), by way of the zero-padded states."""
        self._inside(padded)[...] = below
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                windows[:, i, j] = self._shifted(padded, i, j)

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
        return self.conv.down(self._unpooled(above))

    def correlate(self, below: NDArray[np.generic], above: NDArray[np.generic]) -> Products:
        """That of the convolution with s_above at the winners."""
        return self.conv.correlate(below, self._unpooled(above))

    def load(self, weight: NDArray[np.generic]) -> None:
        """Take these weights from now on."""
        self.conv.load(weight)

    def _unpooled(self, above: NDArray[np.generic]) -> Array:
        """s_above at the winners, zero elsewhere: (C, H', W', B) before pooling."""
        channels, rows, columns, batch = self.above
        size = self.size
        spread = np.zeros((channels, rows, columns, size * size, batch), self.conv.dtype)
        np.put_along_axis(spread, self.winner, above[:, :, :, None].astype(self.conv.dtype, copy=False), axis=3)
        sums = np.zeros((channels, *self.conv.out, batch), self.conv.dtype)
        blocks = spread.reshape(channels, rows, columns, size, size, batch).transpose(0, 1, 3, 2, 4, 5)
        sums[:, : rows * size, : columns * size] = blocks.reshape(channels, rows * size, columns * size, batch)
        return sums

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
    fused = np.zeros((above, below, rows + reach, columns + reach), weight.dtype)
    for i in range(0, reach + 1, stride):
        for j in range(0, reach + 1, stride):
            fused[:, :, i : i + rows, j : j + columns] += weight
    return fused


def unfuse(products: Products, stride: int, window: int) -> Products:
    """The adjoint of `fuse`: every weight gathers from the window x window rows it was added to."""
    reach = stride * (window - 1)
    rows, columns = products.shape[2] - reach, products.shape[3] - reach
    shifts = range(0, reach + 1, stride)
    return np.sum([products[:, :, i : i + rows, j : j + columns] for i in shifts for j in shifts], axis=0)


def build_kernel(wire: Wire, weight: NDArray[np.generic], batch: int, dtype: Precision = np.float32) -> Kernel:
    """The kernel of a wire with these weights on it, which computes in this precision."""
    numbers: NDArray[Any] = np.ascontiguousarray(weight, dtype)
    if wire.kind == "dense":
        return DenseKernel(wire, numbers, batch)
    return MaxPoolKernel(wire, numbers, batch) if wire.pooling == "max" else ConvKernel(wire, numbers, batch)


def _flat(states: NDArray[np.generic]) -> Products:
    return states.reshape(-1, states.shape[-1]).astype(np.float64, copy=False)
