"""The answer of every cost model: energy and latency of one image, each as low, nominal and high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

End = Literal["low", "nominal", "high"]
"""Of a range."""


@dataclass(frozen=True)
class Range:
    """A figure with the bounds that published constants put on it: low <= nominal <= high."""

    low: float
    nominal: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.nominal <= self.high:
            raise ValueError(f"not a range: low {self.low}, nominal {self.nominal}, high {self.high}")


@dataclass(frozen=True)
class Cost:
    """Modelled (never measured) cost of settling one image, the mean over the images of a ledger."""

    energy_j: Range
    """Joules per image."""
    latency_s: Range | None
    """Seconds per image; None where no published figure says."""
    breakdown_j: dict[str, float]
    """Where the nominal joules went; the values sum to `energy_j.nominal`."""
    profile: str
    """Name of the set of constants."""
    note: str
    """What the reader must know before comparing the figure with another."""
