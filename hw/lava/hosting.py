"""How a Lava graph is hosted and watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hosting:
    """What the interpreter that hosts a graph uses beside the circuit; none of it changes an answer."""

    stall_s: float = 60.0
    """Seconds without a move of any process after which a run ends with `LavaStalledError`."""
    process_models: Mapping[str, str] = field(default_factory=dict)
    """Process kind (Source, Link, Layer, Readout, Rest) to "module:Class", for a process model of the user's own."""
    progress: Callable[[int, int], None] | None = None
    """Called with (batches done, all batches) while a run goes on."""


HOSTING = Hosting()
"""Sixty seconds of patience, and the process models of `hw.lava.processes`."""
