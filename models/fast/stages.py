"""Links as the engine runs them: every one a convolution, with the maximum over pooling windows after it.

Tensors are (B, H, W, C), so that a convolution sees channels last. A dense link is a convolution whose kernel covers
the layer below; an average pool is folded into the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.ep.links import ConvLink, Link


@dataclass(frozen=True)
class Stage:
    """u = W * s_below (B, H', W', C), then the maximum over windows of `window` x `window`; 1 takes none."""

    weight: Tensor
    """(C_above, C_below, kh, kw), channels last, in the dtype of the states."""
    bias: Tensor
    """(C_above,), in that dtype too: a maximum over windows is the same with the bias added before."""
    below: tuple[int, int, int]
    """(C, H, W) of the layer below."""
    above: tuple[int, int, int]
    """(C, H, W) of the layer above."""
    stride: int
    padding: int
    window: int

    @property
    def summed(self) -> tuple[int, int]:
        """(H', W') of the sums, before a maximum is taken."""
        (_, rows, columns), (edge_rows, edge_columns) = self.below, self.weight.shape[2:]
        reach = 2 * self.padding
        return (rows + reach - edge_rows) // self.stride + 1, (columns + reach - edge_columns) // self.stride + 1

    def up(self, below: Tensor) -> Tensor:
        """Sums (B, H', W', C_above) of states (B, H, W, C_below), with the bias."""
        return self._sums(below, self.bias)

    def up_change(self, change: Tensor) -> Tensor:
        """How much the sums change when the states below change by so much: without the bias."""
        return self._sums(change, None)

    def down(self, spread: Tensor) -> Tensor:
        """The transpose of `up`: what the layer below receives from (B, H', W', C_above)."""
        kernel = self.weight.shape[2:]
        missing = [
            (size + 2 * self.padding - edge) % self.stride for size, edge in zip(self.below[1:], kernel, strict=True)
        ]
        sums = F.conv_transpose2d(
            spread.permute(0, 3, 1, 2), self.weight, stride=self.stride, padding=self.padding, output_padding=missing
        )
        return sums.permute(0, 2, 3, 1)

    def _sums(self, below: Tensor, bias: Tensor | None) -> Tensor:
        sums = F.conv2d(below.permute(0, 3, 1, 2), self.weight, bias, stride=self.stride, padding=self.padding)
        return sums.permute(0, 2, 3, 1)

    def correlate(self, below: Tensor, spread: Tensor) -> Tensor:
        """Sum over the batch of the slope of <up(below), spread> by the weight."""
        return torch.nn.grad.conv2d_weight(
            below.permute(0, 3, 1, 2),
            list(self.weight.shape),
            spread.permute(0, 3, 1, 2),
            stride=self.stride,
            padding=self.padding,
        )


def stage_of(link: Link, dtype: torch.dtype) -> Stage:
    """A link of the network as the engine runs it."""
    channels, rows, columns = link.below if len(link.below) == 3 else (*link.below, 1, 1)
    below = (channels, rows, columns)
    if isinstance(link, ConvLink):
        run, window = link.folded(), link.pool_size if link.pooling == "max" else 1
        weight, stride, padding = run.weight, run.stride, run.padding
        channels, rows, columns = link.above
        above = (channels, rows, columns)
    else:
        weight, window, stride, padding = link.weight.unflatten(1, below), 1, 1, 0
        above = (len(link.weight), 1, 1)
    held = weight.to(dtype, memory_format=torch.channels_last)
    return Stage(held, link.bias.to(dtype), below, above, stride, padding, window)


def slope_of(link: Link, products: Tensor) -> Tensor:
    """From the slope by a stage's weight to that by its link's."""
    if not isinstance(link, ConvLink):
        return products.flatten(1)
    if link.pooling != "average":
        return products
    reach, (rows, columns) = link.stride * (link.pool_size - 1), link.weight.shape[2:]
    places = range(0, reach + 1, link.stride)
    shifted = [products[:, :, i : i + rows, j : j + columns] for i in places for j in places]
    return torch.stack(shifted).mean(dim=0)


def strongest(sums: Tensor, window: int) -> tuple[Tensor, Tensor | None]:
    """Maximum over windows (B, h, w, C), and where in (H', W') it lies, as torch counts places: the switch."""
    if window == 1:
        return sums, None
    best, switch = F.max_pool2d(sums.permute(0, 3, 1, 2), window, return_indices=True)
    return best.permute(0, 2, 3, 1), switch.permute(0, 2, 3, 1)


def chosen(sums: Tensor, switch: Tensor | None) -> Tensor:
    """Of windows (B, h, w, C), the sums (B, H', W', C) at the places that the switch holds, whatever is largest."""
    if switch is None:
        return sums
    return sums.flatten(1, 2).gather(1, switch.flatten(1, 2)).view(switch.shape)


def spread(states: Tensor, switch: Tensor | None, window: int, rows: int, columns: int) -> Tensor:
    """(B, rows, columns, C): states (B, h, w, C) where the switch says in their windows, zero elsewhere."""
    if switch is None:
        return states
    batch, _, _, channels = states.shape
    # only the shape of what was pooled is read; it says where to spread to
    like = states.new_empty((batch, rows, columns, channels)).permute(0, 3, 1, 2)
    upwards, places = states.permute(0, 3, 1, 2), switch.permute(0, 3, 1, 2)
    size = [window, window]
    wide = torch.ops.aten.max_pool2d_with_indices_backward(upwards, like, size, size, [0, 0], [1, 1], False, places)
    return wide.permute(0, 2, 3, 1)
