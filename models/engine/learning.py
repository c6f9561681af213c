"""Equilibrium propagation on the engine: both nudged phases in one batch, gradients from what tells them apart."""

from __future__ import annotations

import torch
from torch import Tensor

from models.energy import one_hot
from models.engine.settling import Engine, Pull, Running
from models.engine.stages import slope_of, strongest
from models.learning import Gradient, Phases
from models.network import EPNetwork
from models.relaxation import States


def engine_gradient(
    network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases, dtype: torch.dtype = torch.bfloat16
) -> tuple[Gradient, States]:
    """What `models.learning.ep_gradient` gives for centered nudges and odd-even sweeps: gradient and free states.

    images (B, C, H, W), labels (B,). States are computed in `dtype`, the gradient in float32 or better.
    """
    engine = Engine(network, dtype)
    gradient, free = centered_gradient(engine, images, one_hot(labels, network.classes, images), phases)
    return gradient, engine.states(free)


@torch.no_grad()
def centered_gradient(engine: Engine, images: Tensor, targets: Tensor, phases: Phases) -> tuple[Gradient, Running]:
    """Gradient of the mean cost by the names of `named_parameters`, and the free phase.

    targets (B, K), one-hot. The phases +beta and -beta run side by side as a batch of 2 B.
    """
    batch = len(images)
    drive, free = engine.begin(images)
    for _ in range(phases.free_steps):
        free = engine.sweep(drive, free)
    drive, at = drive.repeat(2, 1, 1, 1), _twice(free)
    betas = torch.full((2 * batch,), phases.beta, dtype=engine.readout.dtype, device=images.device)
    betas[batch:] *= -1
    pull = Pull(betas, targets.repeat(2, 1))
    for _ in range(phases.nudged_steps):
        at = engine.sweep(drive, at, pull)
    return _contrast(engine, images, at, pull, phases.beta), free


def _contrast(engine: Engine, images: Tensor, at: Running, pull: Pull, beta: float) -> Gradient:
    batch, exact = len(images), torch.promote_types(engine.dtype, torch.float32)
    scale = -1.0 / (2 * beta * batch)
    gradient: Gradient = {}
    below: Tensor = images.permute(0, 2, 3, 1).to(engine.dtype)
    for index, (stage, link) in enumerate(zip(engine.stages, engine.network.links, strict=True)):
        states = at.states[index]
        plus, minus = states[:batch].to(exact), states[batch:].to(exact)
        if index == 0:
            # both phases see the same images, and so have the same switch
            switch = at.switches[0]
            apart = engine.wide(0, (plus - minus).to(engine.dtype), None if switch is None else switch[:batch])
        else:
            # the switch of an even layer is older than the odd layer below it
            switch = strongest(stage.up(below), stage.window)[1] if index % 2 == 0 else at.switches[index]
            apart = engine.wide(index, torch.cat([states[:batch], -states[batch:]]), switch)
        products = stage.correlate(below, apart)
        gradient[f"link{index + 1}.weight"] = scale * slope_of(link, products.to(exact))
        gradient[f"link{index + 1}.bias"] = scale * (plus - minus).sum(dim=(0, 1, 2))
        below = states
    error = engine.error(at.states[-1], pull.targets)
    last = at.states[-1].permute(0, 3, 1, 2).flatten(1).to(exact)
    gradient["readout.weight"] = -(error.T @ last) / (2 * batch)
    gradient["readout.bias"] = -error.sum(dim=0) / (2 * batch)
    return gradient


def _twice(running: Running) -> Running:
    return Running(
        tuple(state.repeat(2, 1, 1, 1) for state in running.states),
        tuple(None if switch is None else switch.repeat(2, 1, 1, 1) for switch in running.switches),
    )
