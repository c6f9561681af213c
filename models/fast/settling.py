"""Sweeps over the layers: what each receives from below and from above, and the state that it takes on.

A convolution up gives a layer its sums and its switch; the switch then steers the way down. Both messages hold until
the layer that sent them changes, so that no convolution is run twice. Nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.ep.links import DenseLink
from models.ep.network import EPNetwork
from models.ep.relaxation import Schedule, States, groups_of
from models.fast.stages import Stage, spread, stage_of, strongest


@dataclass(frozen=True)
class Running:
    """Where a settle stands: of layers 1..L, states (B, H, W, C), switches of the links below, and what arrives."""

    states: tuple[Tensor, ...]
    switches: tuple[Tensor | None, ...]
    sums: tuple[Tensor | None, ...]
    """What comes from below, pooled; None where the layer below has changed since."""
    feedback: tuple[Tensor | None, ...]
    """What comes from above; None where the layer above has changed since, and of the last."""
    drives: tuple[Tensor, ...]
    """All that each layer received when it last changed: its state, before that was clipped."""


class Engine:
    """A network with a readout, its links as stages in `dtype`, the one that images meet in `image_dtype`.

    bfloat16 knows a pixel to 8 bits and rounds what an attack does to it away: give its engine float32 images.
    """

    def __init__(self, network: EPNetwork, dtype: torch.dtype, image_dtype: torch.dtype | None = None) -> None:
        if network.readout is None:
            raise ValueError("the engine settles networks with a softmax readout; this one has none")
        network.check_feedback("the engine settles networks that have it")
        self.network, self.dtype, self.image_dtype = network, dtype, image_dtype or dtype
        bottom, *others = network.links
        self.stages: tuple[Stage, ...] = (
            stage_of(bottom, self.image_dtype),
            *(stage_of(link, dtype) for link in others),
        )
        self.skips = tuple((skip.source - 1, skip.target - 1, stage_of(skip.link, dtype)) for skip in network.skips)
        channels, rows, columns = self.stages[-1].above
        readout: DenseLink = network.readout
        self.readout = readout.weight.unflatten(1, (channels, rows, columns)).permute(0, 2, 3, 1).flatten(1)
        self.readout_bias = readout.bias

    def begin(self, images: Tensor) -> Running:
        """The zero state, which sends nothing down, under images (B, C, H, W), which never change."""
        bottom = self.stages[0]
        drive, switch = strongest(bottom.up(images.permute(0, 2, 3, 1).to(self.image_dtype)), bottom.window)
        drive = drive.to(self.dtype)
        states = tuple(drive.new_zeros((len(images), *stage.above[1:], stage.above[0])) for stage in self.stages)
        rest = len(states) - 1
        return Running(states, (switch, *[None] * rest), (drive, *[None] * rest), (*states[:-1], None), states)

    def sweep(self, at: Running, schedule: Schedule = "odd_even", number: int = 1) -> Running:
        """All layers of the free phase once, in the order of sweep `number` of the schedule."""
        states, switches, sums, feedback = list(at.states), list(at.switches), list(at.sums), list(at.feedback)
        drives = list(at.drives)
        for layer in self.order(schedule, number):
            below = sums[layer]
            if below is None:
                stage = self.stages[layer]
                below, switches[layer] = strongest(stage.up(states[layer - 1]), stage.window)
                sums[layer] = below
            if layer + 1 < len(states) and feedback[layer] is None:
                feedback[layer] = self.down(layer, states[layer + 1], switches[layer + 1])
            above = feedback[layer]
            drive = below if above is None else below + above
            for residual in self.residuals(layer, states):
                drive = drive + residual
            drives[layer], states[layer] = drive, drive.clamp(0, 1)
            _forget(layer, sums, feedback)
        return Running(tuple(states), tuple(switches), tuple(sums), tuple(feedback), tuple(drives))

    def order(self, schedule: Schedule, number: int) -> list[int]:
        """Layers, from 0, in the order of a sweep; layers that change at once do not meet."""
        return [layer for group in groups_of(schedule, len(self.stages), number) for layer in group]

    def down(self, layer: int, above: Tensor, switch: Tensor | None) -> Tensor:
        """What a layer receives from states above it, or from changes of them."""
        return self.stages[layer + 1].down(self.wide(layer + 1, above, switch))

    def residuals(self, layer: int, states: Sequence[Tensor | None]) -> list[Tensor]:
        """What a layer receives through skips, of states or of changes of states; nothing from None."""
        inputs = []
        for source, target, stage in self.skips:
            lower, upper = states[source], states[target]
            if target == layer and lower is not None:
                inputs.append(stage.up_change(lower))
            elif source == layer and upper is not None:
                inputs.append(stage.down(upper))
        return inputs

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


def _forget(layer: int, sums: list[Tensor | None], feedback: list[Tensor | None]) -> None:
    """A layer has changed: what its neighbours received from it holds no more."""
    if layer + 1 < len(sums):
        sums[layer + 1] = None
    if layer > 0:
        feedback[layer - 1] = None
