"""Every machine there is, each with a network that it runs without noise: a new one adds a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from hw.brian.options import RateCoding, SigmaDelta, Simulation
from hw.crossbar.fabrication import Fabrication
from hw.machine import Machine
from mapping.machines import to_brian, to_crossbar, to_digital, to_lava, to_resistive
from mapping.program import Program
from models.ep.links import DenseLink
from models.ep.network import EPNetwork
from models.resistive.equivalent import equivalent
from models.resistive.network import build_resistive

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
    recountable: bool = True
    """Whether the messages it sent can be counted again from the states it passed through."""
    learns: bool = True

    @property
    def images(self) -> NDArray[Any]:
        """Five images, the second of them black: it comes to rest long before the others."""
        images = random_images(self.source.links[0].below, 5, 3)
        images[1] = 0.0
        return images


def dense_network(*shapes: tuple[int, ...]) -> EPNetwork:
    """Dense links between layers of those shapes, the last of them the readout."""
    generator = torch.Generator().manual_seed(5)
    links = [
        DenseLink(
            0.5 * torch.randn((*above, int(np.prod(below))), generator=generator),
            0.3 * torch.rand(above, generator=generator),
            below,
        )
        for below, above in pairwise(shapes)
    ]
    return EPNetwork(tuple(links[:-1]), links[-1])


def clocked(network: EPNetwork, clock: Mapping[str, float]) -> dict[str, Example]:
    """Every machine with a clock, with that network or an integer program near it."""
    program = program_of(network, state_bits=8, seed=4)
    return {
        "torch float": Example(network, partial(to_digital, network, **clock), atol=1e-5),
        "torch fixed": Example(program, partial(to_digital, program, **clock), atol=0.0),
        "lava float": Example(network, partial(to_lava, network, **clock), atol=1e-5),
        "lava fixed": Example(program, partial(to_lava, program, **clock), atol=0.0),
        "lava delta": Example(program, partial(to_lava, program, **clock, delta_threshold=1), atol=0.0),
        "crossbar analog": Example(
            network, partial(to_crossbar, network, Fabrication(IDEAL, EXACT), **clock), atol=1e-5
        ),
    }


NETWORK = mixed_network()
DENSE = dense_network((1, 2, 3), (5,), (4,), (3,))

RESISTORS = equivalent(build_resistive((1, 2, 3), (6, 5), 3, torch.Generator().manual_seed(6), input_gain=20.0))

MACHINES: dict[str, Example] = {
    **clocked(NETWORK, {"steps": STEPS, "tolerance": TOLERANCE}),
    "brian rate": Example(
        DENSE,
        partial(to_brian, DENSE, duration_tau=60.0, simulation=Simulation(dt_tau=0.5), tolerance=TOLERANCE),
        atol=1e-5,
        clocked=False,
    ),
    "brian fixed": Example(
        (program := program_of(DENSE, state_bits=8, seed=4)),
        partial(
            to_brian,
            program,
            duration_tau=60.0,
            simulation=Simulation(dt_tau=1.0, linear="operator"),
            tolerance=TOLERANCE,
        ),
        atol=0.0,
        clocked=False,
        learns=False,
    ),
    "brian fire": Example(
        DENSE,
        partial(
            to_brian,
            DENSE,
            duration_tau=20.0,
            scheme=RateCoding(10, 10),
            simulation=Simulation(linear="operator"),
            tolerance=TOLERANCE,
        ),
        atol=0.06,
        clocked=False,
        recountable=False,
        learns=False,
    ),
    "brian spikes": Example(
        DENSE,
        partial(
            to_brian,
            DENSE,
            duration_tau=60.0,
            scheme=SigmaDelta(fall_tau=5.0),
            simulation=Simulation(dt_tau=0.5, linear="operator"),
            tolerance=TOLERANCE,
        ),
        atol=1e-4,
        clocked=False,
    ),
    "resistive analog": Example(RESISTORS, partial(to_resistive, RESISTORS), atol=1e-5, clocked=False),
    "relaxing circuit": Example(
        DENSE,
        lambda batch_size: RelaxingCircuit(DENSE, tolerance=TOLERANCE),  # noqa: ARG005 - one image at a time anyway
        atol=1e-5,
        clocked=False,
        learns=False,
    ),
}
