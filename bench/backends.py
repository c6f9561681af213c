"""The registry: every machine the benchmark can run on, one entry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hw.cost.cost import Cost
from hw.cost.loihi import loihi2_cost, loihi_cost
from hw.cost.profiles import PROFILES
from hw.cost.roofline import cpu_cost, gpu_cost
from hw.ledger import Ledger
from hw.machine import Machine
from mapping.machines import to_digital, to_lava
from mapping.program import Program
from models.network import EPNetwork


@dataclass(frozen=True)
class Workload:
    """A network, its program if integers are asked for, and how it is to settle."""

    network: EPNetwork
    program: Program | None
    steps: int
    batch_size: int
    tolerance: float | None
    delta_threshold: int
    device: str

    def source(self, precision: str) -> EPNetwork | Program:
        """What a machine of this precision loads."""
        if precision == "float":
            return self.network
        assert self.program is not None, "integers were not asked for when the workload was made"
        return self.program


@dataclass(frozen=True)
class Backend:
    """How to get a machine, and what its work costs."""

    precisions: tuple[str, ...]
    open: Callable[[Workload, str], Machine]
    costs: Callable[[Ledger, str, Workload, float], Mapping[str, Cost]]
    """(ledger, precision, workload, measured seconds per image) to modelled costs by profile, the main one first."""
    clocked: bool
    """Whether the wall time of the machine is its own: a processor, not a simulation of hardware."""


def _open_torch(work: Workload, precision: str) -> Machine:
    return to_digital(
        work.source(precision),
        steps=work.steps,
        batch_size=work.batch_size,
        tolerance=work.tolerance,
        device=work.device,
    )


def _torch_costs(ledger: Ledger, precision: str, work: Workload, wall_s: float) -> Mapping[str, Cost]:
    if work.device == "cpu":
        # the table holds energies of float32: integers carried in float64 have no published figure here
        return {"horowitz2014-45nm": cpu_cost(ledger)} if precision == "float" else {}
    import torch

    cost = gpu_cost(ledger, torch.cuda.get_device_name(work.device), wall_s)
    return {} if cost is None else {cost.profile: cost}


def _open_lava(work: Workload, precision: str) -> Machine:
    return to_lava(
        work.source(precision),
        steps=work.steps,
        batch_size=work.batch_size,
        tolerance=work.tolerance,
        delta_threshold=work.delta_threshold if precision == "delta" else None,
    )


def _lava_costs(ledger: Ledger, precision: str, work: Workload, wall_s: float) -> Mapping[str, Cost]:  # noqa: ARG001
    if precision == "float":
        return {}  # no neuromorphic chip computes in floating point: there is nothing to model
    costs = {name: loihi_cost(ledger, profile) for name, profile in PROFILES.items()}
    return {**costs, "loihi2": loihi2_cost(ledger)}


BACKENDS: dict[str, Backend] = {
    "torch": Backend(("float", "fixed"), _open_torch, _torch_costs, clocked=True),
    "lava": Backend(("float", "fixed", "delta"), _open_lava, _lava_costs, clocked=False),
}


def jobs(backends: tuple[str, ...], precisions: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(backend, precision) of every row of a run, the torch float reference first."""
    rows: dict[tuple[str, str], Any] = {("torch", "float"): None}
    for backend in backends:
        # alone, the reference is float; the machine under study runs in everything it has
        wanted = precisions or (("float",) if backend == "torch" else BACKENDS[backend].precisions)
        for precision in wanted:
            if precision in BACKENDS[backend].precisions:
                rows[backend, precision] = None
    return tuple(rows)
