"""Settling in time: every node has a capacitor, C dv/dt = current - load v + i(v), and starts at 0 V.

The slowest time constant is that of the smallest eigenvalue of C^-1 times the conductances, by Lanczos; `integrate`
follows the voltages with a stiff solver; `settle_in_time` does it for a batch by the backward Euler rule, where a
capacitor is a conductance C / h to the voltage before, so that every step is a point of rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh
from torch import Tensor

from hw.resistive.diodes import Ideal
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
    all, which are no faster. Amplifiers are as fast as one likes."""
    capacity = torch.cat(list(farad))
    count = len(capacity)
    kept = torch.ones_like(capacity, dtype=torch.bool) if free is None else torch.cat(list(free))
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
    volts: Sequence[Tensor] = [drive.new_zeros((len(drive), n)) for n in solver.network.units]
    rows = []
    for start, end in zip((0.0, *times_s[:-1]), times_s, strict=True):
        step_s = float(end - start) / substeps
        for _ in range(substeps):
            held = [Injection(c / step_s * v, c / step_s) for c, v in zip(farad, volts, strict=True)]
            volts = settle_driven(solver, drive, largest, held, volts, STEP_TOLERANCE).volts
        rows.append(volts)
    layers = tuple(torch.stack([row[index] for row in rows]) for index in range(len(rows[0])))
    return Path(np.asarray(times_s, np.float64), layers)


def integrate(solver: Solver, sources: Tensor, farad: Sequence[Tensor], times_s: Array) -> Path:
    """One image from 0 V by scipy's BDF rule, for small networks: amplifiers with a bandwidth follow as
    tau da/dt = A (v + o) - a, and every diode is ideal: a resistor of 1e-5 of what surrounds its node.

    Raises ValueError for more than one image, and for other diodes.
    """
    if not isinstance(solver.network.diode, Ideal):
        raise ValueError(f"the diode is {solver.network.diode!r}: only ideal ones are followed in time")
    if len(sources) != 1:
        raise ValueError(f"{len(sources)} images, expected one: this follows one network in time")
    sizes = list(solver.network.units)
    drive, capacity = solver.operators[0].up(sources), torch.cat(list(farad))
    rows = [*solver.network.amplifiers, None]
    tau_s = [0.0 if row is None or row.bandwidth_hz is None else 1 / (2 * np.pi * row.bandwidth_hz) for row in rows]
    slow = [index for index, tau in enumerate(tau_s) if tau > 0]
    count = sum(sizes)
    # the load that the amplifiers reflect is part of `loads`; with outputs of their own it is taken apart
    low = torch.cat([bounds.low for bounds in solver.bounds])
    high = torch.cat([bounds.high for bounds in solver.bounds])
    hard = IDEAL_S * max(float(load.max()) for load in solver.loads)

    def slope(_: float, flat: Array) -> Array:
        state = torch.as_tensor(flat, dtype=torch.float64, device=solver.device)
        volts = list(state[:count][None].split(sizes, dim=1))
        outputs = [solver.outputs(index, v) for index, v in enumerate(volts)]
        place = count
        for index in slow:
            outputs[index] = state[place : place + sizes[index]][None]
            place += sizes[index]
        flows = []
        for index, v in enumerate(volts):
            below = drive if index == 0 else solver.operators[index].up(outputs[index - 1])
            load = solver.operators[index].load_above + solver.leak[index]
            flow = below + solver.current[index] - load * v
            if index + 1 < len(volts):
                above = solver.operators[index + 1]
                flow = flow - solver.back[index] * (outputs[index] * above.load_below - above.down(volts[index + 1]))
            flows.append(flow)
        v, current = torch.cat(volts, dim=1)[0], torch.cat(flows, dim=1)[0]
        current = current + hard * ((low - v).clamp(min=0) - (v - high).clamp(min=0))
        moved = [current / capacity]
        place = count
        for index in slow:
            own = state[place : place + sizes[index]]
            moved.append((solver.outputs(index, volts[index])[0] - own) / tau_s[index])
            place += sizes[index]
        velocity: Array = torch.cat(moved).cpu().numpy()
        return velocity

    start = np.zeros(count + sum(sizes[index] for index in slow))
    found = solve_ivp(slope, (0.0, float(times_s[-1])), start, "BDF", t_eval=times_s, rtol=1e-7, atol=1e-9)
    layers = torch.as_tensor(found.y[:count].T.copy(), device=solver.device).split(sizes, dim=1)
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
