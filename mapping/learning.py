"""Between a network and a machine that learns: rates on the way down, weights on the way back.

A wire under average pooling carries w / k**2 for a window of k x k, since it adds up where the network averages. What
is a rate r and a decay d of the network's weight is r / k**4 and d k**4 of the wire's: then both move alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hw.circuit import Weights
from hw.learning.rule import Descent
from mapping.program import Program, ProgramLink
from models.ep.links import DenseLink, Link, with_tensors
from models.ep.network import EPNetwork


def descent_of(
    source: EPNetwork | Program,
    learning_rates: Sequence[float],
    *,
    weight_decay: Sequence[float] | None = None,
    momentum: float = 0.0,
) -> Descent:
    """The machine's rates from those of a network: one per link and one for the readout, if there is one."""
    windows = [_window(link) for link in source.links]
    windows += [] if source.readout is None else [1]
    decays = [0.0] * len(windows) if weight_decay is None else list(weight_decay)
    for name, values in (("learning_rates", learning_rates), ("weight_decay", decays)):
        if len(values) != len(windows):
            raise ValueError(f"{name} has {len(values)} values, expected {len(windows)}: one per link and readout")
    return Descent(
        weight_rates=tuple(rate / window**2 for rate, window in zip(learning_rates, windows, strict=True)),
        bias_rates=tuple(learning_rates),
        weight_decays=tuple(decay * window**2 for decay, window in zip(decays, windows, strict=True)),
        bias_decays=tuple(decays),
        momentum=momentum,
    )


def network_with(network: EPNetwork, weights: Weights) -> EPNetwork:
    """The network with what a float machine, or a crossbar, has learnt."""
    readout = network.readout
    links = [_learnt(link, weights, index) for index, link in enumerate(network.links)]
    top = None if readout is None else _learnt(readout, weights, len(links))
    assert top is None or isinstance(top, DenseLink)
    return replace(network, links=tuple(links), readout=top)


def program_with(program: Program, weights: Weights) -> Program:
    """The program with what a machine of integers has learnt; `ProgramError` if an accumulator could now overflow."""
    named = list(program.named_links().values())
    changed = [
        replace(link, weight=weight.astype(np.int8), bias=np.asarray(bias, np.int64).reshape(-1).astype(np.int32))
        for link, weight, bias in zip(named, weights.weights, weights.biases, strict=True)
    ]
    count = len(program.links)
    return replace(program, links=tuple(changed[:count]), readout=changed[count] if program.readout else None)


def _learnt(link: Link, weights: Weights, index: int) -> Link:
    def tensor(values: object, like: Tensor) -> Tensor:
        return torch.as_tensor(np.asarray(values)).to(like.dtype).reshape(like.shape)

    weight = tensor(weights.weights[index], link.weight) * _window(link)
    return with_tensors(link, weight, tensor(weights.biases[index], link.bias))


def _window(link: Link | ProgramLink) -> int:
    """Units under one window of an average pool."""
    return link.pool_size**2 if not isinstance(link, DenseLink) and link.pooling == "average" else 1
