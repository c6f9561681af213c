"""How many bits do the sums of a network need? Noise is added to every one of them until answers suffer.

Every sum that arrives at a unit, and every score, gets fresh Gaussian noise of standard deviation x R at every step, R
the largest magnitude that sums of its layer have on calibration images. The largest x that keeps the accuracy within a
point of that without noise gives the bits: a converter of b bits over [-R, R] has steps of 2 R / 2^b, whose rounding is
noise of a step / sqrt(12), so

    b = log2(2 / (x sqrt(12))).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, sqrt

import numpy as np
import torch
from torch import Tensor

from hw.digital.dynamics import Dynamics
from mapping.machines import steps_of, to_digital
from models.data import ImageSet
from models.ep.network import EPNetwork

LEVELS = tuple(2.0**-half for half in np.arange(1.0, 9.5, 0.5))
"""x, largest first."""
DRAWS = 3
ALLOWED = 0.01
"""Accuracy that may be lost."""


@dataclass(frozen=True)
class Bits:
    """What noise a network stands."""

    noise: float
    """The largest x; the smallest that was tried where even that is too much."""
    bits: float
    clean: float
    """Accuracy without noise."""
    curve: tuple[tuple[float, float], ...]
    """(x, accuracy), largest x first."""


def bits_of(noise: float) -> float:
    """b of x."""
    return log2(2 / (noise * sqrt(12)))


@torch.no_grad()
def bits_needed(network: EPNetwork, images: ImageSet, steps: int, seed: int = 0) -> Bits:
    """Of a network that settles for so many steps, or passes once, on these images."""
    dynamics = to_digital(network, steps=1).dynamics
    shown, labels, steps = images.floats(), images.labels, steps_of(network, steps)
    ranges: list[Tensor] = []
    clean = _accuracy(dynamics, shown, labels, steps, ranges, None)
    generator, curve = torch.Generator().manual_seed(seed), []
    for level in LEVELS:
        noisy = [level * scale for scale in ranges]
        shares = [_accuracy(dynamics, shown, labels, steps, noisy, generator) for _ in range(DRAWS)]
        curve.append((level, float(np.mean(shares))))
        if curve[-1][1] >= clean - ALLOWED:
            break
    return Bits(curve[-1][0], bits_of(curve[-1][0]), clean, tuple(curve))


def _accuracy(
    dynamics: Dynamics,
    images: Tensor,
    labels: Tensor,
    steps: int,
    scales: list[Tensor],
    generator: torch.Generator | None,
) -> float:
    """Share of right answers; without a generator nothing is noisy, and `scales` is filled with R of every layer and of
    the scores."""
    circuit, drive = dynamics.circuit, dynamics.input_drive(images)
    states = [images, *(images.new_zeros((len(images), *shape)) for shape in circuit.layers[1:])]
    seen = [torch.zeros(()) for _ in range(len(states))]

    def read(index: int, sums: Tensor) -> Tensor:
        if generator is None:
            seen[index] = torch.maximum(seen[index], sums.abs().max())
            return sums
        return sums + scales[index] * torch.randn(sums.shape, generator=generator)

    for _ in range(steps):
        sums = [read(layer, total) for layer, total in enumerate(dynamics.drives(states, drive))]
        states = [images, *(dynamics.arithmetic.state(total, layer) for layer, total in enumerate(sums))]
    scores = read(len(states) - 1, dynamics.scores(states[-1]))
    if generator is None:
        scales[:] = seen
    return float((scores.argmax(dim=1) == labels).double().mean())
