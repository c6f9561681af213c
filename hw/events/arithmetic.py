"""What a clocked processor executed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArithmeticEvents:
    """Operations of one settle on a processor, summed over its images."""

    macs: int
    """Multiply-accumulates (a cached input drive counts once)."""
    bytes_moved: int
    """Bytes of operands and results, each once per operation."""

    def __add__(self, other: ArithmeticEvents) -> ArithmeticEvents:
        """The events of two settles on one machine."""
        return ArithmeticEvents(self.macs + other.macs, self.bytes_moved + other.bytes_moved)
