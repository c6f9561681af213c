"""Odd-even sweeps: the layers 1, 3, 5, ... and then 2, 4, ..., each by one convolution up and one down.

A convolution up gives a layer its drive and its switch; the switch then steers the way down until the layer below has
changed, so that no convolution is run twice. Nothing is kept but the states, switches and one drive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.stages import Stage, spread, stage_of, strongest
from models.links import DenseLink
from models.network import EPNetwork
from models.relaxation import Schedule, States, groups_of


@dataclass(frozen=True)
class Running:
    """Where a settle stands: of layers 1..L, states (B, H, W, C) and, of the links below them, switches and sums."""

    states: tuple[Tensor, ...]
    switches: tuple[Tensor | None, ...]
    sums: tuple[Tensor | None, ...]
    """Pooled, as states are; None where the layer below has changed since."""


def clipped(sums: Tensor, feedback: Tensor | None) -> Tensor:
    """s = clip(pooled sums, plus what comes from above; 0, 1)."""
    drive = sums.clone() if feedback is None else feedback.add_(sums)
    return drive.clamp_(0, 1)


class Engine:
    """A network with a readout, its links as stages in `dtype`."""

    def __init__(self, network: EPNetwork, dtype: torch.dtype) -> None:
        if network.readout is None:
            raise ValueError("the engine settles networks with a softmax readout; this one has none")
        self.network, self.dtype = network, dtype
        self.stages: tuple[Stage, ...] = tuple(stage_of(link, dtype) for link in network.links)
        self.skips = tuple((skip.source - 1, skip.target - 1, stage_of(skip.link, dtype)) for skip in network.skips)
        channels, rows, columns = self.stages[-1].above
        readout: DenseLink = network.readout
        self.readout = readout.weight.unflatten(1, (channels, rows, columns)).permute(0, 2, 3, 1).flatten(1)
        self.readout_bias = readout.bias

    def drive(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the clamped images (B, C, H, W) send up, which never changes, and its switch."""
        bottom = self.stages[0]
        return strongest(bottom.up(images.permute(0, 2, 3, 1).to(self.dtype)), bottom.window)

    def begin(self, images: Tensor) -> Running:
        """The zero state."""
        drive, switch = self.drive(images)
        states = tuple(drive.new_zeros((len(images), *stage.above[1:], stage.above[0])) for stage in self.stages)
        # nothing comes down from a zero state, wherever it goes
        switches = [
            None if stage.window == 1 else torch.zeros_like(state, dtype=torch.uint8)
            for stage, state in zip(self.stages, states, strict=True)
        ]
        return Running(states, (switch, *switches[1:]), (drive, *[None] * (len(states) - 1)))

    def sweep(self, at: Running, schedule: Schedule = "odd_even") -> Running:
        """All layers of the free phase once, in the order of the schedule."""
        states, switches, sums = list(at.states), list(at.switches), list(at.sums)
        for layer in self.order(schedule):
            feedback = self.feedback(layer, states, switches)
            for residual in self.residuals(layer, states):
                feedback = residual if feedback is None else feedback.add_(residual)
            arriving = sums[layer]
            if arriving is None:
                stage = self.stages[layer]
                arriving, switches[layer] = strongest(stage.up(states[layer - 1]), stage.window)
            states[layer] = clipped(arriving, feedback)
            sums[layer] = arriving
            if layer + 1 < len(sums):
                sums[layer + 1] = None
        return Running(tuple(states), tuple(switches), tuple(sums))

    def rise(self, images: Tensor) -> Running:
        """The first sweep upwards from zero: nothing comes down yet."""
        drive, switch = self.drive(images)
        states, switches, sums = [clipped(drive, None)], [switch], [drive]
        for layer, stage in enumerate(self.stages[1:], start=1):
            arriving = self.residuals(layer, [*states, *[None] * (len(self.stages) - layer)])
            together = torch.stack(arriving).sum(dim=0) if arriving else None
            best, switch = strongest(stage.up(states[-1]), stage.window)
            states.append(clipped(best, together))
            switches.append(switch)
            sums.append(best)
        return Running(tuple(states), tuple(switches), tuple(sums))

    def order(self, schedule: Schedule) -> list[int]:
        """Layers, from 0, in the order of a sweep; layers that change at once do not meet."""
        return [layer for group in groups_of(schedule, len(self.stages)) for layer in group]

    def feedback(self, layer: int, states: list[Tensor], switches: list[Tensor | None]) -> Tensor | None:
        """What a layer receives from above; nothing, if it is the last."""
        if layer + 1 == len(self.stages):
            return None
        return self.stages[layer + 1].down(self.wide(layer + 1, states[layer + 1], switches[layer + 1]))

    def residuals(self, layer: int, states: Sequence[Tensor | None]) -> list[Tensor]:
        """What a layer receives through skips, of states or of changes of states; nothing from None."""
        found = []
        for source, target, stage in self.skips:
            lower, upper = states[source], states[target]
            if target == layer and lower is not None:
                found.append(stage.up_change(lower))
            elif source == layer and upper is not None:
                found.append(stage.down(upper))
        return found

    def wide(self, index: int, states: Tensor, switch: Tensor | None) -> Tensor:
        """The states above link `index` where its maximum came from, before pooling."""
        stage = self.stages[index]
        return spread(states, switch, stage.window, *stage.summed)

    def states(self, at: Running) -> States:
        """The states as the network has them, (B, *shape_l): views, in the engine's dtype."""
        layers = zip(at.states, self.network.layers, strict=True)
        return tuple(state.permute(0, 3, 1, 2).reshape(len(state), *shape) for state, shape in layers)

    def scores(self, last: Tensor) -> Tensor:
        """(B, K) class scores of the last layer."""
        return last.flatten(1).to(self.readout.dtype) @ self.readout.T + self.readout_bias

    def settle(self, images: Tensor, sweeps: int) -> Running:
        """The free phase from zero."""
        at = self.begin(images)
        for _ in range(sweeps):
            at = self.sweep(at)
        return at
