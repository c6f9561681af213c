"""What the Lava machine and its host say to each other. Importing this imports no Lava."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit


@dataclass(frozen=True)
class Job:
    """Everything a Lava graph is built from."""

    circuit: Circuit
    steps: int
    batch: int
    tolerance: float | None
    delta_threshold: int | None
    trace: bool
    stall_s: float
    process_models: dict[str, str]
    """Process kind (Source, Link, Layer, Readout, Rest) to "module:Class", for a process model of the user's own."""


@dataclass(frozen=True)
class Batch:
    """What the processes of a graph report of one batch; the batch comes last, as on the ports."""

    source_events: NDArray[np.float64]
    states: tuple[NDArray[Any], ...]
    reports: tuple[NDArray[np.float64], ...]
    scores: NDArray[np.float64]
    steps: NDArray[np.int32] | None
    trace: tuple[NDArray[Any], ...] | None
