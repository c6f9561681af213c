"""What a circuit dissipated that settles by itself, without steps or messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from hw.events.same import check_same


@dataclass(frozen=True)
class AnalogEvents:
    """Heat and time of one settle in continuous time, summed over its images."""

    energy_j: Mapping[str, float]
    """Joules by the part of the circuit that turned them into heat, e.g. "devices": the integral of V**2 G dt."""
    settled_s: float
    """Seconds for which the circuit was left to settle."""

    def __post_init__(self) -> None:
        if not self.energy_j:
            raise ValueError("energy_j is empty: name at least one part of the circuit")
        for name, value in (*self.energy_j.items(), ("settled_s", self.settled_s)):
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name!r} is {value}, expected a finite number from 0")

    @property
    def parts(self) -> frozenset[str]:
        """The parts of the circuit that were counted."""
        return frozenset(self.energy_j)

    def __add__(self, other: AnalogEvents) -> AnalogEvents:
        """The events of two settles on one machine."""
        check_same(self, other, ("parts",))
        energy_j = {part: joules + other.energy_j[part] for part, joules in self.energy_j.items()}
        return AnalogEvents(energy_j, self.settled_s + other.settled_s)
