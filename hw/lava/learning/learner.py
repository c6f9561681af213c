"""What all processes that learn share: the timetable, the assignment, and when the learning phase is due."""

from __future__ import annotations

from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from numpy.typing import NDArray

from hw.lava.learning.messages import Assignment
from hw.lava.learning.timetable import Tick
from hw.lava.ticking import Ticking
from hw.learning.memory import FixedMemory, FloatMemory, Memory


class Learner(Ticking):
    """Learns in Lava's learning phase of every tick at which a phase of the update ends."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.table: tuple[Tick, ...] = proc_params["table"]
        self.shares: tuple[float, ...] = proc_params["shares"]
        self.one: int = proc_params["one"]
        self.terms: dict[int, NDArray[Any]] = {}
        self.assignment = Assignment(0, 0, 0, 0, 0, 0, 0)

    @property
    def now(self) -> Tick:
        """What this tick is for."""
        return self.table[self.tick]

    @property
    def images(self) -> int:
        """How many of the batch are no padding."""
        return int(self.assignment.images)

    def assigned(self) -> None:
        """Tick 0: how many images the batch has, and the rates."""
        self.assignment = Assignment(*self.receive("assignment_in").tolist())

    def lrn_guard(self) -> bool:
        """Whether Lava calls `run_lrn` in this time step."""
        return bool(self.now.ends)

    def run_lrn(self) -> None:
        """A phase has ended: correlate; after the last one, learn."""
        self.correlate(self.now.ends)
        if self.tick == self.period - 1:
            self.learn()

    def correlate(self, phases: tuple[int, ...]) -> None:
        """Keep what the states that are there now add to the gradient, for each of these phases."""
        raise NotImplementedError

    def learn(self) -> None:
        """Change what is learnt, and send it if it is to leave."""
        raise NotImplementedError

    def in_order(self, terms: dict[int, NDArray[Any]]) -> list[NDArray[Any]]:
        """The terms of all phases."""
        return [terms[phase] for phase in range(len(self.shares))]


def remembered(kept: FixedMemory | None, value: NDArray[Any]) -> Memory:
    """What a process keeps of a parameter: integers as they were prepared, floats in float64."""
    return FloatMemory(value.astype(np.float64)) if kept is None else kept
