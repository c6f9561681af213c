"""A link in an ONNX graph: one initializer, read by Conv upwards and by ConvTranspose downwards.

ONNX lays out both as torch does, so that feedback is the exact transpose in the file too. Average pools are folded into
the kernel by the graph itself, which runtimes do once, when they load: a convolution of stride s under an average over
k x k windows is one of stride s k whose kernel is the mean of the kernel at the k x k places of the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapping.export.onnx.nodes import Nodes
from models.ep.links import ConvLink, Link, pools_by_maxima


@dataclass(frozen=True)
class Placed:
    """A link whose kernel is in the graph."""

    link: Link
    """With its geometry; average pools folded."""
    kernel: str
    """Name of the kernel in the graph."""


def place(nodes: Nodes, link: Link, name: str, kernel: str, *, sums: bool = False) -> Placed:
    """The link with an initializer's name for its kernel, which nodes fold if it pools by averages.

    With `sums` the folded kernel is the sum instead of the mean: that of integers, which are divided by the window.
    """
    if not isinstance(link, ConvLink) or link.pooling != "average":
        return Placed(link, kernel)
    reach, size = link.stride * (link.pool_size - 1), link.pool_size
    moved = []
    for i, j in np.ndindex(size, size):
        top, left = i * link.stride, j * link.stride
        pads = np.array([0, 0, top, left, 0, 0, reach - top, reach - left], np.int64)
        moved.append(nodes.add("Pad", kernel, nodes.constant(f"{name}.pads_{i}_{j}", pads)))
    folded = nodes.add("Sum", *moved)
    if not sums:
        folded = nodes.add("Div", folded, nodes.constant(f"{name}.window", np.float32(size**2)))
    return Placed(link.folded(), folded)


def up(nodes: Nodes, placed: Placed, below: str) -> tuple[str, str | None]:
    """W s_below without the bias, and the places of the maxima if it takes any."""
    link = placed.link
    if not isinstance(link, ConvLink):
        flat = nodes.add("Flatten", below, axis=1) if len(link.below) > 1 else below
        return nodes.add("Gemm", flat, placed.kernel, transB=1), None
    sums = nodes.add("Conv", below, placed.kernel, strides=[link.stride] * 2, pads=[link.padding] * 4)
    if not pools_by_maxima(link):
        return sums, None
    window = [link.pool_size] * 2
    winners = f"{sums}_winners"
    return nodes.add("MaxPool", sums, outputs=(f"{sums}_max", winners), kernel_shape=window, strides=window), winners


def down(nodes: Nodes, placed: Placed, name: str, above: str, winners: str | None) -> str:
    """W^T s_above by the same initializer, through the maxima of this step's `up`."""
    link = placed.link
    if not isinstance(link, ConvLink):
        flat = nodes.add("Gemm", above, placed.kernel)
        if len(link.below) == 1:
            return flat
        return nodes.add("Reshape", flat, nodes.constant(f"{name}.below", np.array([-1, *link.below], np.int64)))
    if winners is not None:
        window = [link.pool_size] * 2
        batch = nodes.add("Shape", above, end=1)
        shape = nodes.add("Concat", batch, nodes.constant(f"{name}.summed", np.array(link.summed, np.int64)), axis=0)
        above = nodes.add("MaxUnpool", above, winners, shape, kernel_shape=window, strides=window)
    missing = [
        (size + 2 * link.padding - kernel) % link.stride
        for size, kernel in zip(link.below[1:], link.weight.shape[2:], strict=True)
    ]
    strides, pads = [link.stride] * 2, [link.padding] * 4
    return nodes.add("ConvTranspose", above, placed.kernel, strides=strides, pads=pads, output_padding=missing)
