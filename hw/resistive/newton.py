"""Newton's rule for networks that sweeps settle slowly: all nodes at once, with the diodes as they conduct now.

Nodes meet only nodes of the layers beside theirs. Those of the larger of the two classes, layers 1, 3, ... or 2, 4,
..., are eliminated exactly; what is left is solved directly up to `MOST_DIRECT` nodes and by conjugate gradients beyond
(mismatched amplifiers, whose couplings are not symmetric: by BiCGSTAB), with nothing but products with the links.

Safeguard: a sweep brings any two states of a network no farther from each other (each layer measured over what the
amplifiers below make of it), so that what a sweep moves never grows from sweep to sweep. A step of Newton is kept only
if a sweep from there moves no more than half of what it did before, so that the two together come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, bicgstab, cg
from torch import Tensor

from hw.resistive.solver import Problem, Solver, SolverOfDies

MOST_DIRECT = 2000
"""Nodes of a linear system that is solved at once."""
STEPS, KRYLOV_STEPS = 40, 2000
EXACT = 1e-13
"""Of the largest voltage: what a sweep may move of what is solved."""


def newton(problem: Problem, volts: Sequence[Tensor], largest_v: float) -> tuple[list[Tensor], bool]:
    """Better voltages, image by image, and whether all are solved to rounding; sources have up to `largest_v`."""
    if isinstance(problem.solver, SolverOfDies):
        each = [newton(one, [layer[die] for layer in volts], largest_v) for die, one in enumerate(problem.by_die())]
        return [torch.stack(layers) for layers in zip(*(one for one, _ in each), strict=True)], all(d for _, d in each)
    found, done = [], True
    for image in range(len(volts[0])):
        solved, exact = _of_image(problem.of(image), [layer[image : image + 1] for layer in volts], largest_v)
        found.append(solved)
        done = done and exact
    return [torch.cat([one[index] for one in found]) for index in range(len(volts))], done


def _of_image(problem: Problem, volts: list[Tensor], largest_v: float) -> tuple[list[Tensor], bool]:
    best, least = volts, problem.sweep(list(volts))
    for _ in range(STEPS):
        volts = _step(problem, volts)
        moved = problem.sweep(list(volts))
        if moved < 0.5 * least:
            best, least = volts, moved
        elif least <= EXACT * max(largest_v, problem.largest(best)) or not moved < float("inf"):
            break  # solved to rounding, or ran away
    return best, least <= EXACT * max(largest_v, problem.largest(best))


@dataclass(frozen=True)
class _Lines:
    """Kirchhoff's law near some voltages: (load - N) change = left at the nodes that are free, no change at others."""

    solver: Solver
    free: list[Tensor]
    """1 and 0, (1, units) of every layer."""
    load: list[Tensor]
    left: list[Tensor]

    def neighbours(self, layers: Sequence[int], change: dict[int, Tensor]) -> dict[int, Tensor]:
        """What the others drive into free nodes of these layers."""
        held = [change.get(index) for index in range(len(self.load))]
        rows = len(next(iter(change.values()))) if change else 1
        return {
            index: self.free[index]
            * self.solver.coupled(index, self.load[index].new_zeros((rows, self.load[index].shape[1])), held)  # type: ignore[arg-type]
            for index in layers
        }


def _step(problem: Problem, volts: Sequence[Tensor]) -> list[Tensor]:
    """Where all nodes are at rest if every diode goes on as it conducts now."""
    solver, held, free, load = problem.solver, [], [], []
    lines = [
        solver.network.diode.tangent(problem.current(index, volts), problem.loads[index], solver.bounds[index])
        for index in range(len(volts))
    ]
    for line, own, v in zip(lines, problem.loads, volts, strict=True):
        free.append((~line.fixed).to(v.dtype))
        held.append(torch.where(line.fixed, line.voltage, v))
        load.append(own + line.conductance)
    left = [
        free[index] * (problem.current(index, held) + line.current - load[index] * held[index])
        for index, line in enumerate(lines)
    ]
    change = _solved(_Lines(solver, free, load, left))
    return [v + change[index] for index, v in enumerate(held)]


def _solved(lines: _Lines) -> dict[int, Tensor]:
    """The change of every layer."""
    sizes = lines.solver.network.units
    classes = [range(0, len(sizes), 2), range(1, len(sizes), 2)]
    many, few = sorted(classes, key=lambda layers: -sum(sizes[index] for index in layers))
    units = [sizes[index] for index in few]

    def eliminated(given: dict[int, Tensor]) -> dict[int, Tensor]:
        return {index: current / lines.load[index] for index, current in given.items()}

    def apply(flat: Tensor) -> Tensor:
        """The linear system of the few on (B, nodes)."""
        change = dict(zip(few, flat.split(units, dim=1), strict=True))
        back = lines.neighbours(few, eliminated(lines.neighbours(many, change)))
        return torch.cat([lines.load[index] * change[index] - back[index] for index in few], dim=1)

    alone = eliminated({index: lines.left[index] for index in many})
    if not units:
        return alone
    driven = lines.neighbours(few, alone)
    right = torch.cat([lines.left[index] + driven[index] for index in few], dim=1)
    if sum(units) <= MOST_DIRECT:
        matrix = apply(torch.eye(sum(units), dtype=right.dtype, device=right.device)).T
        solution = torch.linalg.solve(matrix, right[0])[None]
    else:
        weights = lines.solver.weights
        scale = torch.cat([(weights[index] * lines.load[index]).sqrt() for index in few], dim=1)
        each = torch.cat([torch.full_like(lines.load[index], weights[index]) for index in few], dim=1)
        solution = _krylov(lines.solver.matched, apply, right, each, scale)
    change = dict(zip(few, solution.split(units, dim=1), strict=True))
    driven = lines.neighbours(many, change)
    return {**change, **{index: alone[index] + one for index, one in eliminated(driven).items()}}


def _krylov(symmetric: bool, apply: Callable[[Tensor], Tensor], right: Tensor, weights: Tensor, root: Tensor) -> Tensor:
    """By products with the matrix alone, rows and columns over the root of what their node is loaded by."""
    count = right.shape[1]

    def product(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        x = torch.as_tensor(np.asarray(flat, np.float64).reshape(1, count), device=right.device)
        found: NDArray[np.float64] = (apply(x / root) * weights / root)[0].cpu().numpy()
        return found

    matrix = LinearOperator((count, count), matvec=product, dtype=np.float64)
    solve = cg if symmetric else bicgstab
    found, _ = solve(matrix, (right * weights / root)[0].cpu().numpy(), rtol=1e-13, maxiter=KRYLOV_STEPS)
    return torch.as_tensor(found, device=right.device)[None] / root
