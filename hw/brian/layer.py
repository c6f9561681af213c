"""A layer of neurons of several images side by side, as a Brian group and as arrays on its memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.brian.equations import Neurons
from hw.brian.loading import load_brian
from hw.circuit import Shape

Array = NDArray[np.float64]
NEVER_S = -1e4
"""When a neuron that has not fired yet is taken to have fired last, as Brian itself has it."""


class Layer:
    """`copies` images of a layer in one group: unit u of copy k is neuron u * copies + k.

    `arrays` are Brian's own memory, (units, copies) or (1,) of what is shared: writing to it needs no code of Brian's.
    """

    def __init__(
        self,
        name: str,
        shape: Shape,
        copies: int,
        text: Neurons,
        clock: Any,
        constants: dict[str, Any],
        refractory: Any,
    ) -> None:
        self.shape, self.units, self.copies = shape, int(np.prod(shape)), copies
        spiking = {} if text.threshold is None else {"threshold": text.threshold, "reset": text.reset}
        self.group = load_brian().NeuronGroup(
            self.units * copies,
            text.model,
            method=text.method,
            clock=clock,
            namespace=constants,
            name=f"{name}*",
            refractory=refractory,
            **spiking,
        )
        self.spiking = bool(spiking)
        self.arrays: dict[str, NDArray[Any]] = {}
        for variable, held in self.group.variables.items():
            if not hasattr(held, "get_value") or not hasattr(held, "size") or variable.startswith("_"):
                continue
            if getattr(held, "dynamic", False) or variable in ("N", "i", "t", "dt", "t_in_timesteps"):
                continue
            if held.size in (1, self.units * copies):
                values = held.get_value()
                self.arrays[variable] = values if held.scalar else values.reshape(self.units, copies)
        self._space = self.group.variables["_spikespace"].get_value() if spiking else None

    def clear(self) -> None:
        """As before the first step: every state and current at 0, no nudge, nothing sent, nobody refractory."""
        for name, values in self.arrays.items():
            if name in ("s", "v", "sent", "up", "down", "arrived", "payload", "noise", "pull", "leak"):
                values[...] = 0.0
        self.rest()

    def rest(self) -> None:
        """Nobody is refractory."""
        if "lastspike" in self.arrays:
            self.arrays["lastspike"][...] = NEVER_S
            self.arrays["not_refractory"][...] = True

    def fired(self) -> NDArray[np.intp]:
        """The neurons that cross their threshold in this step."""
        assert self._space is not None, "rate neurons do not fire"
        found: NDArray[np.intp] = self._space[: self._space[-1]]
        return found

    def shaped(self, values: NDArray[Any]) -> NDArray[Any]:
        """(units, copies) as the kernels read it, (*shape, copies)."""
        return values.reshape(*self.shape, self.copies)
