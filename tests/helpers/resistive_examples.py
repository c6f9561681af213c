"""Random resistive networks, and the mark of tests that need SPICE."""

from __future__ import annotations

from itertools import pairwise
from shutil import which

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hw.resistive.diodes import Diode, Ideal
from hw.resistive.links import DenseResistors
from hw.resistive.network import Amplifiers, Layer, ResistiveNetwork, free_layer, matched

Array = NDArray[np.float64]

needs_ngspice = pytest.mark.skipif(which("ngspice") is None, reason="ngspice is missing (apt-get install ngspice)")


def sided(units: int) -> Layer:
    """Excitatory and inhibitory nodes in turn."""
    even = np.arange(units) % 2 == 0
    nothing = np.zeros(units)
    return Layer(np.where(even, 0.0, -np.inf), np.where(even, np.inf, 0.0), nothing, nothing)


def random_network(
    sizes: tuple[int, ...],
    seed: int,
    *,
    gain: float = 1.0,
    diode: Diode | None = None,
    both_rails: bool = False,
    decades: float = 0.0,
) -> ResistiveNetwork:
    """Inputs on both rails, hidden layers with diodes, biases and leaks at some; conductances up to 10 uS, a share
    missing, spread over `decades`."""
    rng = np.random.default_rng(seed)

    def drawn(above: int, below: int) -> Array:
        spread = 10.0 ** -(decades * rng.random((above, below)))
        present = rng.random((above, below)) < 0.9
        present[:, 0] = present[0] = True
        return 1e-5 * rng.uniform(0.01, 1, (above, below)) ** 3 * spread * present

    links, layers, amplifiers = [], [], []
    for index, (below, above) in enumerate(pairwise(sizes)):
        minus = drawn(above, below) if index == 0 or both_rails else None
        links.append(DenseResistors(drawn(above, below), minus, sparse=True))
        last = index == len(sizes) - 2
        layer = free_layer(above) if last else sided(above)
        leak = 1e-6 * rng.random(above) * (rng.random(above) < 0.3)
        layers.append(Layer(layer.low_v, layer.high_v, leak, 1e-7 * rng.normal(size=above)))
        row: Amplifiers | None = None if gain == 1.0 else matched(above, gain)
        amplifiers += [] if last else [row]
    return ResistiveNetwork(tuple(links), tuple(layers), tuple(amplifiers), 1.0, diode or Ideal())


def random_inputs(network: ResistiveNetwork, images: int, seed: int) -> torch.Tensor:
    """(images, inputs) in [0, 1]."""
    shape = (images, int(np.prod(network.links[0].below)))
    return torch.as_tensor(np.random.default_rng(seed).random(shape))
