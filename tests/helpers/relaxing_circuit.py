"""A toy machine without a clock: capacitors that settle by themselves, integrated by scipy."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from helpers.naive import NaiveLink, scores
from hw.circuit import checked_images
from hw.events.analog import AnalogEvents
from hw.ledger import Ledger
from hw.machine import Settled
from models.ep.network import EPNetwork

Array = NDArray[np.float64]

RESISTANCE_OHM = 1e6
CAPACITANCE_F = 1e-12
TAU_S = RESISTANCE_OHM * CAPACITANCE_F
AMPLIFIER_W = 1e-6
TIMES_S = TAU_S * np.geomspace(0.5, 40.0, 20)
"""When the states are looked at."""


class RelaxingCircuit:
    """Every unit is a capacitor C that an amplifier at clip(drive(s), 0, 1) volts charges through a resistor R,

        R C ds/dt = clip(drive(s), 0, 1) - s,   s(0) = 0,

    so that it comes to rest at the states of the network (dense links, or convolutions without a pool). Resistors
    dissipate (clip(drive) - s)**2 / R, and every amplifier draws `AMPLIFIER_W`. An image is at rest once no state is
    farther than `tolerance` from where it ends.
    """

    def __init__(self, network: EPNetwork, *, tolerance: float) -> None:
        self.network, self.tolerance = network, tolerance
        links = [NaiveLink(link) for link in network.links]
        self.layers = [naive.above for naive in links]
        sizes = [len(naive.matrix) for naive in links]
        self.ends = np.cumsum(sizes)
        self.from_input = np.zeros((self.ends[-1], links[0].matrix.shape[1]))
        self.from_input[: sizes[0]] = links[0].matrix
        self.between = np.zeros((self.ends[-1], self.ends[-1]))
        """The same conductances up and down: symmetric."""
        for index, naive in enumerate(links[1:], start=1):
            above = slice(self.ends[index - 1], self.ends[index])
            below = slice(self.ends[index - 1] - sizes[index - 1], self.ends[index - 1])
            self.between[above, below] = naive.matrix
            self.between[below, above] = naive.matrix.T
        biases = [np.repeat(link.bias.double().numpy(), int(np.prod(link.above[1:]))) for link in network.links]
        self.bias = np.concatenate(biases)

    def settle(self, images: NDArray[np.floating], *, trace: bool = False) -> Settled:
        """Let every image settle until the last of `TIMES_S`."""
        images = checked_images(images, self.network.input_shape)
        runs = [self._run(image.ravel().astype(np.float64)) for image in images]
        states = np.stack([run[:, :-1] for run in runs], axis=1)
        layers = [
            part.reshape(*part.shape[:2], *shape)
            for part, shape in zip(np.split(states, self.ends[:-1], axis=2), self.layers, strict=True)
        ]
        by_time = np.stack([scores(self.network, row) for row in np.split(states, self.ends[:-1], axis=2)[-1]])
        far = (np.abs(states - states[-1]) > self.tolerance).any(axis=2)  # (T, B), never in the last row
        count = len(images)
        energy_j = {
            "resistors": float(sum(run[-1, -1] for run in runs)),
            "amplifiers": AMPLIFIER_W * states.shape[2] * float(TIMES_S[-1]) * count,
        }
        return Settled(
            logits=by_time[-1],
            logits_by_step=by_time,
            states=tuple(layer[-1] for layer in layers),
            one=1,
            steps=None,
            residual=np.abs(states[-1] - states[-2]).max(axis=1),
            ledger=Ledger(count, analog=AnalogEvents(energy_j, count * float(TIMES_S[-1]))),
            trace=tuple(layers) if trace else None,
            times_s=TIMES_S,
            rest_s=TIMES_S[far.sum(axis=0)],
        )

    def __enter__(self) -> RelaxingCircuit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def _run(self, x: Array) -> Array:
        """(T, units + 1) states of all layers, and the joules in the resistors so far."""
        constant = self.from_input @ x + self.bias

        def slope(_: float, state: Any) -> Array:
            gap = np.clip(constant + self.between @ state[:-1], 0, 1) - state[:-1]
            return np.append(gap / TAU_S, gap @ gap / RESISTANCE_OHM)

        # states are of the order of 1, joules of 1e-12
        atol = np.append(np.full(self.ends[-1], 1e-9), 1e-21)
        start = np.zeros(self.ends[-1] + 1)
        found = solve_ivp(slope, (0.0, TIMES_S[-1]), start, t_eval=TIMES_S, rtol=1e-7, atol=atol)
        rows: Array = found.y.T
        return rows
