"""What every counter of joules is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class CounterError(RuntimeError):
    """A counter that was there and failed, or said what cannot be; the message names it."""


@dataclass(frozen=True)
class Missing:
    """No counter, and why: what it measured is None."""

    reason: str


class Meter(Protocol):
    """A counter of joules."""

    @property
    def name(self) -> str:
        """Which counter, and what it includes."""
        ...

    @property
    def device(self) -> str:
        """What is measured."""
        ...

    def read(self) -> float:
        """Joules since some origin; `CounterError` where it cannot be read, or went backwards."""
        ...

    def clocks_hz(self) -> Mapping[str, float]:
        """Clocks as they are now, by name; none where nobody says."""
        ...
