"""Settling in time: every node has a capacitor, C dv/dt = current - load v + i(v), and starts at 0 V.

The slowest time constant is that of the smallest eigenvalue of C^-1 times the conductances, by Lanczos; `integrate`
follows the voltages with a stiff solver; `settle_in_time` does it for a batch by the backward Euler rule, where a
capacitor is a conductance C / h to the voltage before, so that every step is a point of rest. Amplifiers with a
bandwidth follow with their one pole in all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh
from torch import Tensor

from hw.resistive.diodes import Ideal
from hw.resistive.network import ResistiveNetwork
from hw.resistive.settling import Injection, settle_driven
from hw.resistive.solver import Solver, jacobian

Array = NDArray[np.float64]
DENSE = 400
"""Nodes of a network whose eigenvalues are all computed."""
STEP_TOLERANCE = 1e-9
"""Of the largest voltage, in one step in time."""
IDEAL_S = 1e5
"""Of an ideal diode in `integrate`, over the largest load."""


def time_constants_s(
    solver: Solver, farad: Sequence[Tensor], free: Sequence[Tensor] | None = None
) -> tuple[float, float]:
    """Slowest and fastest time constant in seconds of the nodes that are `free` (of one image, (units,) each), or of
    all, which are no faster; amplifiers with a bandwidth are part of it.

    Raises ArithmeticError where the slowest is not found, and for amplifiers so slow that the circuit never rests.
    """
    capacity = torch.cat(list(farad))
    count = len(capacity)
    kept = torch.ones_like(capacity, dtype=torch.bool) if free is None else torch.cat(list(free))
    if any(tau > 0 for tau in _poles_s(solver)):
        return _with_poles(solver, capacity, kept)
    if count <= DENSE:
        matrix = jacobian(solver, solver.loads)[kept][:, kept] / capacity[kept][:, None]
        rates = np.linalg.eigvals(matrix.cpu().numpy()).real
        return float(1 / rates.min()), float(1 / rates.max())
    sizes = list(solver.network.units)
    weight = torch.cat([load.new_full(load.shape, one) for load, one in zip(solver.loads, solver.weights, strict=True)])
    root = (weight / capacity).sqrt()
    zero = torch.zeros(1, len(solver.loads[0]), dtype=torch.float64, device=root.device)

    # nodes that are held get a rate between the slowest and the fastest
    aside = (~kept) * float((torch.cat(solver.loads) / capacity)[kept].mean())

    def apply(flat: Array) -> Array:
        """Of C^-1 J made symmetric: J times the weight of every layer is symmetric with matched amplifiers."""
        v = torch.as_tensor(np.asarray(flat, np.float64).ravel(), device=root.device)
        volts = list((v * kept * root / weight)[None].split(sizes, dim=1))
        out = []
        for index, load in enumerate(solver.loads):
            out.append(load * volts[index] - (solver.around(index, zero, volts) - solver.bias[index]))
        product: Array = (torch.cat(out, dim=1)[0] * root * kept + aside * v).cpu().numpy()
        return product

    operator = LinearOperator((count, count), matvec=apply, dtype=np.float64)
    solve, ends = (eigsh, ("SA", "LA")) if solver.matched else (eigs, ("SR", "LR"))
    try:
        found = [solve(operator, k=1, which=end, return_eigenvectors=False, tol=1e-6)[0] for end in ends]
    except ArpackNoConvergence as error:
        raise ArithmeticError(f"the slowest rate of the network was not found: {error}") from error
    slow, fast = (float(np.real(rate)) for rate in found)
    return 1 / slow, 1 / fast


def _with_poles(solver: Solver, capacity: Tensor, kept: Tensor) -> tuple[float, float]:
    """The same where outputs of amplifiers have voltages of their own."""
    moving = _Moving(solver, capacity, torch.zeros_like(solver.loads[0])[None])
    here = torch.cat([kept, kept.new_ones(moving.outputs)])
    still = moving.velocity(capacity.new_zeros((1, len(here))))
    aside = (~here) / (capacity / torch.cat(solver.loads))[kept].mean()

    def rates(states: Tensor) -> Tensor:
        return here * (still - moving.velocity(here * states)) + aside * states

    def apply(flat: Array) -> Array:
        state = torch.as_tensor(np.asarray(flat, np.float64).reshape(1, -1), device=capacity.device)
        found: Array = rates(state)[0].cpu().numpy()
        return found

    if len(here) <= DENSE:
        each = torch.eye(len(here), dtype=torch.float64, device=capacity.device)
        found = np.linalg.eigvals(rates(each).T[here][:, here].cpu().numpy()).real
    else:
        operator = LinearOperator((len(here), len(here)), matvec=apply, dtype=np.float64)
        try:
            ends = [eigs(operator, k=1, which=end, return_eigenvectors=False)[0] for end in ("SR", "LR")]
        except ArpackNoConvergence as error:
            raise ArithmeticError(f"the slowest rate of the network was not found: {error}") from error
        found = np.real(ends)
    if not found.min() > 0:
        raise ArithmeticError(f"amplifiers are so slow that the circuit swings up at a rate of {-found.min():.3g} / s")
    return float(1 / found.min()), float(1 / found.max())


def _poles_s(solver: Solver) -> list[float]:
    """Time constant of the amplifiers of every layer, 0 where they are as fast as one likes."""
    rows = [*solver.network.amplifiers, None]
    return [0.0 if row is None or row.bandwidth_hz is None else 1 / (2 * np.pi * row.bandwidth_hz) for row in rows]


class _Moving:
    """Voltages of nodes, and of outputs of amplifiers with a bandwidth behind them: tau da/dt = A (v + o) - a."""

    def __init__(self, solver: Solver, capacity: Tensor, drive: Tensor) -> None:
        self.solver, self.capacity, self.drive = solver, capacity, drive
        self.sizes = list(solver.network.units)
        self.tau_s = _poles_s(solver)
        self.slow = [index for index, tau in enumerate(self.tau_s) if tau > 0]
        self.outputs = sum(self.sizes[index] for index in self.slow)

    def velocity(self, states: Tensor, diodes: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(B, nodes + outputs) volts per second; `diodes` bring current into nodes (B, nodes)."""
        solver, count = self.solver, sum(self.sizes)
        volts = list(states[:, :count].split(self.sizes, dim=1))
        own = dict(zip(self.slow, states[:, count:].split([self.sizes[i] for i in self.slow], dim=1), strict=True))
        # the load that amplifiers reflect is part of `loads`; with outputs of their own it is taken apart
        outputs = [own[index] if index in own else solver.outputs(index, v) for index, v in enumerate(volts)]
        flows = []
        for index, v in enumerate(volts):
            operator = solver.operators[index]
            below = self.drive if index == 0 else operator.up(outputs[index - 1])
            flow = below + solver.current[index] - (operator.load_above + solver.leak[index]) * v
            if index + 1 < len(volts):
                above = solver.operators[index + 1]
                flow = flow - solver.back[index] * (outputs[index] * above.load_below - above.down(volts[index + 1]))
            flows.append(flow)
        current = torch.cat(flows, dim=1)
        if diodes is not None:
            current = current + diodes(states[:, :count])
        follow = [(solver.outputs(i, volts[i]) - own[i]) / self.tau_s[i] for i in self.slow]
        return torch.cat([current / self.capacity, *follow], dim=1)


@dataclass(frozen=True)
class Path:
    """Voltages on the way to rest, at T times."""

    times_s: Array
    volts: tuple[Tensor, ...]
    """Layers 1..L, (T, B, units)."""


def settle_in_time(
    solver: Solver, sources: Tensor, farad: Sequence[Tensor], times_s: Array, *, substeps: int = 4
) -> Path:
    """A batch from 0 V, seen at rising times; `substeps` of the rule from one to the next."""
    drive, largest = solver.operators[0].up(sources), float(sources.abs().max())
    volts: Sequence[Tensor] = [drive.new_zeros((*drive.shape[:-1], n)) for n in solver.network.units]
    outputs = [torch.zeros_like(v) for v in volts]
    rows = []
    for start, end in zip((0.0, *times_s[:-1]), times_s, strict=True):
        step_s = float(end - start) / substeps
        stepped, stay = _stepped(solver, step_s)
        for _ in range(substeps):
            held = [Injection(c / step_s * v, c / step_s) for c, v in zip(farad, volts, strict=True)]
            for index, share in stay.items():
                held[index], held[index + 1] = _held_outputs(solver, index, share * outputs[index], held)
            volts = settle_driven(stepped, drive, largest, held, volts, STEP_TOLERANCE).volts
            for index, share in stay.items():
                outputs[index] = stepped.outputs(index, volts[index]) + share * outputs[index]
        rows.append(volts)
    layers = tuple(torch.stack([row[index] for row in rows]) for index in range(len(rows[0])))
    return Path(np.asarray(times_s, np.float64), layers)


def _stepped(solver: Solver, step_s: float) -> tuple[Solver, dict[int, float]]:
    """One step of amplifiers with a bandwidth by the same rule: a' = (1 - s) A (v' + o) + s a, s = tau / (tau + h): an
    amplifier of a smaller gain, and the share s of what it put out before, by layer."""
    stay = {index: tau / (tau + step_s) for index, tau in enumerate(_poles_s(solver)) if tau > 0}
    if not stay:
        return solver, stay

    def slower(network: ResistiveNetwork) -> ResistiveNetwork:
        rows = [
            row if row is None or index not in stay else replace(row, gain=(1 - stay[index]) * row.gain)
            for index, row in enumerate(network.amplifiers)
        ]
        return replace(network, amplifiers=tuple(rows))

    return solver.changed(slower), stay


def _held_outputs(
    solver: Solver, index: int, put_out: Tensor, held: Sequence[Injection]
) -> tuple[Injection, Injection]:
    """Injections of a layer and the one above with the currents of voltages that outputs have beside those they follow:
    what the node is asked for, and what flows up."""
    above, (own, upper) = solver.operators[index + 1], held[index : index + 2]
    taken = solver.back[index] * put_out * above.load_below
    return replace(own, current=own.current - taken), replace(upper, current=above.up(put_out, upper.current))


def integrate(solver: Solver, sources: Tensor, farad: Sequence[Tensor], times_s: Array) -> Path:
    """One image from 0 V by scipy's BDF rule, for small networks; every diode is ideal: a resistor of 1e-5 of what
    surrounds its node.

    Raises ValueError for more than one image, and for other diodes.
    """
    if not isinstance(solver.network.diode, Ideal):
        raise ValueError(f"the diode is {solver.network.diode!r}: only ideal ones are followed in time")
    if len(sources) != 1:
        raise ValueError(f"{len(sources)} images, expected one: this follows one network in time")
    moving = _Moving(solver, torch.cat(list(farad)), solver.operators[0].up(sources))
    low = torch.cat([bounds.low for bounds in solver.bounds])
    high = torch.cat([bounds.high for bounds in solver.bounds])
    hard = IDEAL_S * max(float(load.max()) for load in solver.loads)

    def diodes(v: Tensor) -> Tensor:
        return hard * ((low - v).clamp(min=0) - (v - high).clamp(min=0))

    def slope(_: float, flat: Array) -> Array:
        state = torch.as_tensor(flat, dtype=torch.float64, device=solver.device)[None]
        velocity: Array = moving.velocity(state, diodes)[0].cpu().numpy()
        return velocity

    count = sum(moving.sizes)
    start = np.zeros(count + moving.outputs)
    found = solve_ivp(slope, (0.0, float(times_s[-1])), start, "BDF", t_eval=times_s, rtol=1e-7, atol=1e-9)
    layers = torch.as_tensor(found.y[:count].T.copy(), device=solver.device).split(moving.sizes, dim=1)
    return Path(np.asarray(times_s, np.float64), tuple(layer[:, None] for layer in layers))


def rest_s(times_s: Array, volts: Array, tolerance: float) -> float:
    """Seconds from which all of (T, units) stay within `tolerance` of the largest voltage of where they end; between
    two times by a straight line of the distance."""
    far = np.abs(volts - volts[-1]).max(axis=1) / max(float(np.abs(volts[-1]).max()), 1e-300)
    late = np.flatnonzero(far > tolerance)
    if not len(late):
        return float(times_s[0])
    last = int(late[-1])
    if last + 1 == len(times_s):
        return float(times_s[-1])
    share = (far[last] - tolerance) / (far[last] - far[last + 1])
    return float(times_s[last] + share * (times_s[last + 1] - times_s[last]))
