"""The gradient by the image on the engine: `models.ep.adjoint` by symmetric sweeps, in the engine's arithmetic.

The pull meets the last layer first: a falling sweep takes it to the image, and each pair of sweeps after it adds what
the loop sends around once more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.fast.moves import Moves
from models.fast.settling import Engine, Running


@torch.no_grad()
def engine_slope(engine: Engine, at: Running, slopes: Tensor, sweeps: int) -> Tensor:
    """dC/dx (B, C, H, W) in the arithmetic of images, from slopes = dC/d scores (B, K), after so many sweeps."""
    adjoint = _Adjoint(engine, at, slopes)
    for number in range(1, sweeps + 1):
        for layer in engine.order("falling", number):
            adjoint.update(layer)
    bottom = adjoint.moves[0]
    assert bottom is not None, "a falling sweep reaches the lowest layer"
    wide = engine.wide(0, bottom.to(engine.image_dtype), at.switches[0])
    return engine.stages[0].down(wide).permute(0, 3, 1, 2)


class _Adjoint(Moves):
    """y = v + D J y, one layer after another; the pull of a readout meets live units only."""

    def __init__(self, engine: Engine, at: Running, slopes: Tensor) -> None:
        super().__init__(engine, at.switches)
        self.live = [(state > 0) & (state < 1) for state in at.states]
        pulls = (slopes.to(engine.readout.dtype) @ engine.readout).view(at.states[-1].shape)
        self.pull = pulls.to(engine.dtype)

    def taken(self, layer: int, parts: Sequence[Tensor]) -> Tensor:
        """What arrives, of live units."""
        received = parts[0]
        for part in parts[1:]:
            received = received + part
        return received * self.live[layer]

    def pulled(self) -> Tensor:
        """v = R^T dC/d scores."""
        return self.pull
