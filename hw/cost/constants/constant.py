"""One cited constant, and the rules that every one of them keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

Kind = Literal["measured", "simulated", "fitted", "derived", "vendor", "assumed"]
KINDS: tuple[str, ...] = get_args(Kind)

UNITS = ("J", "s", "W", "V", "F", "F/m", "m", "K", "J/K", "C", "op/s", "op/J", "B", "B/s", "1/s", "1")
"""Units a constant may have; "1" is a count or a ratio, and a multiply-accumulate is two "op"."""
SHORTEST_SOURCE = 12
"""Letters: less finds nothing again."""


@dataclass(frozen=True)
class Constant:
    """One number that was published, with what bounds it; ValueError names the field that is missing or wrong."""

    nominal: float
    unit: str
    """One of `UNITS`."""
    node: str
    """Process and supply voltage the number holds for."""
    source: str
    """Where it was published, precise enough to find it again."""
    kind: Kind
    bounds: tuple[float, float] | None = None
    """Lowest and highest that sources allow; None where one figure is all there is."""
    note: str = ""
    """What a reader must know before using it."""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit {self.unit!r} is none of {', '.join(UNITS)}")
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        if len(self.source.strip()) < SHORTEST_SOURCE:
            raise ValueError(f"source {self.source!r} says too little to find it again")
        if not self.node.strip():
            raise ValueError("node is empty: a process, or 'any'")
        if not (0 <= self.low <= self.nominal <= self.high and isfinite(self.high)):
            raise ValueError(f"low {self.low}, nominal {self.nominal}, high {self.high} are not in this order from 0")

    @property
    def low(self) -> float:
        """Lowest that sources allow; the nominal figure where there is no other."""
        return self.nominal if self.bounds is None else self.bounds[0]

    @property
    def high(self) -> float:
        """Highest that sources allow; the nominal figure where there is no other."""
        return self.nominal if self.bounds is None else self.bounds[1]


Group = Mapping[str, Constant]
"""Constants of one source, by name."""
Table = Mapping[str, Group]
"""All constants, by group and name."""
