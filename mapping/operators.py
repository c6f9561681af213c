"""Links of a network or program as the operators a digital machine runs and changes."""

from __future__ import annotations

import torch
from torch import Tensor

from mapping.program import ProgramLink
from models.ep.links import ConvLink, Link, pools_by_maxima, with_tensors


class LinkOperator:
    """One link on a torch device, in the units of its wire.

    A wire under average pooling carries the weight over the window k**2, since it adds up where the network averages:
    w_wire = w / k**2, and dPhi/dw_wire = k**2 dPhi/dw.
    """

    def __init__(self, link: Link) -> None:
        self.window = link.pool_size**2 if isinstance(link, ConvLink) and link.pooling == "average" else 1
        self.link = link
        self.runs = link.folded()

    @property
    def weight(self) -> Tensor:
        """The wire's weight."""
        return self.link.weight / self.window

    def up(self, below: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sums for the layer above, and the switch of a max pool."""
        return self.runs.up(below)

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """Sums for the layer below."""
        return self.runs.down(above, switch)

    def correlate(self, below: Tensor, above: Tensor) -> Tensor:
        """dPhi/dw_wire, summed over the batch in float64; a max pool at the winners of these states."""
        switch = self.link.up(below)[1] if pools_by_maxima(self.link) else None
        return self.window * self.link.correlate(below.double(), above.double(), switch)

    def load(self, weight: Tensor) -> None:
        """Take these wire weights from now on."""
        self.link = with_tensors(self.link, weight.to(self.link.weight) * self.window, self.link.bias)
        self.runs = self.link.folded()


def float_operator(link: Link, device: str) -> LinkOperator:
    """A link in float32."""
    return LinkOperator(with_tensors(link, link.weight.to(device, torch.float32), link.bias.to(device, torch.float32)))


def integer_operator(link: ProgramLink, device: str) -> LinkOperator:
    """A link of a program: integers carried in float64."""
    operator = link.operator(link.weight)
    return LinkOperator(with_tensors(operator, operator.weight.to(device), operator.bias.to(device)))
