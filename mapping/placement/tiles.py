"""Matrices on crossbar tiles."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from models.ep.links import Link


def tiles_used(links: Sequence[Link], size: int) -> tuple[int, ...]:
    """Crossbar tiles of every link: its matrix (outputs, inputs) cut into at most `size` x `size` weights."""
    matrices = [link.weight.flatten(1).shape for link in links]
    return tuple(ceil(outputs / size) * ceil(inputs / size) for outputs, inputs in matrices)
