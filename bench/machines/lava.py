"""Lava: the process graph of a Loihi-class chip, simulated on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

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
    from hw.lava.machine import Lava
    from hw.ledger import Ledger
    from hw.machine import LearningMachine, Machine
    from mapping.program import Program
    from models.ep.network import EPNetwork


@dataclass(frozen=True)
class LavaBackend(Backend):
    """Lava in float, in integers that send every state that is not zero, and in integers that send changes."""

    delta_threshold: Annotated[int, option("N")] = 1
    """Smallest change that delta sends, in codes; 1 is exact."""
    chip: Annotated[str, option("NAME")] = "loihi1"
    """Whose cores: loihi1, loihi2, loihi2-unshared."""
    chips: Annotated[int | None, option("N", "as many as it needs")] = None
    """Chips that may be used."""

    block = "lava"
    name = "lava"
    precisions = ("float", "fixed", "delta")
    learns = ("float", "fixed")

    def check(self, settling: Settling, state_bits: int) -> None:  # noqa: ARG002
        """The threshold lies among the codes of a state; there is such a chip."""
        from mapping.placement.chip import check_chip

        check_chip(self.chip, self.chips)
        if not self.delta_threshold >= 1:
            raise ValueError(f"--delta-threshold is {self.delta_threshold}, must be at least 1")
        if self.delta_threshold > 2**state_bits - 1:
            raise ValueError(f"--delta-threshold is {self.delta_threshold}, states end at {2**state_bits - 1}")

    def check_network(self, network: EPNetwork, settling: Settling, images: int) -> str | None:  # noqa: ARG002
        """Refuse what no core of the chip holds, or what needs more chips than may be used."""
        from mapping.placement.chip import CHIPS
        from mapping.placement.cores import check_fits, place

        links, feedback = network.links, network.feedback
        check_fits(place(links, CHIPS[self.chip], feedback=feedback), links, self.chips, feedback=feedback)
        return None

    def idle(self, precisions: Sequence[str]) -> dict[str, str]:
        """The threshold of changes, where none are sent."""
        return {} if "delta" in precisions else {"--delta-threshold": "--precision delta"}

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """One machine."""
        from mapping.machines import to_lava
        from mapping.placement.chip import CHIPS

        settling = work.conditions.settling
        return [
            partial(
                to_lava,
                work.source(key.precision),
                steps=settling.steps,
                batch_size=settling.batch_size,
                tolerance=settling.tolerance,
                delta_threshold=self.delta_threshold if key.precision == "delta" else None,
                chip=CHIPS[self.chip],
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
        costs["loihi2"] = loihi2_cost(ledger)
        return Prices({name: replace(cost, note=f"{cost.note} of {self.chip}") for name, cost in costs.items()}, {})

    def describe(self, machine: Lava) -> Mapping[str, Any]:
        """The chip, and which layer sits where on it, how full."""
        layers = [
            {"units": int(np.prod(shape)), **asdict(on)}
            for shape, on in zip(machine.circuit.layers, machine.circuit.placed, strict=True)
        ]
        return {"chip": machine.circuit.chip, "layers": layers}

    def details(self, ledger: Ledger, described: list[Mapping[str, Any]], shares: list[float]) -> dict[str, Any]:  # noqa: ARG002
        """The placement."""
        return {"placement": dict(described[0])}

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
