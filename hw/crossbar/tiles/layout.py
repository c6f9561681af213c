"""How the inputs of a matrix lie in a tensor, so that a convolution need not be unrolled to go through a tile.

A tile holds a kernel as a matrix (outputs, inputs) with inputs ordered (channel, row, column) of the kernel. Up, one
window of the image after the other is driven onto its rows. Down, the states of one position after the other are driven
onto its columns, and what comes out of the rows belongs to that window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Layout(Protocol):
    """Where the vectors are."""

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """matrix (outputs, rows of a tile) times those inputs of x: (B, outputs, ...)."""
        ...

    def heat(self, squared: Tensor, conductance_s: Tensor, inputs: slice) -> Tensor:
        """(B,) sum over all driven vectors of conductance times squared input."""
        ...

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """matrix (rows of a tile, outputs) times x (B, outputs, ...)."""
        ...


@dataclass(frozen=True)
class DenseLayout:
    """x (B, inputs)."""

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """(B, outputs)."""
        return F.linear(x[:, inputs], matrix)

    def heat(self, squared: Tensor, conductance_s: Tensor, inputs: slice) -> Tensor:
        """(B,)."""
        return squared[:, inputs] @ conductance_s

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (B, outputs) to (B, inputs)."""
        return F.linear(x, matrix)


@dataclass(frozen=True)
class ConvLayout:
    """x (B, C, H, W) through windows of a kernel, and (B, outputs, positions) on the way down."""

    below: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: int
    padding: int
    used: tuple[int, int]
    """Positions that are driven, from the first row and column: those a pooling window covers."""

    @property
    def positions(self) -> tuple[int, int]:
        """Positions the kernel could be put at."""
        rows, columns = (
            (length + 2 * self.padding - edge) // self.stride + 1
            for length, edge in zip(self.below[1:], self.kernel, strict=True)
        )
        return rows, columns

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """(B, outputs, H', W') of the positions used."""
        channels, kernel = self._kernel(matrix, inputs)
        sums = F.conv2d(x[:, channels], kernel, stride=self.stride, padding=self.padding)
        return sums[:, :, : self.used[0], : self.used[1]]

    def heat(self, squared: Tensor, conductance_s: Tensor, inputs: slice) -> Tensor:
        """(B,): a pixel heats the devices of every row it is driven onto, in every window that holds it."""
        channels, kernel = self._kernel(conductance_s[None], inputs)
        spread = F.conv_transpose2d(squared.new_ones((1, 1, *self.used)), kernel, stride=self.stride)[0]
        seen = spread.new_zeros((len(spread), *(length + 2 * self.padding for length in self.below[1:])))
        seen[:, : spread.shape[1], : spread.shape[2]] = spread
        rows, columns = (slice(self.padding, self.padding + length) for length in self.below[1:])
        seen = seen[:, rows, columns]
        return squared[:, channels].flatten(1) @ seen.flatten()

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (B, outputs, positions) to (B, inputs, positions)."""
        return torch.matmul(matrix, x)

    def _kernel(self, matrix: Tensor, inputs: slice) -> tuple[slice, Tensor]:
        """The channels that these rows reach into, and the matrix as a kernel that is zero on all other rows."""
        window = self.kernel[0] * self.kernel[1]
        channels = slice(inputs.start // window, -(-inputs.stop // window))
        before, after = inputs.start - channels.start * window, channels.stop * window - inputs.stop
        whole = F.pad(matrix, (before, after)) if before or after else matrix
        return channels, whole.view(len(matrix), channels.stop - channels.start, *self.kernel)
