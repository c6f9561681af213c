"""Every machine there is, each with a network that it runs without noise: a new machine adds one line to `MACHINES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.crossbar_examples import EXACT, IDEAL
from helpers.random_nets import mixed_network, program_of, random_images
from helpers.relaxing_circuit import RelaxingCircuit
from hw.crossbar.fabrication import Fabrication
from hw.machine import Machine
from mapping.machines import to_crossbar, to_digital, to_lava
from mapping.program import Program
from models.ep.links import DenseLink
from models.ep.network import EPNetwork

STEPS, TOLERANCE = 12, 0.02
"""Of machines with a clock: the step limit, and the change of a state below which an image is at rest."""


@dataclass(frozen=True)
class Example:
    """A machine, and what it is to answer."""

    source: EPNetwork | Program
    make: Callable[..., Machine]
    """A machine of the source; takes `batch_size`."""
    atol: float
    """How far its states and scores may be from exact ones; 0 for integers."""
    clocked: bool = True
    learns: bool = True

    @property
    def images(self) -> NDArray[Any]:
        """Five images, the second of them black: it comes to rest long before the others."""
        images = random_images(self.source.links[0].below, 5, 3)
        images[1] = 0.0
        return images


def _dense_network() -> EPNetwork:
    generator = torch.Generator().manual_seed(5)
    shapes = ((1, 2, 3), (5,), (4,), (3,))
    links = [
        DenseLink(
            0.5 * torch.randn((*above, int(np.prod(below))), generator=generator),
            0.3 * torch.rand(above, generator=generator),
            below,
        )
        for below, above in pairwise(shapes)
    ]
    return EPNetwork(tuple(links[:2]), links[2])


NETWORK = mixed_network()
PROGRAM = program_of(NETWORK, state_bits=8, seed=4)
DENSE = _dense_network()
CLOCK = {"steps": STEPS, "tolerance": TOLERANCE}

MACHINES: dict[str, Example] = {
    "torch float": Example(NETWORK, partial(to_digital, NETWORK, **CLOCK), atol=1e-5),
    "torch fixed": Example(PROGRAM, partial(to_digital, PROGRAM, **CLOCK), atol=0.0),
    "lava float": Example(NETWORK, partial(to_lava, NETWORK, **CLOCK), atol=1e-5),
    "lava fixed": Example(PROGRAM, partial(to_lava, PROGRAM, **CLOCK), atol=0.0),
    "lava delta": Example(PROGRAM, partial(to_lava, PROGRAM, **CLOCK, delta_threshold=1), atol=0.0),
    "crossbar analog": Example(NETWORK, partial(to_crossbar, NETWORK, Fabrication(IDEAL, EXACT), **CLOCK), atol=1e-5),
    "relaxing circuit": Example(
        DENSE,
        lambda batch_size: RelaxingCircuit(DENSE, tolerance=TOLERANCE),  # noqa: ARG005 - one image at a time anyway
        atol=1e-5,
        clocked=False,
        learns=False,
    ),
}
