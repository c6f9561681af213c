"""What the Lava machine and its host say to each other about learning. Importing this imports no Lava."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, Weights
from hw.learning.phases import UpdatePhases


@dataclass(frozen=True)
class LearningJob:
    """Everything a learning graph is built from."""

    circuit: Circuit
    phases: UpdatePhases
    batch: int
    seed: int
    """Of the stochastic rounding of integers."""
    stall_s: float


@dataclass(frozen=True)
class Assignment:
    """What the host tells a process that learns about one batch: numbers only, they travel as one message."""

    images: float
    """Images in the batch; the rest is padding."""
    last: float
    """1 if the weights are sent out after this batch."""
    weight_rate: float
    bias_rate: float
    weight_decay: float
    bias_decay: float
    momentum: float

    def packed(self) -> NDArray[np.float64]:
        """As it travels."""
        return np.array(astuple(self), np.float64)


ASSIGNED = (len(fields(Assignment)),)
"""Shape of an assignment on its way."""


@dataclass(frozen=True)
class Pass:
    """All batches of one pass, the batch last, as on the ports."""

    images: list[NDArray[Any]]
    """(*input shape, B) codes, padding zero."""
    targets: list[NDArray[Any]]
    """(K, B) one-hot."""
    assignments: list[list[NDArray[np.float64]]]
    """Of every link and of the readout or, if there is none, the output: one packed assignment per batch."""


@dataclass(frozen=True)
class PassReport:
    """What the graph reports of one pass."""

    events: NDArray[np.float64]
    """(2, steps, layers, columns) events, nonzero and changed, of all images."""
    hits: int
    weights: Weights
