"""A rule as the messages that the processes of a learning graph receive. Importing this imports no Lava."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, FixedNeuron
from hw.lava.learning.messages import Assignment, Pass
from hw.learning.rule import LearningRule, one_hot


def pass_of(circuit: Circuit, images: NDArray[np.floating], labels: NDArray[np.integer], rule: LearningRule) -> Pass:
    """Batches of equal size, the last one padded with zeros, and what every process needs to know about each."""
    fixed, size = isinstance(circuit.neuron, FixedNeuron), rule.batch_size
    codes = circuit.encode(images).astype(np.int16 if fixed else np.float32)
    targets = one_hot(labels, circuit.classes).astype(np.float64 if fixed else np.float32)
    batches = ceil(len(codes) / size)
    counts = [min(size, len(codes) - first) for first in range(0, len(codes), size)]
    descent = rule.descent

    def assignment(wire: int, batch: int) -> NDArray[np.float64]:
        return Assignment(
            images=counts[batch],
            last=batch + 1 == batches,
            weight_rate=descent.weight_rates[wire],
            bias_rate=descent.bias_rates[wire],
            weight_decay=descent.weight_decays[wire],
            bias_decay=descent.bias_decays[wire],
            momentum=descent.momentum,
        ).packed()

    return Pass(
        images=batched(codes, size),
        targets=batched(targets, size),
        assignments=[
            [assignment(wire, batch) for batch in range(batches)] for wire in range(len(descent.weight_rates))
        ],
    )


def batched(values: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """(N, ...) as batches (..., size), the last one padded with zeros."""
    runs = ceil(len(values) / size)
    padded = np.zeros((runs * size, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return [np.ascontiguousarray(np.moveaxis(part, 0, -1)) for part in padded.reshape(runs, size, *values.shape[1:])]
