"""Where the power goes at rest: every resistor, diode and amplifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hw.resistive.settling import Injection
from hw.resistive.solver import Solver


def dissipated_w(
    solver: Solver, sources: Tensor, volts: Sequence[Tensor], injections: Sequence[Injection | None] | None = None
) -> dict[str, Tensor]:
    """(B,) watts that become heat at these voltages, by part: "link1", ..., "leaks", "diodes", "clamps".

    What a diode carries is the current left over at its node in Kirchhoff's law, as it is at rest. "clamps" are the
    sources that upper diodes lead to: they take current at their voltage.
    """
    parts = {}
    given = list(injections or [None] * len(volts))
    drive = solver.operators[0].up(sources)
    leaks = torch.zeros_like(drive[..., 0])
    diodes, clamps = leaks.clone(), leaks.clone()
    for index, (operator, v) in enumerate(zip(solver.operators, volts, strict=True)):
        below = sources if index == 0 else solver.outputs(index - 1, volts[index - 1])
        parts[f"link{index + 1}"] = operator.heat(below, v)
        leaks = leaks + (solver.leak[index] * v.square()).sum(dim=-1)
        bounds, injected = solver.bounds[index], given[index]
        left = solver.loads[index] * v - solver.around(index, drive, volts)  # what a diode must bring
        if injected is not None:
            left = left + injected.conductance * v - injected.current
        low, high = torch.isfinite(bounds.low), torch.isfinite(bounds.high)
        at_low = low & ((left > 0) | ~high)
        at_high = high & ((left < 0) | ~low)
        bound = torch.where(at_low, bounds.low, torch.where(at_high, bounds.high, v))
        diodes = diodes + (left * (bound - v)).sum(dim=-1)
        clamps = clamps - torch.where(at_low | at_high, left * bound, torch.zeros_like(v)).sum(dim=-1)
    return {**parts, "leaks": leaks, "diodes": diodes, "clamps": clamps}


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
