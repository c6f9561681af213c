"""How every layer is kept in the graph: its map in blocks, or as channels alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mapping.export.nir.kernels import as_map, blocked, from_input, whole
from models.ep.links import ConvLink

MOST_WEIGHTS = 2**26
"""Of a kernel over a whole map, 256 MiB: beyond, a layer is not flattened."""


@dataclass(frozen=True)
class Kept:
    """Layers 1..len(blocks) are maps in blocks of these sizes, those above are channels alone."""

    blocks: tuple[int, ...]

    def shape(self, layer: int, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """(C, H, W) of a layer, from 1, in the graph."""
        channels, rows, columns = as_map(shape)
        if layer > len(self.blocks):
            return channels * rows * columns, 1, 1
        block = self.blocks[layer - 1]
        return channels * block * block, rows // block, columns // block


def kept(links: Sequence[ConvLink]) -> Kept:
    """As many layers in blocks as their sizes allow, from the images on.

    Raises:
        ValueError: the maps do not allow it, and are too large to be flattened; the message names link and size.
    """
    count = len(links)
    while (blocks := _blocks(links, count)) is None:
        count -= 1
    for index in range(count, len(links)):
        link = links[index]
        weights = int(np.prod(link.below)) * int(np.prod(link.above))
        if weights > MOST_WEIGHTS:
            raise ValueError(
                f"link{index + 1} ({link!r}): the maps do not divide into blocks of its stride, and a dense link in "
                f"its place has {weights:,} weights, more than {MOST_WEIGHTS:,}: it holds strides that divide the maps"
            )
    return Kept(blocks)


def _blocks(links: Sequence[ConvLink], count: int) -> tuple[int, ...] | None:
    """Sizes of the blocks if the first `count` layers are maps and those above are flat; None if they cannot be."""
    blocks = [1] * count
    for index in range(count - 2, -1, -1):
        blocks[index] = blocks[index + 1] * links[index + 1].stride
    if any(size % block for link, block in zip(links, blocks, strict=False) for size in link.above[1:]):
        return None
    for index, block in enumerate(blocks):
        link = links[index]
        if (from_input(link, block) if index == 0 else blocked(link, blocks[index - 1], block)) is None:
            return None
    if 0 < count < len(links) and whole(np.zeros((1, 1, *links[count].below[1:]), np.float32), sends_down=True) is None:
        return None
    return tuple(blocks)
