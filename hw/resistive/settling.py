"""Rest: every layer is set to the exact solution of its own nodes, odd layers, then even ones, until nothing moves.

With matched amplifiers each such step lowers an energy, so that sweeps come to rest for all conductances
(Scellier 2024, arXiv:2402.11674); how soon depends on them. Where sweeps are slow, Newton's rule ends them
(`newton.py`), kept only where it leaves less to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hw.resistive.newton import newton
from hw.resistive.solver import Problem, Solver

SWEEPS, MOST_SWEEPS = 60, 20_000
"""Before Newton's rule is tried, and in all."""
LOOKS = 8
"""Sweeps after which it is looked how large the voltages are."""
TOLERANCE = 1e-13
"""Of the largest voltage: how far a node may be from where sweeps would take it."""
RUN_AWAY = 1e9
"""A step so many times larger than the sources is no way to rest: a nudge pushes harder than the circuit holds."""


class UnsettledError(ArithmeticError):
    """A network that did not come to rest; the message tells the current left over."""


@dataclass(frozen=True)
class Injection:
    """What is connected to the nodes of a layer from outside: current (B, units) in amperes, and a conductance
    (units,) or one number, in siemens, whose other end the current already accounts for."""

    current: Tensor
    conductance: Tensor | float


def pulled(beta_s: float, targets_v: Tensor) -> Injection:
    """A nudge by voltage: every output hangs on its target (B, units) through a conductance; a negative one pushes."""
    return Injection(beta_s * targets_v, beta_s)


def pushed(current_a: Tensor) -> Injection:
    """A nudge by current."""
    return Injection(current_a, 0.0)


@dataclass(frozen=True)
class Rest:
    """Where a batch came to rest."""

    volts: tuple[Tensor, ...]
    """Layers 1..L, (B, units)."""
    residual_a: Tensor
    """(B,) largest current that is left over at a node."""
    sweeps: int


def settle(
    solver: Solver,
    sources: Tensor,
    *,
    injections: Sequence[Injection | None] | None = None,
    start: Sequence[Tensor] | None = None,
    tolerance: float = TOLERANCE,
) -> Rest:
    """The point of rest of every image: `sources` (B, inputs) in volts.

    Raises:
        ValueError: a nudge pushes harder than the output holds on to its neighbours.
        UnsettledError: not at rest after `MOST_SWEEPS`.
    """
    return settle_driven(
        solver, solver.operators[0].up(sources), float(sources.abs().max()), injections, start, tolerance
    )


def settle_driven(
    solver: Solver,
    drive: Tensor,
    largest_v: float,
    injections: Sequence[Injection | None] | None = None,
    start: Sequence[Tensor] | None = None,
    tolerance: float = TOLERANCE,
) -> Rest:
    """`settle` from the current (B, units) that sources of up to `largest_v` drive into layer 1."""
    if len(drive) == 1 and injections is None and start is None and solver.alone is not None:
        found = solver.alone.settle(drive[0].numpy(), largest_v, tolerance)
        if found is not None:
            one, left, sweeps = found
            return Rest(tuple(torch.from_numpy(v)[None] for v in one), drive.new_tensor([left]), sweeps)
    problem = _problem(solver, drive, injections or [None] * len(solver.operators))
    images = drive.shape[:-1]  # (B,), or (dies, B)
    volts = [drive.new_zeros((*images, n)) for n in solver.network.units] if start is None else list(start)
    scale, before, moved = max(largest_v, 1e-300), float("inf"), float("inf")
    for sweeps in range(1, MOST_SWEEPS + 1):
        moved = problem.sweep(volts)
        if sweeps % LOOKS == 0:
            scale = max(scale, problem.largest(volts))
        rate = min(max(moved / before if 0 < before < float("inf") else 1.0, 0.1), 1 - 1e-12)
        if moved <= 1e-16 * scale or (before < float("inf") and moved * rate / (1 - rate) <= tolerance * scale):
            return Rest(tuple(volts), problem.residual(volts), sweeps)
        before = moved
        if not moved < RUN_AWAY * max(largest_v, 1.0):
            break
        if sweeps % SWEEPS == 0:
            volts, done = newton(problem, volts, max(largest_v, 1e-300))
            before = float("inf")
            if done:
                return Rest(tuple(volts), problem.residual(volts), sweeps)
    left = float(problem.residual(volts).max())
    raise UnsettledError(f"not at rest after {sweeps} sweeps: {left:g} A are left over, the last one moved {moved:g} V")


def _problem(solver: Solver, drive: Tensor, injections: Sequence[Injection | None]) -> Problem:
    bases, loads = [drive + solver.bias[0], *solver.bias[1:]], []
    for index, (load, injected) in enumerate(zip(solver.loads, injections, strict=True)):
        total = load if injected is None else load + injected.conductance
        if injected is not None:
            bases[index] = bases[index] + injected.current
            if not bool((total > 0).all()):
                raise ValueError(
                    f"a nudge of {float(torch.as_tensor(injected.conductance).min()):g} S at layer {index + 1} "
                    f"outweighs the {float(load.min()):g} S that hold a node: no point of rest, use a smaller beta"
                )
        loads.append(total)
    return Problem(solver, tuple(bases), tuple(loads))
