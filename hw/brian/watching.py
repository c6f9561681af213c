"""What the neurons of one image do, for a look at them: who fired when, and the course of a few states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.brian.network import Network
from hw.brian.options import RateCoding

TRACED, ACTIVE = 6, 0.02
"""Neurons of a layer whose states are kept, of those that ever rise so far."""
MOST_SPIKES = 4000
"""Of a layer that are kept, from the start."""


class Watch:
    """The first image of a batch."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.fired: list[list[tuple[int, int]]] = [[] for _ in network.layers]
        self.states: list[list[NDArray[np.float32]]] = [[] for _ in network.layers]

    def look(self, row: int) -> None:
        """After a step."""
        state = "v" if isinstance(self.network.scheme, RateCoding) else "s"
        for layer, fired, states in zip(self.network.layers, self.fired, self.states, strict=True):
            if layer.spiking:
                spikes = layer.fired()
                fired += [(row, int(unit)) for unit in spikes[spikes % layer.copies == 0] // layer.copies]
            states.append(layer.arrays[state][:, 0].astype(np.float32))

    def told(self) -> dict[str, Any]:
        """As JSON types: of every layer spikes as two lists, times in seconds and units, and the states of some
        that moved."""
        step_s = self.network.step_tau * self.network.simulation.tau_s
        layers = []
        for layer, fired, states in zip(self.network.layers, self.fired, self.states, strict=True):
            course = np.stack(states)
            moved = _telling(course)
            kept = fired[:MOST_SPIKES]
            layers.append(
                {
                    "units": layer.units,
                    "spikes": len(fired),
                    "spike_times_s": [round(step_s * (row + 1), 9) for row, _ in kept],
                    "spike_units": [unit for _, unit in kept],
                    "traced": moved.tolist(),
                    "states": course[:, moved].T.astype(np.float64).round(5).tolist(),
                }
            )
        return {"step_s": step_s, "layers": layers}


def _telling(course: NDArray[np.float32]) -> NDArray[np.intp]:
    """Units of a course (T, units), from the lowest of those that moved to the highest; the first where none did."""
    highest = np.abs(course).max(axis=0)
    moved = np.flatnonzero(highest > ACTIVE * max(float(highest.max()), 1e-9))
    if not len(moved):
        return np.arange(min(TRACED, course.shape[1]))
    ranked = moved[np.argsort(np.abs(course[-1, moved]), kind="stable")]
    chosen: NDArray[np.intp] = ranked[np.unique(np.linspace(0, len(ranked) - 1, TRACED).round().astype(int))]
    return chosen
