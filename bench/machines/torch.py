"""The CPU or GPU of this computer: the reference beside all machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.machines.backend import (
    Backend,
    Conditions,
    Images,
    Prices,
    RowKey,
    ScratchLearner,
    Workload,
    learners_by_precision,
)

if TYPE_CHECKING:
    from hw.ledger import Ledger
    from hw.machine import LearningMachine, Machine, Settled
    from mapping.program import Program
    from models.ep.network import EPNetwork

CPU_PROFILE = "horowitz2014-45nm"


@dataclass(frozen=True)
class TorchBackend(Backend):
    """torch, clocked, in float32 or in integers bit for bit."""

    name = "torch"
    torch_computes = True
    precisions = ("float", "fixed")
    learns = ("float", "fixed")
    clocked = True

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:
        """One machine."""
        from mapping.machines import to_digital

        settling = work.conditions.settling
        return [
            partial(
                to_digital,
                work.source(key.precision),
                steps=settling.steps,
                batch_size=settling.batch_size,
                tolerance=settling.tolerance,
                device=work.conditions.torch_device,
            )
        ]

    def course(self, machine: Any, images: Images) -> tuple[Settled, Callable[[int, int], Ledger]]:
        """What it computed is known of any number of steps."""
        settled = machine.settle(images, trace=True)
        return settled, lambda steps, looks: machine.until(settled.ledger, steps, looks)

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:
        """On a CPU from what it computed and moved; on a GPU by the published figures of the board, if there are."""
        from hw.cost.roofline import cpu_cost, gpu_cost

        device = work.conditions.torch_device
        if device == "cpu":
            if key.precision != "float":
                return Prices({}, {CPU_PROFILE: "no published energy of integers carried in float64"})
            return Prices({CPU_PROFILE: cpu_cost(ledger)}, {})
        import torch

        board = torch.cuda.get_device_name(device)
        cost = gpu_cost(ledger, board, wall_s)
        if cost is None:
            return Prices({}, {"roofline": f"no published figures of {board}"})
        return Prices({cost.profile: cost}, {})

    def learners(
        self,
        conditions: Conditions,
        precisions: Sequence[str],
        updates: Sequence[str],  # noqa: ARG002
    ) -> list[ScratchLearner]:
        """One per number format; it changes its weights in one way."""
        return learners_by_precision(self.name, precisions, conditions.seed, partial(_learner, conditions))


def _learner(conditions: Conditions, source: EPNetwork | Program) -> LearningMachine:
    from mapping.machines import to_digital

    settling = conditions.settling
    return to_digital(
        source,
        steps=settling.steps,
        batch_size=settling.batch_size,
        seed=conditions.seed,
        device=conditions.torch_device,
    )
