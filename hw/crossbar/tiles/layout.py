"""How the inputs of a matrix lie in a tensor, so that a convolution need not be unrolled to go through a tile.

A tile holds a kernel as a matrix (outputs, inputs) with inputs ordered (channel, row, column) of the kernel. Up, one
window of the image after the other is driven onto its rows. Down, the states of one position after the other are driven
onto its columns, and what comes out of the rows belongs to that window.

Several dies are read together where their matrices lie on one another, (dies, outputs, inputs): then the images of x
(dies B, ...) are those of one die after the other.
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

    def heat(self, squared: Tensor, heated_s: Tensor) -> Tensor:
        """(B,) sum over all driven vectors of conductance times squared input, of what `heated` adds up to."""
        ...

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """matrix (rows of a tile, outputs) times x (B, outputs, ...)."""
        ...

    def heat_down(self, squared: Tensor, conductance_s: Tensor) -> Tensor:
        """(B,) the same sum on the way down, of squared x (B, outputs, ...)."""
        ...

    def of_dies(self) -> Layout:
        """The same for the matrices of several dies."""
        ...


class OneDie(Layout, Protocol):
    """That of a matrix on one die."""

    def heated(self, conductance_s: Tensor, inputs: slice, count: int) -> Tensor:
        """(n,) conductance that every number of an image is driven onto, by rows (inputs,) out of `count`."""
        ...


@dataclass(frozen=True)
class DenseLayout:
    """x (B, inputs)."""

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """(B, outputs)."""
        return F.linear(x[:, inputs], matrix)

    def heated(self, conductance_s: Tensor, inputs: slice, count: int) -> Tensor:
        """(count,)."""
        return F.pad(conductance_s, (inputs.start, count - inputs.stop))

    def heat(self, squared: Tensor, heated_s: Tensor) -> Tensor:
        """(B,)."""
        return squared @ heated_s

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (B, outputs) to (B, inputs)."""
        return F.linear(x, matrix)

    def heat_down(self, squared: Tensor, conductance_s: Tensor) -> Tensor:
        """(B,)."""
        return squared @ conductance_s

    def of_dies(self) -> DenseOfDies:
        """x (dies B, inputs)."""
        return DenseOfDies()


@dataclass(frozen=True)
class DenseOfDies:
    """x (dies B, inputs), matrices (dies, outputs, inputs)."""

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """(dies B, outputs)."""
        return _by_die(x[:, inputs], matrix.mT)

    def heat(self, squared: Tensor, heated_s: Tensor) -> Tensor:
        """(dies B,) of conductances (dies, inputs)."""
        return _by_die(squared, heated_s[..., None])[:, 0]

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (dies B, outputs) to (dies B, inputs)."""
        return _by_die(x, matrix.mT)

    def heat_down(self, squared: Tensor, conductance_s: Tensor) -> Tensor:
        """(dies B,)."""
        return _by_die(squared, conductance_s[..., None])[:, 0]

    def of_dies(self) -> DenseOfDies:
        """Itself."""
        return self


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
        channels, kernel = self.kernel_of(matrix, inputs)
        sums = F.conv2d(x[:, channels], kernel, stride=self.stride, padding=self.padding)
        return sums[:, :, : self.used[0], : self.used[1]]

    def heated(self, conductance_s: Tensor, inputs: slice, count: int) -> Tensor:  # noqa: ARG002 - the image says it
        """(C H W,): a pixel heats the devices of every row it is driven onto, in every window that holds it."""
        channels, kernel = self.kernel_of(conductance_s[None], inputs)
        whole = conductance_s.new_zeros(self.below)
        whole[channels] = self.seen(kernel)[0]
        return whole.flatten()

    def heat(self, squared: Tensor, heated_s: Tensor) -> Tensor:
        """(B,)."""
        return squared.flatten(1) @ heated_s

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (B, outputs, positions) to (B, inputs, positions)."""
        return torch.matmul(matrix, x)

    def heat_down(self, squared: Tensor, conductance_s: Tensor) -> Tensor:
        """(B,)."""
        return squared.flatten(2).sum(dim=2) @ conductance_s

    def of_dies(self) -> Layout:
        """x (dies B, C, H, W)."""
        return ConvOfDies(self)

    def seen(self, kernel: Tensor) -> Tensor:
        """(1, channels, H, W) conductance that a pixel is driven onto, of a kernel (1, channels, kh, kw) of rows."""
        spread = F.conv_transpose2d(kernel.new_ones((1, 1, *self.used)), kernel, stride=self.stride)
        seen = spread.new_zeros((*spread.shape[:2], *(length + 2 * self.padding for length in self.below[1:])))
        seen[..., : spread.shape[2], : spread.shape[3]] = spread
        rows, columns = (slice(self.padding, self.padding + length) for length in self.below[1:])
        return seen[..., rows, columns]

    def kernel_of(self, matrix: Tensor, inputs: slice) -> tuple[slice, Tensor]:
        """The channels that these rows reach into, and the matrix as a kernel that is zero on all other rows."""
        window = self.kernel[0] * self.kernel[1]
        channels = slice(inputs.start // window, -(-inputs.stop // window))
        before, after = inputs.start - channels.start * window, channels.stop * window - inputs.stop
        whole = F.pad(matrix, (before, after)) if before or after else matrix
        return channels, whole.view(len(matrix), channels.stop - channels.start, *self.kernel)


@dataclass(frozen=True)
class ConvOfDies:
    """x (dies B, C, H, W), matrices (dies, outputs, inputs): one convolution with a group of channels for every die."""

    layout: ConvLayout

    def up(self, x: Tensor, matrix: Tensor, inputs: slice) -> Tensor:
        """(dies B, outputs, H', W') of the positions used."""
        layout, dies = self.layout, len(matrix)
        channels, kernel = layout.kernel_of(matrix.flatten(0, 1), inputs)
        beside_each_other = x[:, channels].unflatten(0, (dies, -1)).transpose(0, 1).flatten(1, 2)
        sums = F.conv2d(beside_each_other, kernel, stride=layout.stride, padding=layout.padding, groups=dies)
        used = sums[:, :, : layout.used[0], : layout.used[1]]
        return used.unflatten(1, (dies, -1)).transpose(0, 1).flatten(0, 1)

    def heat(self, squared: Tensor, heated_s: Tensor) -> Tensor:
        """(dies B,) of conductances (dies, C H W)."""
        return _by_die(squared.flatten(1), heated_s[..., None])[:, 0]

    def down(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x (dies B, outputs, positions) to (dies B, inputs, positions)."""
        given = x.unflatten(0, (len(matrix), -1)).transpose(1, 2)  # (dies, outputs, B, positions)
        sums = torch.bmm(matrix, given.flatten(2)).unflatten(2, given.shape[2:])
        return sums.transpose(1, 2).flatten(0, 1)

    def heat_down(self, squared: Tensor, conductance_s: Tensor) -> Tensor:
        """(dies B,)."""
        return _by_die(squared.flatten(2).sum(dim=2), conductance_s[..., None])[:, 0]

    def of_dies(self) -> ConvOfDies:
        """Itself."""
        return self


def beside(values: Tensor, sums: Tensor) -> Tensor:
    """Numbers of the outputs, (outputs,) or of every die (dies, outputs), in the shape of sums (B, outputs, ...)."""
    rows = values[None] if values.ndim == 1 else values.repeat_interleave(len(sums) // len(values), dim=0)
    return rows.view(*rows.shape, *[1] * (sums.ndim - 2))


def _by_die(x: Tensor, matrix: Tensor) -> Tensor:
    """x (dies B, n) times (dies, n, m)."""
    return torch.bmm(x.unflatten(0, (len(matrix), -1)), matrix).flatten(0, 1)
