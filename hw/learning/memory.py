"""What a synapse or a neuron keeps of a parameter it learns: a float, or an integer with bits to spare.

The same code runs on numpy arrays and torch tensors where nothing is rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, FixedNeuron
from hw.learning.rule import Descent

GUARD_BITS = 8
"""Bits of a weight's accumulator below the weight: with 8 of them it takes 16 bits, as much as Loihi's traces and
weight together."""


class FloatMemory:
    """v <- momentum v + g + decay theta, theta <- theta - rate v; in float64, so that small changes are not lost in the
    float32 that machines compute with."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.velocity: Any = None

    def descend(self, gradient: Any, rate: float, decay: float, momentum: float) -> Any:
        """The next value; arrays are never changed in place."""
        if rate == 0.0:
            return self.value
        if decay:
            gradient = gradient + decay * self.value
        if momentum:
            self.velocity = gradient if self.velocity is None else momentum * self.velocity + gradient
            gradient = self.velocity
        self.value = self.value - rate * gradient
        return self.value


class FixedMemory:
    """An integer with `guard_bits` more than the machine computes with, changed by stochastic rounding.

    theta = (value - offset) / scale;  u ~ U[0, 1) from the memory's own generator:

        accumulator <- clip(accumulator + floor(-rate scale 2**guard_bits (g + decay theta) + u), +-limit 2**guard_bits)
        value = (accumulator + half) >> guard_bits

    so that changes far below one step of `value` arrive on average. A change that is larger than the whole range is an
    error, no saturation. `seed` names the place: two machines with the same
    seeds draw the same numbers.
    """

    def __init__(
        self,
        value: NDArray[Any],
        *,
        scale: float,
        limit: int,
        seed: tuple[int, ...],
        guard_bits: int = GUARD_BITS,
        offset: int = 0,
    ) -> None:
        self.scale, self.limit, self.guard_bits, self.offset = scale, limit, guard_bits, offset
        self.accumulator = value.astype(np.int64) << guard_bits
        self.rng = np.random.default_rng(seed)

    @property
    def value(self) -> NDArray[np.int64]:
        """What the machine computes with."""
        half = (1 << self.guard_bits) >> 1
        return (self.accumulator + half) >> self.guard_bits

    def too_large(self, gradient: NDArray[np.float64], rate: float, decay: float) -> str | None:
        """Why an update must not be made: it would leave the range of the integers at once. None if it may be."""
        largest = float(np.abs(self._wanted(gradient, rate, decay)).max(initial=0.0)) if rate else 0.0
        if largest <= 2 * self.limit:  # false for NaN too
            return None
        return (
            f"an update would change an integer by {largest:g}, it holds {-self.limit} to {self.limit}: use a smaller "
            "learning rate"
        )

    def descend(self, gradient: NDArray[np.float64], rate: float, decay: float, momentum: float) -> NDArray[np.int64]:
        """The next value; a synapse of integers has no room for momentum.

        Raises ValueError, with nothing changed, where `too_large` says why.
        """
        assert momentum == 0.0, "refused by check_descent"
        if rate == 0.0:
            return self.value
        if (reason := self.too_large(gradient, rate, decay)) is not None:
            raise ValueError(reason)
        one, top = 2.0**self.guard_bits, self.limit << self.guard_bits
        change = np.floor(one * self._wanted(gradient, rate, decay) + self.rng.random(self.accumulator.shape))
        self.accumulator = np.clip(self.accumulator + change.astype(np.int64), -top, top)
        return self.value

    def _wanted(self, gradient: NDArray[np.float64], rate: float, decay: float) -> NDArray[np.float64]:
        """The change in steps of the value, before rounding."""
        if decay:
            held = self.accumulator / 2.0**self.guard_bits
            gradient = gradient + decay * (held - self.offset) / self.scale
        change: NDArray[np.float64] = -rate * self.scale * gradient
        return change


Memory = FloatMemory | FixedMemory


def fixed_memories(circuit: Circuit, seed: int) -> list[tuple[FixedMemory, FixedMemory]]:
    """(weight, bias) of every wire of a circuit of integers, and of its readout."""
    wires = len(circuit.wires) + (circuit.readout is not None)
    return [fixed_memory(circuit, index, seed) for index in range(wires)]


def fixed_memory(circuit: Circuit, index: int, seed: int) -> tuple[FixedMemory, FixedMemory]:
    """(weight, bias) of wire `index`; index len(wires) is the readout."""
    neuron = circuit.neuron
    assert isinstance(neuron, FixedNeuron), "floats are kept by FloatMemory"
    if index == len(circuit.wires):
        assert circuit.readout is not None, "no such wire"
        wire, bias, half = circuit.readout, circuit.readout_bias, 0
        weight_scale = 1 / (circuit.logit_scale * neuron.one)
        bias_scale = 1 / circuit.logit_scale
    else:
        wire, bias, point = circuit.wires[index], circuit.biases[index], neuron.exponents[index]
        weight_scale = 2.0 ** (point - wire.up_shift)
        bias_scale, half = neuron.one * 2.0**point, 2 ** (point - 1)
    weight_limit = 2 ** (8 * wire.weight.itemsize - 1) - 1
    return (
        FixedMemory(wire.weight, scale=weight_scale, limit=weight_limit, seed=(seed, index, 1)),
        FixedMemory(bias, scale=bias_scale, limit=2**23 - 1, seed=(seed, index, 2), guard_bits=0, offset=half),
    )


def check_descent(circuit: Circuit, descent: Descent) -> None:
    """Refuse what integers cannot do."""
    if descent.momentum and isinstance(circuit.neuron, FixedNeuron):
        raise ValueError(
            f"momentum is {descent.momentum}: a synapse of integers keeps one accumulator and no momentum; use 0"
        )
