"""Rest: every layer is set to the exact solution of its own nodes, odd layers, then even ones, until nothing moves.

With matched amplifiers each such step lowers an energy, so that sweeps come to rest for all conductances
(Scellier 2024, arXiv:2402.11674); how soon depends on them. Where sweeps are slow, Newton's rule ends them: with the
diodes as they conduct now, all nodes at once from one linear system, kept only if it leaves less current over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hw.resistive.diodes import Bounds
from hw.resistive.links import Operator, unrolled
from hw.resistive.network import ResistiveNetwork

SWEEPS, MOST_SWEEPS = 60, 20_000
"""Before Newton's rule is tried, and in all."""
TOLERANCE = 1e-13
"""Of the largest voltage: how far a node may be from where sweeps would take it."""
MOST_DIRECT = 6000
"""Nodes of a network whose linear system is solved at once."""
NEWTON_STEPS = 60
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


class Solver:
    """A network as torch computes it, in float64 on "cpu" or "cuda"."""

    def __init__(self, network: ResistiveNetwork, device: str = "cpu") -> None:
        self.network, self.device = network, device
        self.operators = [Operator(link, device) for link in network.links]

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float64, device=device)

        self.bounds = [Bounds(tensor(layer.low_v), tensor(layer.high_v)) for layer in network.layers]
        self.bias = [tensor(layer.bias_a) for layer in network.layers]
        self.leak = [tensor(layer.leak_s) for layer in network.layers]
        rows = [*network.amplifiers, None]
        ones = [tensor([1.0] * n) for n in network.units]
        self.gain = [one if row is None else tensor(row.gain) for one, row in zip(ones, rows, strict=True)]
        self.back = [one if row is None else tensor(row.back) for one, row in zip(ones, rows, strict=True)]
        self.offset = [0 * one if row is None else tensor(row.offset_v) for one, row in zip(ones, rows, strict=True)]
        last = len(self.operators) - 1
        self.loads = []
        for i, operator in enumerate(self.operators):
            load = operator.load_above + self.leak[i]
            if i < last:
                taken = self.back[i] * self.gain[i] * self.operators[i + 1].load_below
                load = load + taken
                self.bias[i] = self.bias[i] - taken * self.offset[i]
            self.loads.append(load)

    def sources(self, inputs: Tensor) -> Tensor:
        """(B, inputs) volts of inputs in units of `input_v`."""
        return self.network.input_v * inputs.to(self.device, torch.float64).flatten(1)

    def outputs(self, index: int, volts: Tensor) -> Tensor:
        """What the nodes of layer index + 1 put out upwards."""
        return self.gain[index] * (volts + self.offset[index])

    def around(self, index: int, drive: Tensor, volts: Sequence[Tensor]) -> Tensor:
        """(B, units) current into nodes of layer index + 1 at 0 V; `drive` is that of the sources into layer 1."""
        current = drive if index == 0 else self.operators[index].up(self.outputs(index - 1, volts[index - 1]))
        current = current + self.bias[index]
        if index + 1 < len(self.operators):
            current = current + self.back[index] * self.operators[index + 1].down(volts[index + 1])
        return current


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
    given = list(injections or [None] * len(solver.operators))
    loads = _loads(solver, given)
    volts = [drive.new_zeros((len(drive), n)) for n in solver.network.units] if start is None else list(start)
    rate, before, sweeps = 1.0, float("inf"), 0
    while sweeps < MOST_SWEEPS:
        moved = _sweep(solver, drive, volts, given, loads)
        sweeps += 1
        scale = max(largest_v, *(float(layer.abs().max()) for layer in volts), 1e-300)
        rate = min(max(moved / before if 0 < before < float("inf") else 1.0, 0.1), 1 - 1e-12)
        if moved <= 1e-16 * scale or (before < float("inf") and moved * rate / (1 - rate) <= tolerance * scale):
            return Rest(tuple(volts), residual(solver, drive, volts, given, loads), sweeps)
        before = moved
        if not moved < RUN_AWAY * max(largest_v, 1.0):
            break
        if sweeps % SWEEPS == 0 and sum(solver.network.units) <= MOST_DIRECT:
            volts, done = _newton(solver, drive, volts, given, loads)
            before = float("inf")
            if done:
                return Rest(tuple(volts), residual(solver, drive, volts, given, loads), sweeps)
    left = float(residual(solver, drive, volts, given, loads).max())
    raise UnsettledError(f"not at rest after {sweeps} sweeps: {left:g} A are left over, the last one moved {moved:g} V")


def residual(
    solver: Solver,
    drive: Tensor,
    volts: Sequence[Tensor],
    injections: Sequence[Injection | None],
    loads: Sequence[Tensor],
) -> Tensor:
    """(B,) largest current that is left over at a node: load times the distance to where its own equation puts it."""
    worst = drive.new_zeros(len(drive))
    for index, load in enumerate(loads):
        current = _with(solver.around(index, drive, volts), injections[index])
        target = solver.network.diode.node(current, load, solver.bounds[index])
        worst = torch.maximum(worst, (load * (target - volts[index])).abs().amax(dim=1))
    return worst


def _loads(solver: Solver, injections: Sequence[Injection | None]) -> list[Tensor]:
    loads = []
    for number, (load, injected) in enumerate(zip(solver.loads, injections, strict=True), start=1):
        total = load if injected is None else load + injected.conductance
        if not bool((total > 0).all()):
            raise ValueError(
                f"a nudge of {float(torch.as_tensor(injected.conductance).min()):g} S at layer {number} "  # type: ignore[union-attr]
                f"outweighs the {float(load.min()):g} S that hold a node: no point of rest, use a smaller beta"
            )
        loads.append(total)
    return loads


def _with(current: Tensor, injected: Injection | None) -> Tensor:
    return current if injected is None else current + injected.current


def _sweep(
    solver: Solver,
    drive: Tensor,
    volts: list[Tensor],
    injections: Sequence[Injection | None],
    loads: Sequence[Tensor],
) -> float:
    """Layers 1, 3, ... then 2, 4, ..., in place; the largest voltage that any node moved by."""
    moved = 0.0
    for index in (*range(0, len(volts), 2), *range(1, len(volts), 2)):
        current = _with(solver.around(index, drive, volts), injections[index])
        new = solver.network.diode.node(current, loads[index], solver.bounds[index])
        moved = max(moved, float((new - volts[index]).abs().max()))
        volts[index] = new
    return moved


def _newton(
    solver: Solver,
    drive: Tensor,
    volts: list[Tensor],
    injections: Sequence[Injection | None],
    loads: Sequence[Tensor],
) -> tuple[list[Tensor], bool]:
    """Newton's rule, image by image; whether all are solved to rounding."""
    matrix = jacobian(solver, loads)
    found, done = [], True
    for image in range(len(drive)):
        one = slice(image, image + 1)
        own = [None if i is None else replace(i, current=i.current[one]) for i in injections]
        solved, exact = _newton_of(solver, matrix, drive[one], [layer[one] for layer in volts], own, loads)
        found.append(solved)
        done = done and exact
    return [torch.cat([one[index] for one in found]) for index in range(len(volts))], done


def _newton_of(
    solver: Solver,
    matrix: Tensor,
    drive: Tensor,
    volts: list[Tensor],
    injections: Sequence[Injection | None],
    loads: Sequence[Tensor],
) -> tuple[list[Tensor], bool]:
    network, sizes = solver.network, list(solver.network.units)
    zero = [torch.zeros_like(layer) for layer in volts]
    constant = torch.cat([_with(solver.around(i, drive, zero), injections[i]) for i in range(len(volts))], dim=1)[0]
    before = _gap(solver, drive, volts, injections, loads)
    for _ in range(NEWTON_STEPS):
        lines = []
        for index, load in enumerate(loads):
            current = _with(solver.around(index, drive, volts), injections[index])
            lines.append(network.diode.tangent(current, load, solver.bounds[index]))
        fixed, held, slope, extra = (
            torch.cat([getattr(line, name)[0] for line in lines])
            for name in ("fixed", "voltage", "conductance", "current")
        )
        system = matrix + torch.diag(slope)
        right = constant + extra
        free = ~fixed
        v = torch.where(fixed, held, torch.zeros_like(held))
        v[free] = torch.linalg.solve(system[free][:, free], right[free] - system[free][:, fixed] @ v[fixed])
        new = list(v[None].split(sizes, dim=1))
        after = _gap(solver, drive, new, injections, loads)
        if after >= before:
            return volts, before <= 1e-12
        volts, before = new, after
        if after <= 1e-15:
            break
    return volts, before <= 1e-12


def _gap(
    solver: Solver,
    drive: Tensor,
    volts: Sequence[Tensor],
    injections: Sequence[Injection | None],
    loads: Sequence[Tensor],
) -> float:
    """Largest distance of a node from where its own equation puts it, over the largest voltage."""
    gap, scale = 0.0, 1e-300
    for index, load in enumerate(loads):
        current = _with(solver.around(index, drive, volts), injections[index])
        target = solver.network.diode.node(current, load, solver.bounds[index])
        gap = max(gap, float((target - volts[index]).abs().max()))
        scale = max(scale, float(target.abs().max()))
    return gap / scale


def jacobian(solver: Solver, loads: Sequence[Tensor]) -> Tensor:
    """(n, n) siemens: current that leaves node i per volt at node j, all layers in their order, without diodes."""
    sizes = solver.network.units
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    matrix = torch.diag(torch.cat([load.expand(n) for load, n in zip(loads, sizes, strict=True)]))
    for index in range(1, len(sizes)):
        link = unrolled(solver.network.links[index])
        weight = torch.as_tensor(
            link.plus_s if link.minus_s is None else link.plus_s - link.minus_s,
            dtype=torch.float64,
            device=solver.device,
        )
        above, below = slice(starts[index], starts[index + 1]), slice(starts[index - 1], starts[index])
        matrix[above, below] -= weight * solver.gain[index - 1]
        matrix[below, above] -= solver.back[index - 1][:, None] * weight.T
    return matrix
