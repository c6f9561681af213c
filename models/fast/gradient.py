"""Equilibrium propagation on the engine: gradients from what the two nudges move."""

from __future__ import annotations

import torch
from torch import Tensor

from models.ep.energy import one_hot
from models.ep.gradient import Gradient, Phases
from models.ep.network import EPNetwork
from models.ep.relaxation import States
from models.fast.nudging import Nudged, Pull, begin_nudging, correlated, error, nudged_sweep, twice
from models.fast.settling import Engine
from models.fast.stages import slope_of


@torch.no_grad()
def engine_gradient(
    network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases, dtype: torch.dtype = torch.bfloat16
) -> tuple[Gradient, States]:
    """What `models.ep.gradient.ep_gradient` gives for centered nudges and held maxima: gradient and free states.

    images (B, C, H, W), labels (B,). States are computed in `dtype`, the gradient in float32 or better.

    Raises:
        ValueError: other phases.
    """
    check_phases(phases)
    engine, batch = Engine(network, dtype), len(images)
    free_schedule, nudged_schedule = phases.schedules
    free = engine.begin(images)
    for number in range(1, phases.free_steps + 1):
        free = engine.sweep(free, free_schedule, number)
    betas = torch.full((2 * batch, 1), phases.beta, dtype=engine.readout.dtype, device=images.device)
    betas[batch:] *= -1
    pull = Pull(betas, one_hot(labels, network.classes, engine.readout).repeat(2, 1))
    at = begin_nudging(engine, free)
    for number in range(1, phases.nudged_steps + 1):
        at = nudged_sweep(engine, at, pull, nudged_schedule, number)
    return _contrast(engine, images, at, pull, phases), engine.states(free)


def check_phases(phases: Phases) -> None:
    """A ValueError names what the engine does not do."""
    if phases.estimator != "centered" or phases.schedule == "synchronous" or phases.maxima != "held":
        raise ValueError(
            "the engine takes the estimator centered, maxima held and any schedule but synchronous, not "
            f"{phases.estimator}, {phases.maxima} and {phases.schedule}"
        )


def _contrast(engine: Engine, images: Tensor, at: Nudged, pull: Pull, phases: Phases) -> Gradient:
    batch, exact = len(images), torch.promote_types(engine.dtype, torch.float32)
    scale = -1.0 / (2 * phases.beta * batch)
    gradient: Gradient = {}
    # too few sweeps leave layers that no nudge has come down to
    moved = [
        torch.zeros_like(state).repeat(2, 1, 1, 1) if moves is None else moves
        for state, moves in zip(at.free.states, at.moves, strict=True)
    ]
    for index, (stage, link) in enumerate(zip(engine.stages, engine.network.links, strict=True)):
        states, moves, switch = at.free.states[index], moved[index], at.free.switches[index]
        plus, minus = moves.to(exact).chunk(2)
        if index == 0:
            # all phases see the same images
            below = images.permute(0, 2, 3, 1).to(engine.dtype)
            products = stage.correlate(below, engine.wide(0, (plus - minus).to(engine.dtype), switch))
        else:
            below, moves_below = at.free.states[index - 1], moved[index - 1]
            above, moves_above = engine.wide(index, states, switch), engine.wide(index, moves, twice(switch))
            products = correlated(stage, below, moves_below, above, moves_above)
        gradient[f"link{index + 1}.weight"] = scale * slope_of(link, products.to(exact))
        gradient[f"link{index + 1}.bias"] = scale * (plus - minus).sum(dim=(0, 1, 2))
    skips: Gradient = {}
    for number, (source, target, stage) in enumerate(engine.skips, start=1):
        below, moves_below = at.free.states[source], moved[source]
        products = correlated(stage, below, moves_below, at.free.states[target], moved[target])
        link = engine.network.skips[number - 1].link
        skips[f"skip{number}.weight"] = scale * slope_of(link, products.to(exact))
    last, moves = at.free.states[-1], moved[-1]
    wrong = error(engine, last, moves, pull.targets)
    # in the order of the network's units: channels first
    both = (last.repeat(2, 1, 1, 1).to(exact) + moves).permute(0, 3, 1, 2).flatten(1)
    gradient["readout.weight"] = -(wrong.T @ both) / (2 * batch)
    gradient["readout.bias"] = -wrong.sum(dim=0) / (2 * batch)
    return gradient | skips
