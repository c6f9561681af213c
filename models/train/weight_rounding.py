"""Training for hardware that holds integers: every phase sees the weights as they will be loaded.

    W_q = clip(round(W 2**e), -m, m) / 2**e,      m = 2**(bits - 1) - 1,      e the largest with max |W| 2**e <= m

The gradient found there moves the weights that were rounded (straight-through). Biases stay exact: machines hold them
in more bits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.ep.network import EPNetwork


def rounded(network: EPNetwork, bits: int) -> EPNetwork:
    """The network with the weights of every link as integers of so many bits times a power of two."""
    named = network.named_parameters()
    return network.with_parameters(
        {name: _rounded(tensor, bits) if name.endswith(".weight") else tensor for name, tensor in named.items()}
    )


def _rounded(weight: Tensor, bits: int) -> Tensor:
    top = 2 ** (bits - 1) - 1
    largest = weight.abs().amax().clamp(min=1e-30)
    scale = torch.exp2(torch.floor(torch.log2(top / largest)))
    return (weight * scale).round().clamp(-top, top) / scale
