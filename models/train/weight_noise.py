"""Training for hardware that cannot hold a weight exactly: every batch is learnt on another die.

A weight programmed into an analog device comes out as w + sigma(w) N with, as the device papers publish it,

    sigma(w) = w_max * sum_k c_k (|w| / w_max)**k,      w_max = max |w| of its tensor.

All phases of one EP gradient run on the same draw, as they would on one die, and the gradient is applied to the weight
that was aimed at (Joshi et al., Nat. Commun. 11:2473, 2020, for backpropagation). Biases are digital and stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.ep.network import EPNetwork


def programmed(network: EPNetwork, coefficients: Sequence[float], generator: torch.Generator) -> EPNetwork:
    """The network as one die would hold it; `coefficients` are c_0, c_1, ... and `generator` is on the CPU."""
    named = network.named_parameters()
    noisy = {
        name: _programmed(tensor, coefficients, generator) if name.endswith(".weight") else tensor
        for name, tensor in named.items()
    }
    return network.with_parameters(noisy)


def limit_weights(parameters: dict[str, Tensor], deviations: float) -> None:
    """Clip every weight tensor, in place, at so many standard deviations of its entries.

    A few large weights would stretch the range of the devices, and with it the noise of all the others.
    """
    for name, tensor in parameters.items():
        if name.endswith(".weight"):
            limit = deviations * tensor.std()
            tensor.clamp_(-limit, limit)


def _programmed(weight: Tensor, coefficients: Sequence[float], generator: torch.Generator) -> Tensor:
    largest = weight.abs().max()
    share = weight.abs() / largest.clamp(min=torch.finfo(weight.dtype).tiny)
    sigma = sum(c * share**power for power, c in enumerate(coefficients)) * largest
    noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
    return weight + sigma * noise
