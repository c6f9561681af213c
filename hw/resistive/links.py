"""Resistors between two layers: one for every pair of nodes, or shared by all places of a convolution.

Nodes may drive the layer above from both rails, +v and -v: a resistor of `plus` leads to the one, one of `minus` to the
other. What flows into node k above is then sum_j (plus - minus)_kj v_j - (plus + minus)_kj v_k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

Array = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class DenseResistors:
    """plus, minus (units above, units below) in siemens, above 0. Without a minus rail it is None."""

    plus_s: Array
    minus_s: Array | None = None
    sparse: bool = False
    """Whether resistors are missing at some crossings: 0 S there."""

    def __post_init__(self) -> None:
        if self.plus_s.ndim != 2:
            raise ValueError(f"conductances are {self.plus_s.shape}, expected (units above, units below)")
        _check(self.plus_s, self.minus_s, self.sparse)

    @property
    def below(self) -> Shape:
        """Nodes below."""
        return self.plus_s.shape[1:]

    @property
    def above(self) -> Shape:
        """Nodes above."""
        return self.plus_s.shape[:1]

    @property
    def resistors(self) -> int:
        """How many there are on a die."""
        return sum(int((g > 0).sum()) for g in (self.plus_s, self.minus_s) if g is not None)


@dataclass(frozen=True)
class ConvResistors:
    """plus, minus (channels above, channels below, rows, columns) in siemens, above 0: every place of the kernel has
    resistors of its own, all of the shared conductance. `below` (C, H, W); stride and padding as of a convolution, and
    beyond the border there is nothing."""

    plus_s: Array
    minus_s: Array | None
    below: Shape
    stride: int = 1
    padding: int = 0
    sparse: bool = False
    """Whether resistors are missing at some places of the kernel: 0 S there."""

    def __post_init__(self) -> None:
        if self.plus_s.ndim != 4 or len(self.below) != 3 or self.plus_s.shape[1] != self.below[0]:
            raise ValueError(f"conductances {self.plus_s.shape} do not fit a layer below of {self.below}")
        _check(self.plus_s, self.minus_s, self.sparse)
        if self.stride < 1 or self.padding < 0 or min(self.above) < 1:
            raise ValueError(f"stride {self.stride} and padding {self.padding} leave {self.above} above {self.below}")

    @property
    def above(self) -> Shape:
        """(C', H', W') nodes above."""
        places = [
            (size + 2 * self.padding - kernel) // self.stride + 1
            for size, kernel in zip(self.below[1:], self.plus_s.shape[2:], strict=True)
        ]
        return (self.plus_s.shape[0], *places)

    @property
    def resistors(self) -> int:
        """How many there are on a die."""
        return unrolled(self).resistors


Resistors = DenseResistors | ConvResistors


def unrolled(link: Resistors) -> DenseResistors:
    """Every resistor of its own."""
    if isinstance(link, DenseResistors):
        return link
    eye = torch.eye(prod(link.below), dtype=torch.float64).reshape(-1, *link.below)

    def matrix(kernel: Array) -> Array:
        out = conv2d(eye, torch.as_tensor(kernel), stride=link.stride, padding=link.padding)
        return np.ascontiguousarray(out.flatten(1).numpy().T)

    return DenseResistors(matrix(link.plus_s), None if link.minus_s is None else matrix(link.minus_s), sparse=True)


class Operator:
    """A link on a torch device; layers are (B, units)."""

    def __init__(self, link: Resistors, device: str) -> None:
        self.link = link
        minus = np.zeros_like(link.plus_s) if link.minus_s is None else link.minus_s
        self.weight = torch.as_tensor(link.plus_s - minus, device=device, dtype=torch.float64)
        self.total = torch.as_tensor(link.plus_s + minus, device=device, dtype=torch.float64)
        ones = [torch.ones((1, prod(shape)), device=device, dtype=torch.float64) for shape in (link.below, link.above)]
        self.load_above = self._up(ones[0], self.total)[0]
        """(units above,) conductance of every node above to what is below."""
        self.load_below = self._down(ones[1], self.total)[0]
        """(units below,) the same of nodes below."""

    def up(self, below: Tensor, onto: Tensor | None = None) -> Tensor:
        """(B, above) current into nodes above at 0 V, on top of what flows there already."""
        if onto is not None and isinstance(self.link, DenseResistors):
            return torch.addmm(onto, below, self.weight.T)
        current = self._up(below, self.weight)
        return current if onto is None else onto + current

    def down(self, above: Tensor, onto: Tensor | None = None) -> Tensor:
        """(B, below) current into the outputs below at 0 V, likewise."""
        if onto is not None and isinstance(self.link, DenseResistors):
            return torch.addmm(onto, above, self.weight)
        current = self._down(above, self.weight)
        return current if onto is None else onto + current

    def reach_up(self, below: Tensor) -> Tensor:
        """`up` as if all resistors led to the plus rail: how strongly, not which way."""
        return self._up(below, self.total)

    def reach_down(self, above: Tensor) -> Tensor:
        """`down` in the same way."""
        return self._down(above, self.total)

    def heat(self, below: Tensor, above: Tensor) -> Tensor:
        """(B,) watts: sum plus (a - v)^2 + minus (a + v)^2 for outputs a below and nodes v above."""
        squares = (below.square() * self.load_below).sum(dim=-1) + (above.square() * self.load_above).sum(dim=-1)
        return squares - 2 * (self.up(below) * above).sum(dim=-1)

    def _up(self, below: Tensor, kernel: Tensor) -> Tensor:
        link = self.link
        if isinstance(link, DenseResistors):
            return below @ kernel.mT
        shaped = below.reshape(-1, *link.below)
        return conv2d(shaped, kernel, stride=link.stride, padding=link.padding).flatten(1)

    def _down(self, above: Tensor, kernel: Tensor) -> Tensor:
        link = self.link
        if isinstance(link, DenseResistors):
            return above @ kernel
        missing = [
            (size + 2 * link.padding - edge) % link.stride
            for size, edge in zip(link.below[1:], link.plus_s.shape[2:], strict=True)
        ]
        shaped = above.reshape(-1, *link.above)
        spread = conv_transpose2d(shaped, kernel, stride=link.stride, padding=link.padding, output_padding=missing)
        return spread.flatten(1)


class OperatorOfDies(Operator):
    """The dense link of several dies; layers are (dies, B, units), or (B, units) where all dies are given the same."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        self.link = operators[0].link
        if not isinstance(self.link, DenseResistors):
            raise ValueError("dies settle together where every resistor is one of its own: links must be dense")
        self.weight = torch.stack([one.weight for one in operators])
        self.total = torch.stack([one.total for one in operators])
        self.load_above = torch.stack([one.load_above for one in operators])[:, None]
        self.load_below = torch.stack([one.load_below for one in operators])[:, None]

    def up(self, below: Tensor, onto: Tensor | None = None) -> Tensor:
        """(dies, B, above)."""
        current = self._up(below, self.weight)
        return current if onto is None else onto + current

    def down(self, above: Tensor, onto: Tensor | None = None) -> Tensor:
        """(dies, B, below)."""
        current = self._down(above, self.weight)
        return current if onto is None else onto + current


def _check(plus_s: Array, minus_s: Array | None, sparse: bool) -> None:
    for name, g in (("plus", plus_s), ("minus", minus_s)):
        if g is None:
            continue
        if g.shape != plus_s.shape:
            raise ValueError(f"conductances of the minus rail are {g.shape}, of the plus rail {plus_s.shape}")
        held = (g >= 0) if sparse else (g > 0)
        wrong = np.argwhere(~(held & (g < np.inf)))  # NaN is wrong too
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            expected = "0 S (none) or more" if sparse else "above 0 S (a link that lacks resistors is sparse)"
            raise ValueError(f"a resistor of the {name} rail has {g[place]} S at {place}: expected {expected}")
