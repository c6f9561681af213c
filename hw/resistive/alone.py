"""One image on one small network: where calling torch takes longer than computing, numpy sweeps.

What images have in common is divided by the loads beforehand: v_l = clip(start_l + U_l v_{l-1} + D_l v_{l+1}).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw.resistive.diodes import Ideal
from hw.resistive.links import DenseResistors

if TYPE_CHECKING:
    from hw.resistive.solver import Solver

Array = NDArray[np.float64]
MOST_RESISTORS = 200_000
"""Of a network for which this is faster."""
SWEEPS = 60
"""What has not come to rest by then needs more than sweeps."""


class Alone:
    """A network prepared for single images; `suits` says which networks it is for."""

    def __init__(self, solver: Solver) -> None:
        numbers = range(len(solver.loads))
        loads = [load.numpy() for load in solver.loads]
        weights = [operator.weight.numpy() for operator in solver.operators]
        self.loads = loads
        self.bias = [bias.numpy() / load for bias, load in zip(solver.bias, loads, strict=True)]
        self.up = [weights[i] * solver.gain[i - 1].numpy() / loads[i][:, None] if i else None for i in numbers]
        self.down = [
            np.ascontiguousarray(weights[i + 1].T) * (solver.back[i].numpy() / loads[i])[:, None]
            if i + 1 < len(loads)
            else None
            for i in numbers
        ]
        self.bounds = [
            (one.low.numpy(), one.high.numpy()) if held else None
            for one, held in zip(solver.bounds, solver.held, strict=True)
        ]
        self.weights = solver.weights

    def settle(self, drive: Array, largest_v: float, tolerance: float) -> tuple[list[Array], float, int] | None:
        """Voltages of all layers, the current left over and sweeps, from the currents (units,) that sources of up to
        `largest_v` drive into layer 1; None: not at rest."""
        start = [self.bias[0] + drive / self.loads[0], *self.bias[1:]]
        volts = [np.zeros_like(one) for one in start]
        odd, even = range(0, len(volts), 2), range(1, len(volts), 2)
        last = even or odd
        before = np.inf
        for sweep in range(1, SWEEPS + 1):
            moved = 0.0
            for index in (*odd, *even):
                new = self._layer(index, start[index], volts)
                if index in last:
                    step = new - volts[index]
                    moved += self.weights[index] * float(step @ step)  # no less than that of any one node
                volts[index] = new
            moved = moved**0.5
            rate = min(max(moved / before, 0.1), 1 - 1e-12) if before else 0.1
            if moved <= 1e-16 * largest_v or (sweep > 1 and moved * rate / (1 - rate) <= tolerance * largest_v):
                return volts, self._left(start, volts), sweep
            before = moved
        return None

    def _left(self, start: list[Array], volts: list[Array]) -> float:
        """The largest current left over at a node."""
        gaps = (load * (self._layer(i, start[i], volts) - volts[i]) for i, load in enumerate(self.loads))
        return max(float(np.abs(gap).max()) for gap in gaps)

    def _layer(self, index: int, start: Array, volts: list[Array]) -> Array:
        up, down, bounds = self.up[index], self.down[index], self.bounds[index]
        new = start
        if up is not None:
            new = new + up @ volts[index - 1]
        if down is not None:
            new = new + down @ volts[index + 1]
        return new if bounds is None else np.minimum(np.maximum(new, bounds[0]), bounds[1])


def suits(solver: Solver) -> bool:
    """Whether a network is small, of dense links and ideal diodes, and on the CPU."""
    network = solver.network
    dense = all(isinstance(link, DenseResistors) for link in network.links)
    sizes = sum(link.plus_s.size for link in network.links)
    return dense and sizes <= MOST_RESISTORS and isinstance(network.diode, Ideal) and solver.device == "cpu"
