"""A link of the network on tiles: products up and down the same devices, pooling and overlap-add digital.

Up, every position of a convolution is one read, and the pool takes sums or maxima of converted values. Down, all
positions under one window of a sum pool carry the same state, so that one read serves the window; under a max pool only
the winner of each channel carries it, and every position is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hw.circuit import Circuit, FloatNeuron, Wire
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.layout import ConvLayout, DenseLayout
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.tiles.products import Products, Read

LARGEST_PLACING = 2**15
"""Entries of the matrix that adds up overlapping windows; beyond, adding them window by window is faster."""


class TiledLink(ABC):
    """One wire of a circuit; states are codes 0..one and so are the sums it returns.

    `log` holds what every product did, as ("up" or "down", Read); whoever runs the link empties it.
    """

    def __init__(self, wire: Wire, one: int) -> None:
        """`one` is the code of state 1.0."""
        self.wire, self.one = wire, one
        self.layout = DenseLayout() if wire.kind == "dense" else _conv_layout(wire)
        self.log: list[tuple[str, Read]] = []
        self.placing: Tensor | None = None

    @abstractmethod
    def products(self) -> Products:
        """What its tiles compute now."""

    @property
    def positions_up(self) -> int:
        """Vectors driven up for one image."""
        return 1 if isinstance(self.layout, DenseLayout) else self.layout.used[0] * self.layout.used[1]

    @property
    def positions_down(self) -> int:
        """Vectors driven down for one image."""
        return self.positions_up // self.wire.pool_size**2 if self.wire.pooling == "sum" else self.positions_up

    def up(self, below: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sums (B, *above) of codes below, and the switch of a max pool."""
        x = below if self.one == 1 else below / self.one
        sums, read = self.products().up(x.flatten(1) if self.wire.kind == "dense" else x)
        self.log.append(("up", read))
        if self.one != 1:
            sums = sums * self.one
        size = self.wire.pool_size
        if self.wire.pooling == "max":
            pooled, switch = F.max_pool2d(sums, size, return_indices=True)
            return pooled, switch
        if self.wire.pooling == "sum":
            return F.avg_pool2d(sums, size, divisor_override=1), None
        return sums, None

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """Sums (B, *below) of codes above; a max pool needs the switch of the last `up`."""
        wire, layout = self.wire, self.layout
        x = above if self.one == 1 else above / self.one
        if isinstance(layout, ConvLayout):
            if wire.pooling == "max":
                assert switch is not None, "a max pool is undone at its switch"
                x = F.max_unpool2d(x, switch, [wire.pool_size] * 2, output_size=list(layout.used))
            x = x.flatten(2)
        sums, read = self.products().down(x)
        self.log.append(("down", read))
        if self.one != 1:
            sums = sums * self.one
        if not isinstance(layout, ConvLayout):
            return sums.unflatten(1, wire.below)
        return self._overlap_add(sums, layout, above)

    def sides(self, below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        """What the two sides of the array see of codes below and above, in [0, 1]: (N, inputs) and (N, outputs).

        N counts images, and positions of a convolution. Under a sum pool every position of a window sees the state of
        the window; under a max pool only the winner does.
        """
        x, y = below / self.one, above / self.one
        layout, wire = self.layout, self.wire
        if not isinstance(layout, ConvLayout):
            return x.flatten(1), y
        if wire.pooling == "max":
            _, switch = self.up(below)
            assert switch is not None, "a max pool has a switch"
            y = F.max_unpool2d(y, switch, [wire.pool_size] * 2, output_size=list(layout.used))
        elif wire.pooling == "sum":
            y = y.repeat_interleave(wire.pool_size, dim=2).repeat_interleave(wire.pool_size, dim=3)
        windows = F.unfold(x, layout.kernel, padding=layout.padding, stride=layout.stride)
        places = windows.unflatten(2, layout.positions)[:, :, : layout.used[0], : layout.used[1]]
        return places.flatten(2).transpose(1, 2).flatten(0, 1), y.flatten(2).transpose(1, 2).flatten(0, 1)

    def _overlap_add(self, sums: Tensor, layout: ConvLayout, above: Tensor) -> Tensor:
        """What came out of the rows at every position (B, C kh kw, positions), added up where windows overlap."""
        channels, height, width = self.wire.below
        edges = layout.kernel[0] * layout.kernel[1]
        if edges * sums.shape[-1] * height * width > LARGEST_PLACING:
            return self._place(sums, channels, layout, above)
        if self.placing is None:
            units = torch.eye(edges * sums.shape[-1], dtype=sums.dtype, device=sums.device)
            units = units.view(-1, edges, sums.shape[-1])
            self.placing = self._place(units, 1, layout, above).flatten(1)
        return (sums.reshape(len(sums) * channels, -1) @ self.placing).view(len(sums), channels, height, width)

    def _place(self, sums: Tensor, channels: int, layout: ConvLayout, above: Tensor) -> Tensor:
        """(N, channels kh kw, positions) onto (N, channels, H, W)."""
        stride, kernel = layout.stride, layout.kernel
        if self.wire.pooling == "sum":
            # the window's positions read alike: add the patch to itself, shifted to each of them, before it is placed
            size = self.wire.pool_size
            reach = stride * (size - 1)
            edges = (kernel[0] + reach, kernel[1] + reach)
            patch = sums.unflatten(1, (channels, *kernel))
            wide = sums.new_zeros((len(sums), channels, *edges, sums.shape[-1]))
            for row in range(0, reach + 1, stride):
                for column in range(0, reach + 1, stride):
                    wide[:, :, row : row + kernel[0], column : column + kernel[1]] += patch
            sums, kernel, stride = wide.flatten(1, 3), edges, stride * size
        rows, columns = above.shape[2:] if self.wire.pooling == "sum" else layout.used
        # onto a canvas that just holds the windows, which is then cut and filled up to the layer below
        canvas = ((rows - 1) * stride + kernel[0], (columns - 1) * stride + kernel[1])
        placed = F.fold(sums, canvas, kernel, stride=stride)
        padding, (height, width) = layout.padding, self.wire.below[1:]
        bottom, right = (
            max(length + padding - reached, 0) for length, reached in zip((height, width), canvas, strict=True)
        )
        return F.pad(placed, (0, right, 0, bottom))[:, :, padding : padding + height, padding : padding + width]


class CrossbarLink(TiledLink):
    """A link on tiles of its own, programmed when made."""

    def __init__(
        self,
        wire: Wire,
        one: int,
        fabrication: Fabrication,
        *,
        largest: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Args as of `TiledMatrix`; `one` is the code of state 1.0."""
        super().__init__(wire, one)
        self.matrix = TiledMatrix(
            np.asarray(wire.weight, np.float64).reshape(len(wire.weight), -1),
            fabrication,
            layout=self.layout,
            largest=largest,
            dtype=dtype,
        )

    def products(self) -> Products:
        """Those of its own matrix."""
        return self.matrix.products()


def links_of(circuit: Circuit, fabrication: Fabrication) -> list[CrossbarLink]:
    """All wires of a circuit on tiles, the readout last."""
    wires = circuit.wires if circuit.readout is None else (*circuit.wires, circuit.readout)
    in_floats = isinstance(circuit.neuron, FloatNeuron)

    def largest(wire: Wire) -> float:
        if in_floats:
            return fabrication.headroom * (float(np.abs(wire.weight).max(initial=0.0)) or 1.0)
        # integer weights keep their grid: the range of a device stands for the largest integer there can be
        return float(2 ** (8 * wire.weight.itemsize - 1) - 1)

    return [
        CrossbarLink(
            wire,
            circuit.neuron.one,
            fabrication.of_link(index, len(circuit.wires)),
            largest=largest(wire),
            # integers of up to 24 bits must come out exact, which float32 cannot promise
            dtype=torch.float32 if in_floats else torch.float64,
        )
        for index, wire in enumerate(wires)
    ]


def _conv_layout(wire: Wire) -> ConvLayout:
    channels, height, width = wire.below
    edges = wire.weight.shape[2:]
    summed = [
        (length + 2 * wire.padding - edge) // wire.stride + 1
        for length, edge in zip((height, width), edges, strict=True)
    ]
    used = tuple(length // wire.pool_size * wire.pool_size for length in summed)
    return ConvLayout((channels, height, width), (edges[0], edges[1]), wire.stride, wire.padding, (used[0], used[1]))
