"""What a file holds, of whatever format: named numbers, and facts about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Contents:
    """Numbers under the names that all formats share: link1.weight, link1.bias, ..., readout.bias."""

    format: str
    tensors: Mapping[str, Array]
    lines: tuple[str, ...] = ()
    """The network link by link, cores, tiles: what there is to say in words."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs, of JSON types."""


@dataclass(frozen=True)
class Summary:
    """One tensor in numbers."""

    shape: tuple[int, ...]
    dtype: str
    least: float
    greatest: float
    mean: float
    spread: float
    zeros: float
    """Share of numbers that are 0, 0 to 1."""
    bits: int | None
    """Of a two's complement number that holds every value, of integers; None of floating point."""


def summary(values: Array) -> Summary:
    """Range, mean, spread and width of a tensor that holds at least one number."""
    numbers = values.astype(np.float64)
    bits = None
    if np.issubdtype(values.dtype, np.integer):
        largest = max(int(values.max()), -int(values.min()) - 1, 0)
        bits = largest.bit_length() + 1
    return Summary(
        tuple(values.shape),
        str(values.dtype),
        float(numbers.min()),
        float(numbers.max()),
        float(numbers.mean()),
        float(numbers.std()),
        float((values == 0).mean()),
        bits,
    )
