"""The nudged phases, as how far each nudge moves the free one.

Half precision knows a state to 8 bits, and far below the output a nudge moves states by less than that: what EP
compares would drown in rounding. So the free phase runs on beside the nudged ones, and of those only changes are kept,

    d = clip(F + U d_below + D d_above + pull, 0, 1) - clip(F, 0, 1),      F = U g_below + b + D g_above,

which are rounded to 8 bits of their own size. Convolutions are linear, and so is what pools at held switches: they take
changes as they take states. Three times B: free, +beta, -beta.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.ep.relaxation import Schedule
from models.fast.settling import Engine, Running, forget
from models.fast.stages import Stage, chosen, strongest


@dataclass(frozen=True)
class Nudged:
    """The free phase g, its maxima held, and by how much +beta (first half) and -beta (second half) move it."""

    free: Running
    moves: tuple[Tensor | None, ...]
    """(2 B, H, W, C) of every layer, in the engine's dtype; None where nothing has come down to yet."""
    sums: tuple[Tensor | None, ...]
    """By how much they move what comes from below; as long as that of the free phase holds, these do."""
    feedback: tuple[Tensor | None, ...]
    """By how much they move what comes from above, likewise."""


@dataclass(frozen=True)
class Pull:
    """Nudges (2 B, 1), +beta and then -beta, towards targets (2 B, K), one-hot."""

    betas: Tensor
    targets: Tensor


def begin_nudging(engine: Engine, free: Running) -> Nudged:
    """Both nudged phases where the free one is, with all maxima where they lie now."""
    switches, sums, feedback = list(free.switches), list(free.sums), list(free.feedback)
    for layer, stage in enumerate(engine.stages):
        if stage.window > 1 and sums[layer] is None:
            # the layer below has changed since
            sums[layer], switches[layer] = strongest(stage.up(free.states[layer - 1]), stage.window)
            feedback[layer - 1] = None
    none = (None,) * len(free.states)
    return Nudged(Running(free.states, tuple(switches), tuple(sums), tuple(feedback)), none, none, none)


def nudged_sweep(engine: Engine, at: Nudged, pull: Pull, schedule: Schedule, number: int) -> Nudged:
    """All layers of all three phases once, as `Engine.sweep`."""
    states, switches = list(at.free.states), at.free.switches
    sums, feedback = list(at.free.sums), list(at.free.feedback)
    moves, moved_sums, moved_feedback = list(at.moves), list(at.sums), list(at.feedback)
    exact, last = torch.promote_types(engine.dtype, torch.float32), len(states) - 1
    for layer in engine.order(schedule, number):
        below = sums[layer]
        if below is None:
            stage, moved = engine.stages[layer], moves[layer - 1]
            below = sums[layer] = chosen(stage.up(states[layer - 1]), switches[layer], stage.window)
            if moved is not None:
                moved_sums[layer] = chosen(stage.up_change(moved), twice(switches[layer]), stage.window)
        rest = below.to(exact, copy=True)
        if layer < last:
            above, moved = feedback[layer], moves[layer + 1]
            if above is None:
                above = feedback[layer] = engine.down(layer, states[layer + 1], switches[layer + 1])
                if moved is not None:
                    moved_feedback[layer] = engine.down(layer, moved, twice(switches[layer + 1]))
            rest += above
            pulls = moved_feedback[layer]
        else:
            pulls = pulled(engine, states[-1], moves[-1], pull)
        for residual in engine.residuals(layer, states):
            rest += residual
        changes = [change for change in (moved_sums[layer], pulls) if change is not None]
        changes += engine.residuals(layer, moves)
        free = rest.clamp(0, 1)
        if changes:
            # both nudges over the one free phase, (2, B, ...)
            nudged = torch.stack(changes).sum(dim=0) if len(changes) > 1 else changes[0]
            nudged = (rest + nudged.unflatten(0, (2, -1))).clamp_(0, 1)
            moves[layer] = nudged.sub_(free).to(engine.dtype).flatten(0, 1)
        states[layer] = free.to(engine.dtype)
        forget(layer, sums, feedback)
    running = Running(tuple(states), switches, tuple(sums), tuple(feedback))
    return Nudged(running, tuple(moves), tuple(moved_sums), tuple(moved_feedback))


def error(engine: Engine, last: Tensor, moves: Tensor | None, targets: Tensor) -> Tensor:
    """(2 B, K) y - softmax of the scores of both nudged phases."""
    free = engine.scores(last)
    scores = free.repeat(2, 1)
    if moves is not None:
        scores += moves.flatten(1).to(free.dtype) @ engine.readout.T
    return targets - scores.softmax(dim=1)


def pulled(engine: Engine, last: Tensor, moves: Tensor | None, pull: Pull) -> Tensor:
    """beta R^T (y - softmax(R s + r)), (2 B, H, W, C) of the last layer."""
    return (pull.betas * error(engine, last, moves, pull.targets) @ engine.readout).view(-1, *last.shape[1:])


def correlated(stage: Stage, below: Tensor, moves_below: Tensor, free: Tensor, moves: Tensor) -> Tensor:
    """Slope by the weight at +beta less that at -beta, of states and moves below and, before pooling, above.

    b+ a+ - b- a-  =  b+ (a+ - a) - b- (a- - a) + (b+ - b-) a: no difference of large numbers.
    """
    exact = torch.promote_types(below.dtype, torch.float32)
    plus, minus = moves_below.chunk(2)
    both = (below.repeat(2, 1, 1, 1).to(exact) + moves_below).to(below.dtype)
    apart = (plus.to(exact) - minus).to(below.dtype)
    up, down = moves.chunk(2)
    return stage.correlate(torch.cat([both, apart]), torch.cat([up, -down, free]))


def twice(switch: Tensor | None) -> Tensor | None:
    """The switch of both nudged phases."""
    return None if switch is None else switch.repeat(2, 1, 1, 1)
