"""The nudged phases, as how far each nudge moves the free one, which rests.

Half precision knows a state to 8 bits, and far below the output a nudge moves states by less than that: what EP
compares would drown in rounding. So only the moves d = s(beta) - s(0) are kept, which are rounded to 8 bits of their
own size. With F the drive that the free phase ended with, s = clip(F, 0, 1) and the excess r = F - s (0 between the
bounds), a nudged layer takes on clip(F + e, 0, 1), e being what the moves below and above send and the pull of the
cost on the last layer, so that exactly

    d = clamp(e + r, -s, 1 - s),        e = U d_below + D d_above + pull.

Where the free phase has come to rest these are the moves of `models.ep.gradient`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.ep.relaxation import Schedule
from models.fast.moves import Moves
from models.fast.settling import Engine, Running


@dataclass(frozen=True)
class Pull:
    """Nudges (N, 1) of either sign towards targets (N, K), N = B or 2 B: all images once, or once for each sign."""

    betas: Tensor
    targets: Tensor


def moved(engine: Engine, free: Running, pull: Pull, schedule: Schedule, sweeps: int) -> tuple[Tensor, ...]:
    """The moves d (N, H, W, C) of every layer, in the engine's dtype, after so many sweeps of the schedule."""
    times = len(pull.targets) // len(free.states[0])
    nudging = _Nudging(engine, free, pull, times)
    for number in range(1, sweeps + 1):
        for layer in engine.order(schedule, number):
            nudging.update(layer)
    # too few sweeps leave layers that no nudge has come down to
    layers = zip(free.states, nudging.moves, strict=True)
    return tuple(torch.zeros_like(repeated(state, times)) if moves is None else moves for state, moves in layers)


class _Nudging(Moves):
    """The moves that a pull of the cost makes, within the bounds of states."""

    def __init__(self, engine: Engine, free: Running, pull: Pull, times: int) -> None:
        super().__init__(engine, [repeated_switch(switch, times) for switch in free.switches])
        self.pull = pull
        pairs = list(zip(free.states, free.drives, strict=True))
        self.excess = [repeated(drive - state, times) for state, drive in pairs]
        self.lowest = [repeated(-state, times) for state, _ in pairs]
        self.highest = [repeated(1 - state, times) for state, _ in pairs]
        self.scores = repeated(engine.scores(free.states[-1]), times)

    def taken(self, layer: int, parts: Sequence[Tensor]) -> Tensor:
        """d = clamp(e + r, -s, 1 - s)."""
        received = parts[0] + self.excess[layer]
        for part in parts[1:]:
            received = received + part
        return torch.clamp(received, self.lowest[layer], self.highest[layer])

    def pulled(self) -> Tensor:
        """beta R^T (y - softmax(R s + r)), (N, H, W, C) of the last layer."""
        error = wrong(self.engine, self.scores, self.moves[-1], self.pull.targets)
        pulls = self.pull.betas * error @ self.engine.readout
        return pulls.view(self.excess[-1].shape).to(self.engine.dtype)


def wrong(engine: Engine, scores: Tensor, moves: Tensor | None, targets: Tensor) -> Tensor:
    """y - softmax of the scores (N, K) that moves of the last layer have changed."""
    if moves is not None:
        scores = scores + moves.flatten(1).to(scores.dtype) @ engine.readout.T
    return targets - scores.softmax(dim=1)


def repeated(tensor: Tensor, times: int) -> Tensor:
    """The batch once for each sign of the nudge."""
    return tensor if times == 1 else tensor.repeat(times, *[1] * (tensor.ndim - 1))


def repeated_switch(switch: Tensor | None, times: int) -> Tensor | None:
    """The same of a switch, where the link has one."""
    return None if switch is None else repeated(switch, times)
