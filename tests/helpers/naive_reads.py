"""What is driven onto tiles and what it heats, vector by vector and device by device."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.crossbar.link import CrossbarLink

Array = NDArray[np.float64]


def places(wire: Wire) -> list[tuple[int, int]]:
    """Positions of a convolution that a pooling window covers."""
    kernel, size = wire.weight.shape[2:], wire.pool_size
    summed = [(n + 2 * wire.padding - k) // wire.stride + 1 for n, k in zip(wire.below[1:], kernel, strict=True)]
    return list(product(*(range(length // size * size) for length in summed)))


def windows(wire: Wire, below: Array) -> Array:
    """(B, positions, inputs) of what is driven up, states (B, *below)."""
    if wire.kind == "dense":
        return below.reshape(len(below), 1, -1)
    height, width = wire.weight.shape[2:]
    pad = wire.padding
    padded = np.pad(below, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    cut = [
        padded[:, :, i * wire.stride : i * wire.stride + height, j * wire.stride : j * wire.stride + width]
        for i, j in places(wire)
    ]
    return np.stack([window.reshape(len(below), -1) for window in cut], axis=1)


def vectors_down(wire: Wire, above: Array, below: Array) -> Array:
    """(B, positions, outputs) of what is driven down: under a max pool, on the winners of these states below."""
    if wire.kind == "dense":
        return above.reshape(len(above), 1, -1)
    flat = above.reshape(*above.shape[:2], -1)
    if wire.pooling != "max":
        return flat.transpose(0, 2, 1)
    sums = windows(wire, below) @ np.asarray(wire.weight, float).reshape(len(wire.weight), -1).T
    found, size, driven = places(wire), wire.pool_size, np.zeros(sums.shape)
    for i, j in product(range(above.shape[2]), range(above.shape[3])):
        members = [k for k, (row, column) in enumerate(found) if (row // size, column // size) == (i, j)]
        for image, unit in product(range(len(above)), range(above.shape[1])):
            winner = members[int(sums[image, members, unit].argmax())]
            driven[image, winner, unit] = above[image, unit, i, j]
    return driven


def slices(x: Array, input_bits: int | None, slice_bits: int | None) -> list[Array]:
    """What a driver of that resolution makes of inputs in [0, 1], read after read, the lowest bits first."""
    if input_bits is None:
        return [x]
    codes = np.rint(x * (2**input_bits - 1)).astype(int)
    step = slice_bits or input_bits
    return [((codes >> low) & (2**step - 1)) / (2**step - 1) for low in range(0, input_bits, step)]


def heat(link: CrossbarLink, vectors: Array, direction: str) -> Array:
    """(B,) joules of V**2 G t in every device of every tile, vectors (B, N, rows or columns of the matrix)."""
    design, device = link.matrix.design, link.matrix.device
    joules = np.zeros(len(vectors))
    for placed in link.matrix.placed:
        g_s = placed.tile.array.conductance_s()
        for driven in slices(vectors, design.input_bits, design.slice_bits):
            for image, position in product(range(vectors.shape[0]), range(vectors.shape[1])):
                volts = device.read_v * driven[image, position, placed.inputs if direction == "up" else placed.outputs]
                if direction == "up":  # a reference row is not driven
                    volts = np.pad(volts, (0, len(g_s) - len(volts)))[:, None]
                elif design.encoding == "pair":
                    volts = np.stack([volts, -volts], axis=1).reshape(1, -1)
                else:
                    volts = np.pad(volts, (0, 1))[None, :]
                joules[image] += (volts**2 * g_s).sum() * device.read_s
    return joules
