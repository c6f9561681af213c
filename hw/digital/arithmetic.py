"""What a number format does in a settle and in learning."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hw.circuit import FixedNeuron


class Arithmetic(Protocol):
    """How a number format does what settling and learning consist of."""

    dtype: torch.dtype

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """What a wire delivers, given the operator's sums."""
        ...

    def state(self, drive: Tensor, layer: int) -> Tensor:
        """The neuron: drive with bias (B, *shape) of computed layer `layer` (0-based) to state."""
        ...

    def output(self, drive: Tensor, beta: float, target: Tensor) -> Tensor:
        """The last layer under a squared error: clip((drive + beta y) / (1 + beta), 0, 1), y (B, units) one-hot."""
        ...

    def error(self, scores: Tensor, target: Tensor) -> Tensor:
        """y - softmax(scores) (B, K) as it is sent back through a readout."""
        ...

    def pull(self, sums: Tensor, beta: float) -> Tensor:
        """beta R^T (y - softmax), on the accumulators of the last layer, from the readout's sums of the error."""
        ...


class FloatArithmetic:
    """s = clip(drive, 0, 1) in float32."""

    dtype = torch.float32

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """Floating point takes the sums as they are; there is no binary point to shift to."""
        assert shift == 0
        return sums

    def state(self, drive: Tensor, layer: int) -> Tensor:  # noqa: ARG002 - all layers alike
        """clip(drive, 0, 1)."""
        return drive.clamp(0, 1)

    def output(self, drive: Tensor, beta: float, target: Tensor) -> Tensor:
        """clip((drive + beta y) / (1 + beta), 0, 1)."""
        return ((drive + beta * target) / (1 + beta)).clamp(0, 1)

    def error(self, scores: Tensor, target: Tensor) -> Tensor:
        """y - softmax(scores)."""
        return target - scores.softmax(dim=1)

    def pull(self, sums: Tensor, beta: float) -> Tensor:
        """beta times the sums."""
        return beta * sums


class IntegerArithmetic:
    """Integers carried in float64.

    Every sum of a valid program stays below 2**23 and float64 is exact to 2**53, so whatever algorithm a convolution
    library picks, its error is far below the half that rounding removes: the integers are exact on any device.
    """

    dtype = torch.float64

    def __init__(self, neuron: FixedNeuron, logit_scale: float) -> None:
        self.neuron, self.logit_scale = neuron, logit_scale
        self.top = 2.0 ** neuron.exponents[-1]

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """Round away the error of the convolution, then shift left onto the accumulator's binary point."""
        return sums.round() * 2**shift

    def state(self, drive: Tensor, layer: int) -> Tensor:
        """clip(drive >> exponent, 0, one): the arithmetic shift rounds towards minus infinity."""
        return (drive * 2.0 ** -self.neuron.exponents[layer]).floor().clamp(0, self.neuron.one)

    def output(self, drive: Tensor, beta: float, target: Tensor) -> Tensor:
        """The same of (drive + beta y) / (1 + beta), with the pull beta y as an integer on the accumulator; the half
        that rounds is not divided with the rest."""
        pull = (beta * self.neuron.one * self.top * target).round()
        nudged = (drive + pull - self.top / 2) / (1 + beta)
        return (nudged / self.top + 0.5).floor().clamp(0, self.neuron.one)

    def error(self, scores: Tensor, target: Tensor) -> Tensor:
        """round(one (y - softmax)): codes with a sign; the softmax itself is computed in floating point."""
        return (self.neuron.one * (target - (scores * self.logit_scale).softmax(dim=1))).round()

    def pull(self, sums: Tensor, beta: float) -> Tensor:
        """round(beta times the sums), shifted onto the binary point of the last layer."""
        return (beta * self.top * self.logit_scale * self.neuron.one * sums).round()
