"""The nudged phases, as how far each nudge moves the free one.

Half precision knows a state to 8 bits, and far below the output a nudge moves states by less than that: what EP
compares would drown in rounding. So the free phase runs on beside the nudged ones, and of those only changes are kept,

    d = clip(F + U d_below + D d_above + pull, 0, 1) - clip(F, 0, 1),      F = U g_below + b + D g_above,

which are rounded to 8 bits of their own size. Convolutions are linear: they take changes as they take states. A maximum
is not, so that changes pass it as the change of the maximum, in float32. Three times B: free, +beta, -beta.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.settling import Engine, Running, forget
from models.engine.stages import Stage, spread, strongest
from models.relaxation import Schedule


@dataclass(frozen=True)
class Nudged:
    """The free phase g, and by how much +beta (first half) and -beta (second half) move it."""

    free: Running
    moves: tuple[Tensor | None, ...]
    """(2 B, H, W, C) of every layer, in the engine's dtype; None where nothing has come down to yet."""
    switches: tuple[Tensor | None, ...]
    """Of the nudged phases, (2 B, H, W, C)."""
    sums: tuple[Tensor | None, ...]
    """By how much they move what comes from below; as long as that of the free phase holds, these do."""
    feedback: tuple[Tensor | None, ...]
    """By how much they move what comes from above, likewise."""


@dataclass(frozen=True)
class Pull:
    """Nudges (2 B, 1), +beta and then -beta, towards targets (2 B, K), one-hot."""

    betas: Tensor
    targets: Tensor


def begin_nudging(free: Running) -> Nudged:
    """Both nudged phases where the free one is."""
    none = (None,) * len(free.states)
    return Nudged(free, none, tuple(_twice(switch) for switch in free.switches), none, none)


def nudged_sweep(engine: Engine, mover: Engine, at: Nudged, pull: Pull, schedule: Schedule, number: int) -> Nudged:
    """All layers of all three phases once, as `Engine.sweep`: free states on `engine`, moves on `mover`."""
    states, switches = list(at.free.states), list(at.free.switches)
    sums, feedback = list(at.free.sums), list(at.free.feedback)
    moves, moved_switches, moved_sums, moved_feedback = (
        list(held) for held in (at.moves, at.switches, at.sums, at.feedback)
    )
    exact, last = torch.promote_types(engine.dtype, torch.float32), len(states) - 1
    for layer in engine.order(schedule, number):
        below = sums[layer]
        if below is None:
            links = engine.stages[layer], mover.stages[layer]
            arrived = arrive(*links, states[layer - 1], moves[layer - 1])
            below, moved_sums[layer], switches[layer], moved_switches[layer] = arrived
            sums[layer] = below
        rest = below.to(exact, copy=True)
        if layer < last:
            above = feedback[layer]
            if above is None:
                above = feedback[layer] = engine.down(layer, states, switches)
                moved_feedback[layer] = _moved_down(mover, layer, states, switches, moves, moved_switches)
            rest += above
            pulls = moved_feedback[layer]
        else:
            pulls = pulled(engine, states[-1], moves[-1], pull)
        for residual in engine.residuals(layer, states):
            rest += residual
        changes = [change for change in (moved_sums[layer], pulls) if change is not None]
        changes += mover.residuals(layer, moves)
        free = rest.clamp(0, 1)
        if changes:
            # both nudges over the one free phase, (2, B, ...)
            nudged = torch.stack(changes).sum(dim=0) if len(changes) > 1 else changes[0]
            nudged = (rest + nudged.unflatten(0, (2, -1))).clamp_(0, 1)
            moves[layer] = nudged.sub_(free).to(mover.dtype).flatten(0, 1)
        states[layer] = free.to(engine.dtype)
        forget(layer, sums, feedback)
    running = Running(tuple(states), tuple(switches), tuple(sums), tuple(feedback))
    return Nudged(running, tuple(moves), tuple(moved_switches), tuple(moved_sums), tuple(moved_feedback))


def _moved_down(
    mover: Engine,
    layer: int,
    states: list[Tensor],
    switches: list[Tensor | None],
    moves: list[Tensor | None],
    moved_switches: list[Tensor | None],
) -> Tensor | None:
    """By how much the nudges move what a layer receives from above, if they have moved that."""
    above, moved = mover.stages[layer + 1], moves[layer + 1]
    if moved is None:
        return None
    return above.down(wide_moves(above, states[layer + 1], switches[layer + 1], moved, moved_switches[layer + 1]))


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
    both = (below.repeat(2, 1, 1, 1).to(exact) + moves_below).to(moves.dtype)
    apart = (plus.to(exact) - minus).to(moves.dtype)
    up, down = moves.chunk(2)
    return stage.correlate(torch.cat([both, apart]), torch.cat([up, -down, free.to(moves.dtype)]))


def arrive(
    stage: Stage, mover: Stage, below: Tensor, moves: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Of states and moves below: pooled sums of the free phase, how the nudges change them, if at all, and switches."""
    exact = torch.promote_types(below.dtype, torch.float32)
    sums = stage.up(below).to(exact)
    if moves is None:
        best, switch = strongest(sums, stage.window)
        return best, None, switch, _twice(switch)
    changes = mover.up_change(moves)
    if stage.window == 1:
        return sums, changes, None, None
    best, switch = strongest(sums, stage.window)
    moved, moved_switch = strongest((sums + changes.unflatten(0, (2, -1))).flatten(0, 1), stage.window)
    return best, (moved.unflatten(0, (2, -1)) - best).flatten(0, 1), switch, moved_switch


def wide_moves(
    stage: Stage, states: Tensor, switch: Tensor | None, moves: Tensor, moved_switch: Tensor | None
) -> Tensor:
    """Before pooling, what the nudges change of the states above: where a maximum moved, all of a state is a change."""
    if switch is None:
        return moves
    exact = torch.promote_types(moves.dtype, torch.float32)
    free = states.to(exact)
    nudged = (free + moves.unflatten(0, (2, -1))).flatten(0, 1)
    wide = spread(nudged, moved_switch, stage.window, *stage.summed).unflatten(0, (2, -1))
    return wide.sub_(spread(free, switch, stage.window, *stage.summed)).to(moves.dtype).flatten(0, 1)


def _twice(switch: Tensor | None) -> Tensor | None:
    return None if switch is None else switch.repeat(2, 1, 1, 1)
