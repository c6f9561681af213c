"""Energy of a network, for tests and for watching a relaxation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from models.ep.network import EPNetwork


def energy(network: EPNetwork, images: Tensor, states: Sequence[Tensor]) -> Tensor:
    """(B,)  E = 1/2 sum_l |s_l|^2 - sum_l < pool(W_l * s_{l-1}) + b_l, s_l >, and the same of skips."""
    total = images.new_zeros(len(images))
    below = images
    for link, state in zip(network.links, states, strict=True):
        drive = link.up(below)[0] + link.spread_bias()
        total = total + (state * (0.5 * state - drive)).flatten(1).sum(dim=1)
        below = state
    for skip in network.skips:
        drive = skip.link.up(states[skip.source - 1])[0]
        total = total - (states[skip.target - 1] * drive).flatten(1).sum(dim=1)
    return total


def one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """(B, classes) targets in the dtype and on the device of `like`."""
    return like.new_zeros((len(labels), classes)).scatter_(1, labels[:, None], 1)
