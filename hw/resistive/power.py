"""Where the power goes at rest: every resistor, diode and amplifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hw.resistive.settling import Injection
from hw.resistive.solver import Solver

AT_ONCE = 2**18
"""Voltages of a layer that are squared at once: what a processor keeps close to it."""


def dissipated_w(
    solver: Solver, sources: Tensor, volts: Sequence[Tensor], injections: Sequence[Injection | None] | None = None
) -> dict[str, Tensor]:
    """(B,) watts that become heat at these voltages, by part: "link1", ..., "leaks", "diodes", "clamps".

    What a diode carries is the current left over at its node in Kirchhoff's law, as it is at rest. "clamps" are the
    sources that upper diodes lead to: they take current at their voltage.
    """
    parts = {}
    for index, (operator, v) in enumerate(zip(solver.operators, volts, strict=True)):
        below = sources if index == 0 else solver.outputs(index - 1, volts[index - 1])
        parts[f"link{index + 1}"] = operator.heat(below, v)
    leaks = [(leak * v.square()).sum(dim=-1) for leak, v in zip(solver.leak, volts, strict=True)]
    drive = solver.operators[0].up(sources)
    return {**parts, "leaks": torch.stack(leaks).sum(dim=0), **diodes_w(solver, drive, volts, injections)}


def diodes_w(
    solver: Solver, drive: Tensor, volts: Sequence[Tensor], injections: Sequence[Injection | None] | None = None
) -> dict[str, Tensor]:
    """(B,) watts of "diodes" and "clamps" alone; `drive` is what the sources drive into layer 1."""
    given = list(injections or [None] * len(volts))
    diodes = torch.zeros_like(drive[..., 0])
    clamps = diodes.clone()
    for index, v in enumerate(volts):
        if not solver.held[index]:
            continue
        (has, low, high), injected = solver.bounds[index].rails, given[index]
        left = solver.loads[index] * v - solver.around(index, drive, volts)  # what a diode must bring
        if injected is not None:
            left = left + injected.conductance * v - injected.current
        left = has * left
        bound = torch.where(left > 0, low, high)
        diodes = diodes + torch.linalg.vecdot(left, bound - v)
        clamps = clamps - torch.linalg.vecdot(left, bound)
    return {"diodes": diodes, "clamps": clamps}


def heating_w(solver: Solver, sources: Tensor, drive: Tensor, rows: Sequence[Tensor]) -> dict[str, Tensor]:
    """(T, B) watts that resistors and leaks alone turn into heat, of T voltages (T, B, units) of every layer at once:
    the parts of `dissipated_w` of these names, for a tenth of the work of T calls. `drive` is what the sources drive
    into layer 1."""
    sent = (sources.square() * solver.operators[0].load_below).sum(dim=-1)  # the sources stay as they are
    count = max(1, AT_ONCE // max(layer[0].numel() for layer in rows))
    pieces = [
        _heating_w(solver, sent, drive, piece) for piece in zip(*(layer.split(count) for layer in rows), strict=True)
    ]
    return {part: torch.cat([piece[part] for piece in pieces]) for part in pieces[0]}


def _heating_w(solver: Solver, sent: Tensor, drive: Tensor, rows: Sequence[Tensor]) -> dict[str, Tensor]:
    squares = [v.square() for v in rows]
    first, *others = solver.operators
    parts = {"link1": sent + weighed(squares[0], first.load_above) - 2 * torch.linalg.vecdot(rows[0], drive)}
    for index, operator in enumerate(others, start=1):
        outputs, below, above = rows[index - 1], squares[index - 1], rows[index]
        if solver.amplified[index - 1]:
            outputs = solver.outputs(index - 1, outputs)
            below = outputs.square()
        # all times are images of one batch
        times = (len(above), above.shape[-2])
        down = operator.down(above.movedim(0, -3).flatten(-3, -2)).unflatten(-2, times).movedim(-3, 0)
        both = weighed(below, operator.load_below) + weighed(squares[index], operator.load_above)
        parts[f"link{index + 1}"] = both - 2 * torch.linalg.vecdot(down, outputs)
    leaks = torch.zeros_like(parts["link1"])
    for square, leak in zip(squares, solver.leak, strict=True):
        if bool(leak.any()):
            leaks = leaks + weighed(square, leak)
    return {**parts, "leaks": leaks}


def weighed(squares: Tensor, weights: Tensor) -> Tensor:
    """(..., B) sums of squares (..., B, units) with weights (units,), or of every die (dies, 1, units)."""
    return squares @ weights if weights.ndim == 1 else (squares @ weights.mT)[..., 0]


def delivered_w(solver: Solver, sources: Tensor, volts: Sequence[Tensor]) -> Tensor:
    """(B,) watts that sources, bias currents and amplifiers bring in: what `dissipated_w` adds up to at rest.

    An amplifier brings what leaves its output less what it takes from its node; what it needs to run is not in it.
    """
    last = len(volts) - 1
    drive = solver.operators[0]
    total = (sources.square() * drive.load_below).sum(dim=-1) - (sources * drive.down(volts[0])).sum(dim=-1)
    for index, v in enumerate(volts):
        total = total + (solver.current[index] * v).sum(dim=-1)
        if index < last:
            out, above = solver.outputs(index, v), solver.operators[index + 1]
            current = out * above.load_below - above.down(volts[index + 1])
            total = total + (current * (out - solver.back[index] * v)).sum(dim=-1)
    return total
