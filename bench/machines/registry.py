"""The registry: every machine the benchmark can run on, one entry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.machines.crossbar import CrossbarWork, Point, crossbar_costs, describe, die
from hw.cost.cost import Cost
from hw.cost.loihi import loihi2_cost, loihi_cost
from hw.cost.profiles import PROFILES
from hw.cost.roofline import cpu_cost, gpu_cost
from hw.ledger import Ledger
from hw.machine import Machine
from mapping.machines import to_digital, to_lava
from mapping.program import Program
from models.ep.network import EPNetwork


@dataclass(frozen=True)
class RowKey:
    """One row of a run."""

    backend: str
    precision: str
    point: Point | None = None
    """Of a crossbar sweep; None on other machines."""

    @property
    def key(self) -> str:
        """What identifies the row in a run folder."""
        return " ".join([self.backend, self.precision, "" if self.point is None else self.point.key]).strip()


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
    crossbar: CrossbarWork

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
    open: Callable[[Workload, RowKey], Sequence[Callable[[], Machine]]]
    """How to make the machine, or each of the dies over which the answers are averaged."""
    costs: Callable[[Ledger, RowKey, Workload, float], tuple[Mapping[str, Cost], Mapping[str, str]]]
    """(ledger, job, workload, measured seconds per image) to modelled costs by profile, the main one first, and why
    further profiles have none."""
    clocked: bool
    """Whether the wall time of the machine is its own: a processor, not a simulation of hardware."""
    describe: Callable[[Any], Mapping[str, Any]] | None = None
    """What a machine says about itself, beside its answers."""


def _open_torch(work: Workload, job: RowKey) -> list[Callable[[], Machine]]:
    make = partial(
        to_digital,
        work.source(job.precision),
        steps=work.steps,
        batch_size=work.batch_size,
        tolerance=work.tolerance,
        device=work.device,
    )
    return [make]


Costs = tuple[Mapping[str, Cost], Mapping[str, str]]


def _torch_costs(ledger: Ledger, job: RowKey, work: Workload, wall_s: float) -> Costs:
    if work.device == "cpu":
        if job.precision != "float":
            return {}, {"horowitz2014-45nm": "no published energy of integers carried in float64"}
        return {"horowitz2014-45nm": cpu_cost(ledger)}, {}
    import torch

    name = torch.cuda.get_device_name(work.device)
    cost = gpu_cost(ledger, name, wall_s)
    return ({}, {"roofline": f"no published figures of {name}"}) if cost is None else ({cost.profile: cost}, {})


def _open_lava(work: Workload, job: RowKey) -> list[Callable[[], Machine]]:
    make = partial(
        to_lava,
        work.source(job.precision),
        steps=work.steps,
        batch_size=work.batch_size,
        tolerance=work.tolerance,
        delta_threshold=work.delta_threshold if job.precision == "delta" else None,
    )
    return [make]


def _lava_costs(ledger: Ledger, job: RowKey, work: Workload, wall_s: float) -> Costs:  # noqa: ARG001
    if job.precision == "float":
        return {}, dict.fromkeys((*PROFILES, "loihi2"), "no neuromorphic chip computes in floating point")
    costs = {name: loihi_cost(ledger, profile) for name, profile in PROFILES.items()}
    return {**costs, "loihi2": loihi2_cost(ledger)}, {}


def _open_dies(work: Workload, job: RowKey) -> list[Callable[[], Machine]]:
    assert job.point is not None, "a crossbar row belongs to a point"
    make = partial(
        die,
        work.network,
        job.point,
        work.crossbar,
        steps=work.steps,
        batch_size=work.batch_size,
        tolerance=work.tolerance,
    )
    return [partial(make, index=index) for index in range(work.crossbar.options.dies)]


def _crossbar_costs(ledger: Ledger, job: RowKey, work: Workload, wall_s: float) -> Costs:  # noqa: ARG001
    return crossbar_costs(ledger, work.crossbar.options)


BACKENDS: dict[str, Backend] = {
    "torch": Backend(("float", "fixed"), _open_torch, _torch_costs, clocked=True),
    "lava": Backend(("float", "fixed", "delta"), _open_lava, _lava_costs, clocked=False),
    "crossbar": Backend(("analog",), _open_dies, _crossbar_costs, clocked=False, describe=describe),
}


def jobs(backends: tuple[str, ...], precisions: tuple[str, ...], grid: tuple[Point, ...]) -> tuple[RowKey, ...]:
    """Every row of a run, the torch float reference first; the points of the grid are rows of the crossbar."""
    rows = [RowKey("torch", "float")]
    for backend in backends:
        # alone, the reference is float; the machine under study runs in everything it has
        offered = BACKENDS[backend].precisions
        wanted = precisions or (("float",) if backend == "torch" else offered)
        for precision in wanted:
            if precision in offered:
                rows += [RowKey(backend, precision, point) for point in (grid if backend == "crossbar" else (None,))]
    return tuple(dict.fromkeys(rows))
