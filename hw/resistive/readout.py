"""How voltages are read as the states and class scores of the network that was put on resistors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """s_l = per_volt_l v_l + shift_l; scores = weight s_L + bias, outside the circuit."""

    input_shape: Shape
    """(C, H, W) of one image."""
    shapes: tuple[Shape, ...]
    """Of the states of layers 1..L."""
    per_volt: tuple[Array, ...]
    """(units,) of every layer."""
    shift: tuple[Array, ...]
    weight: Array
    """(classes, units of layer L)."""
    bias: Array

    def states(self, index: int, volts: Array) -> Array:
        """(..., units) volts of layer index + 1 to states."""
        found: Array = self.per_volt[index] * volts + self.shift[index]
        return found

    def scores(self, volts: Array) -> Array:
        """(..., units) volts of the last layer to (..., classes)."""
        found: Array = self.states(len(self.per_volt) - 1, volts) @ self.weight.T + self.bias
        return found
