"""The implicit gradient on the engine: few symmetric sweeps, in float32 or, but for the images, in bfloat16.

It steers an attack; whether an image has fallen is judged by the computation that predicts. bfloat16 suits attacks that
go where the slope points; those that compare losses (Auto-PGD) lose their way among its roundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.robustness.losses import Loss
from bench.robustness.slopes.resting import Implicit
from bench.robustness.slopes.slope import by_scores
from models.ep.network import EPNetwork
from models.fast.adjoint import engine_slope
from models.fast.settling import Engine

LADDER = ((3, 2), (3, 3), (5, 3), (7, 5), (9, 7), (13, 11), (19, 17), (29, 27), (43, 41))
"""Sweeps of the states, which end upwards, and of the adjoint: about half as many more from one to the next."""
STEERS = 0.99
"""A cosine that an attack finds its way by."""
LEAST_COSINE = {torch.bfloat16: STEERS, torch.float32: 0.9999}
"""With the exact implicit gradient, in the median over images. In float32 losses are compared too, and scores that are
not at rest yet are off by more than what an attack gains in a step."""


@dataclass(frozen=True)
class OnEngine:
    """By `sweeps` of the states and `back` of the adjoint."""

    engine: Engine
    sweeps: int
    back: int

    @torch.no_grad()
    def __call__(self, images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        at = self.engine.begin(images)
        for number in range(1, self.sweeps + 1):
            at = self.engine.sweep(at, "rising", number)
        scores = self.engine.scores(at.states[-1])
        return scores, engine_slope(self.engine, at, by_scores(loss, scores), self.back)


def on_engine(
    network: EPNetwork, images: Tensor, loss: Loss, *, steps: int, dtype: torch.dtype = torch.bfloat16
) -> OnEngine:
    """With the fewest sweeps of the ladder whose slope of these few images is that of rest, by the median cosine.

    A network that takes maxima has several states of rest: feedback keeps whichever of two nearly equal winners it met
    first. The engine may come to another one than `steps` steps do. It then takes as many sweeps as its own rest needs,
    if the slope there is good enough to steer by.

    Raises:
        ValueError: no number of sweeps reaches it within the ladder: the network settles too slowly for this way.
    """
    _, truth = Implicit(network, steps)(images, loss)
    engine = Engine(network, dtype, torch.float32)
    ladder = [OnEngine(engine, sweeps, back) for sweeps, back in LADDER]
    found: list[Tensor] = []
    cosines: list[float] = []
    for slope in ladder:
        found.append(slope(images, loss)[1])
        cosines.append(_alike(found[-1], truth))
        if cosines[-1] >= LEAST_COSINE[dtype]:
            return slope
    rests = [_alike(one, found[-1]) >= LEAST_COSINE[dtype] for one in found[:-1]]
    if rests[-1] and cosines[-1] >= STEERS:
        return ladder[rests.index(True)]
    raise ValueError(
        f"{LADDER[-1][0]} sweeps find the slope of rest to a cosine of {max(cosines):.4f}, at least "
        f"{LEAST_COSINE[dtype]} is asked for: attack it by another gradient (implicit, unrolled)"
    )


def _alike(one: Tensor, other: Tensor) -> float:
    """Median cosine over images."""
    return float(torch.cosine_similarity(one.flatten(1), other.flatten(1), dim=1).median())
