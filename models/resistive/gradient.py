"""The gradient of centered equilibrium propagation: every resistor sees only the voltage across itself, squared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.resistive.network import DeepResistive, Nudge, descend


@dataclass(frozen=True)
class ResistiveGradient:
    """Means over a batch."""

    conductances: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    hits: int
    """Images whose free output was highest at the right node."""


def centered_gradient(
    network: DeepResistive, images: Tensor, labels: Tensor, *, beta: float, free_sweeps: int, nudged_sweeps: int
) -> ResistiveGradient:
    """dC/dg_jk = c_l / 4 beta [(A v_j - v_k)^2 at beta - the same at -beta], C = 1/2 |v_L - one_hot|^2, and
    dC/db_k = -c_l / 2 beta [v_k at beta - v_k at -beta]."""
    sources = network.sources(images)
    drive = sources @ network.conductances[0].T + network.biases[0]
    free = descend(network, drive, sweeps=free_sweeps)
    targets = torch.nn.functional.one_hot(labels, network.classes).to(drive.dtype)
    up, down = (
        descend(network, drive, sweeps=nudged_sweeps, nudge=Nudge(sign * beta, targets), start=free)
        for sign in (1.0, -1.0)
    )
    conductances, biases = [], []
    below_up = below_down = sources
    strength = 1.0
    for index, (high, low) in enumerate(zip(up, down, strict=True)):
        scale = strength / (2 * beta * len(images))
        squares = (high.square() - low.square()).sum(dim=0)[:, None]
        if index == 0:
            products = (high - low).T @ sources
        else:
            products = high.T @ below_up - low.T @ below_down
            squares = squares + (below_up.square() - below_down.square()).sum(dim=0)[None]
        conductances.append((0.5 * squares - products).mul_(scale))
        biases.append((low - high).sum(dim=0) * scale)
        if index < len(network.gains):
            below_up, below_down = network.gains[index] * high, network.gains[index] * low
            strength /= network.gains[index] ** 2
    hits = int((free[-1].argmax(dim=1) == labels).sum())
    return ResistiveGradient(tuple(conductances), tuple(biases), hits)
