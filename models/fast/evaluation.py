"""How good a network is, measured on the engine: fast enough to watch it while it learns."""

from __future__ import annotations

import torch
from torch import Tensor

from models.data import ImageSet
from models.ep.evaluation import BATCH, Evaluation, evaluate, settled
from models.ep.network import EPNetwork
from models.fast.settling import Engine
from models.recipes import Recipe


@torch.no_grad()
def evaluate_fast(
    network: EPNetwork, images: ImageSet, *, sweeps: int, dtype: torch.dtype = torch.bfloat16, batch_size: int = BATCH
) -> Evaluation:
    """`models.ep.evaluation.evaluate` with odd-even sweeps in `dtype`: two synchronous steps each."""
    engine = Engine(network, dtype)

    def settle(batch: Tensor) -> tuple[Tensor, Tensor]:
        before = at = engine.begin(batch)
        for _ in range(sweeps):
            before, at = at, engine.sweep(at)
        changes = [
            (new.float() - old.float()).abs().flatten(1).amax(dim=1)
            for new, old in zip(at.states, before.states, strict=True)
        ]
        return engine.states(at)[-1].float(), torch.stack(changes).amax(dim=0)

    return settled(network, images, settle, batch_size)


def evaluate_as_learnt(network: EPNetwork, images: ImageSet, recipe: Recipe) -> Evaluation:
    """How good the network is after the steps of its recipe, in the arithmetic that it learns in."""
    if recipe.engine_dtype is not None:
        return evaluate_fast(network, images, sweeps=recipe.steps // 2, dtype=recipe.engine_dtype)
    return evaluate(network, images, steps=recipe.steps)
