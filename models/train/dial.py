"""Feedback as a dial: how strong the loop becomes is part of what is learnt.

Gradients alone leave feedback out: it costs the lower layers accuracy as often as it buys some, and decay shrinks it.
What feeds layer l back is W_{l+1}^T s_{l+1}, and it grows fastest along

    H = d/dW_{l+1} <s_{l+1}, W_{l+1} * s_l>  =  correlation of the two states at rest,

Hebb's rule: units that are active together excite each other. So the weights of link l + 1 descend along

    G / |G|  -  kappa H / |H|,        kappa <- clip( 0.9 kappa + target_l - share_l, -1, 1 ),

with share_l the feedback of layer l over what it receives from below (`models.ep.feedback`), in this batch. kappa is
the integral of what is missing, over about ten batches. Both terms are sums of local correlations. The target goes
linearly from the share that the training begins with to the one asked for, over its first third: a network that is
pulled at once forgets what it knew.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.ep.feedback import shares
from models.ep.gradient import Gradient, switches
from models.ep.network import EPNetwork
from models.ep.relaxation import States

MEMORY = 0.9
"""Of what was missing in earlier batches."""
PART = 4
"""The share and the direction are taken from one of so many images of a batch."""
GROWING = 1 / 3
"""Of the training, the part in which the target moves."""


class UnsettledError(ArithmeticError):
    """Feedback so strong that the watched images do not come to rest; the message names epoch, radius and dial."""


class Dial:
    """The strength of feedback in layers 1..L-1, and what it takes to keep it where it is wanted."""

    def __init__(self, targets: tuple[float, ...], device: str | torch.device) -> None:
        self.targets = torch.tensor(targets, device=device)
        self.kappa = torch.zeros(len(targets), device=device)
        """(L - 1,) changed in place, as is the share in the first batch, NaN before it."""
        self.begun = torch.full((len(targets),), torch.nan, device=device)

    def turn(self, gradient: Gradient, hebbian: Gradient, share: Tensor, progress: float) -> Gradient:
        """The gradient with the pull of the dial on links 2..L, `progress` (0 to 1) of the training being done."""
        self.begun.copy_(torch.where(self.begun.isnan(), share, self.begun))
        wanted = self.begun + (self.targets - self.begun) * min(1.0, progress / GROWING)
        self.kappa.mul_(MEMORY).add_(wanted - share).clamp_(-1, 1)
        turned = dict(gradient)
        for index, (name, direction) in enumerate(hebbian.items()):
            turned[name] = _unit(gradient[name]) - self.kappa[index] * _unit(direction)
        return turned


@torch.no_grad()
def hebbian(network: EPNetwork, images: Tensor, states: States) -> tuple[Tensor, Gradient]:
    """(shares (L - 1,), directions by the names of the weights of links 2..L) of a part of the batch.

    States may be in half precision: weights are then used in it, too.
    """
    part = max(1, len(images) // PART)
    dtype = states[0].dtype
    held_network = network.map_parameters(lambda tensor: tensor.to(dtype))
    seen, rest = images[:part].to(dtype), tuple(state[:part] for state in states)
    held = switches(held_network, seen, rest)
    directions = {
        f"link{index + 1}.weight": held_network.links[index]
        .correlate(rest[index - 1], rest[index], held[index])
        .float()
        for index in range(1, len(network.links))
    }
    return shares(held_network, seen, rest).float(), directions


def _unit(tensor: Tensor) -> Tensor:
    return tensor / tensor.norm().clamp(min=torch.finfo(tensor.dtype).tiny)
