"""Lava: the process graph of a Loihi-class chip, simulated on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from bench.command_line import option
from bench.machines.backend import (
    Backend,
    Conditions,
    Prices,
    RowKey,
    ScratchLearner,
    Settling,
    Workload,
    learners_by_precision,
)

if TYPE_CHECKING:
    from hw.events.messages import Coding
    from hw.ledger import Ledger
    from hw.machine import LearningMachine, Machine
    from mapping.program import Program
    from models.ep.network import EPNetwork


@dataclass(frozen=True)
class LavaBackend(Backend):
    """Lava in float, in integers that send every state that is not zero, and in integers that send changes."""

    delta_threshold: Annotated[int, option("N")] = 1
    """Smallest change that delta sends, in codes; 1 is exact."""

    name = "lava"
    precisions = ("float", "fixed", "delta")
    learns = ("float", "fixed")

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """The threshold lies among the codes of a state."""
        if not self.delta_threshold >= 1:
            raise ValueError(f"--delta-threshold is {self.delta_threshold}, must be at least 1")
        if self.delta_threshold > 2**state_bits - 1:
            raise ValueError(f"--delta-threshold is {self.delta_threshold}, states end at {2**state_bits - 1}")

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:
        """The threshold of changes, where none are sent."""
        return {} if "delta" in precisions else {"--delta-threshold": "--precision delta"}

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """One machine."""
        from mapping.machines import to_lava

        settling = work.conditions.settling
        return [
            partial(
                to_lava,
                work.source(key.precision),
                steps=settling.steps,
                batch_size=settling.batch_size,
                tolerance=settling.tolerance,
                delta_threshold=self.delta_threshold if key.precision == "delta" else None,
            )
        ]

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        """By the profiles of Loihi, of what was sent."""
        from hw.cost.loihi import loihi2_cost, loihi_cost
        from hw.cost.profiles import loihi_profiles

        profiles = loihi_profiles(work.conditions.own)
        if key.precision == "float":
            why = "no neuromorphic chip computes in floating point"
            return Prices({}, dict.fromkeys((*profiles, "loihi2"), why))
        costs = {name: loihi_cost(ledger, profile) for name, profile in profiles.items()}
        return Prices({**costs, "loihi2": loihi2_cost(ledger)}, {})

    def coding(self, precision: str) -> Coding:
        """Changes, or every state that is not zero."""
        return "delta" if precision == "delta" else "zero_skip"

    def learners(
        self,
        conditions: Conditions,
        precisions: Sequence[str],
        updates: Sequence[str],  # noqa: ARG002
    ) -> list[ScratchLearner]:
        """One per number format; it changes its weights in one way."""
        return learners_by_precision(self.name, precisions, conditions.seed, partial(_learner, conditions))


def _learner(conditions: Conditions, source: EPNetwork | Program) -> LearningMachine:
    from mapping.machines import to_lava

    settling = conditions.settling
    return to_lava(source, steps=settling.steps, batch_size=settling.batch_size, seed=conditions.seed)
