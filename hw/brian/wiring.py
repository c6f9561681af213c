"""A wire as single synapses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.kernels import fuse, unfuse

Indices = NDArray[np.int64]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wiring:
    """Unit `pre` of the layer below meets unit `post` above over entry `entry` of the wire's weight.

    A sum over pooling windows is in the weight: a convolution of stride s under k x k sums is one of stride s k with
    the kernel added up over the window. Padding makes no synapse.
    """

    wire: Wire
    pre: Indices
    post: Indices
    entry: Indices

    def strengths(self, weight: NDArray[np.generic]) -> Array:
        """(synapses,) of a weight in the shape of the wire's."""
        strengths: Array = _fused(self.wire, weight).ravel()[self.entry]
        return strengths

    def gathered(self, products: Array) -> Array:
        """What all synapses (synapses,) of each weight add up to, in the shape of the wire's: weights are shared."""
        wire = self.wire
        fused = _fused(wire, np.zeros(wire.weight.shape))
        sums: Array = np.bincount(self.entry, products, minlength=fused.size).astype(np.float64).reshape(fused.shape)
        return sums if wire.kind == "dense" else unfuse(sums, wire.stride, _window(wire))


def wiring(wire: Wire) -> Wiring:
    """The synapses of a wire, in the order of the units above."""
    fused = _fused(wire, np.zeros(wire.weight.shape))
    index = np.arange(fused.size).reshape(fused.shape)
    if wire.kind == "dense":
        post, pre = np.indices(fused.shape)
        return Wiring(wire, pre.ravel(), post.ravel(), index.ravel())
    (_, height, width), (_, rows, columns), stride = wire.below, wire.above, wire.stride * _window(wire)
    above, below, ky, kx, oy, ox = np.ix_(*map(range, (*fused.shape, rows, columns)))
    iy, ix = oy * stride + ky - wire.padding, ox * stride + kx - wire.padding
    shape = (*fused.shape, rows, columns)
    inside = np.broadcast_to((iy >= 0) & (iy < height) & (ix >= 0) & (ix < width), shape)
    pre = np.broadcast_to((below * height + iy) * width + ix, shape)[inside]
    post = np.broadcast_to((above * rows + oy) * columns + ox, shape)[inside]
    entry = np.broadcast_to(index[..., None, None], shape)[inside]
    order = np.lexsort((pre, post))
    return Wiring(wire, pre[order], post[order], entry[order])


def synapses_of(wire: Wire) -> int:
    """How many there are, without making them."""
    if wire.kind == "dense":
        return wire.weight.size
    kernel = _fused(wire, np.zeros(wire.weight.shape)).shape
    met = 1
    for size, places, edge in zip(wire.below[1:], wire.above[1:], kernel[2:], strict=True):
        starts = np.arange(places) * wire.stride * _window(wire) - wire.padding
        met *= int((np.minimum(starts + edge, size) - np.maximum(starts, 0)).clip(0).sum())
    return kernel[0] * kernel[1] * met


def _window(wire: Wire) -> int:
    return wire.pool_size if wire.pooling == "sum" else 1


def _fused(wire: Wire, weight: NDArray[np.generic]) -> Array:
    numbers = np.asarray(weight, np.float64)
    return numbers if wire.kind == "dense" else fuse(numbers, wire.stride, _window(wire))
