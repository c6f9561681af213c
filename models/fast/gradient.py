"""Equilibrium propagation on the engine: gradients from what the nudges move.

A free phase of F sweeps and nudged ones of N take about F + N + 2 passes over the links, the correlations included,
for one sign of the nudge, and N + 1 more for both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.ep.gradient import Gradient, Phases, nudge_signs, targets_of
from models.ep.network import EPNetwork
from models.ep.relaxation import States
from models.fast.nudging import Pull, moved, repeated, repeated_switch, wrong
from models.fast.settling import Engine, Running
from models.fast.stages import Stage, slope_of


@torch.no_grad()
def engine_gradient(
    network: EPNetwork,
    images: Tensor,
    labels: Tensor,
    phases: Phases,
    generator: torch.Generator,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[Gradient, States]:
    """What `models.ep.gradient.ep_gradient` gives where the free phase has come to rest: gradient and free states.

    images (B, C, H, W), labels (B,). States are computed in `dtype`, the gradient in float32 or better.

    Raises:
        ValueError: phases that the engine does not run.
    """
    targets, signs = asked_for(network, images, labels, phases, generator)
    return gradient_of(network, images, targets, signs, phases, dtype)


def asked_for(
    network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(targets, signs) of `gradient_of`; a ValueError names phases that the engine does not run."""
    check_phases(phases)
    signs = nudge_signs(phases.estimator, len(images), generator).to(images.device)
    return targets_of(network, images, labels, phases), signs


@torch.no_grad()
def gradient_of(
    network: EPNetwork, images: Tensor, targets: Tensor, signs: Tensor, phases: Phases, dtype: torch.dtype
) -> tuple[Gradient, States]:
    """The same from targets (B, K) and the signs of the nudges, (B,) or, both for every image, (2 B,): no number is
    looked at on the way."""
    engine = Engine(network, dtype)
    free_schedule, nudged_schedule = phases.schedules
    free = engine.begin(images)
    for number in range(1, phases.free_steps + 1):
        free = engine.sweep(free, free_schedule, number)
    times = len(signs) // len(images)
    betas = phases.beta * signs[:, None].to(engine.readout.dtype)
    pull = Pull(betas, targets.to(engine.readout.dtype).repeat(times, 1))
    moves = moved(engine, free, pull, nudged_schedule, phases.nudged_steps)
    gradient = _contrast(engine, images, free, moves, signs, phases.beta)
    return gradient | _readout(engine, free, moves, pull) | _skips(engine, free, moves, signs, phases.beta), (
        engine.states(free)
    )


def check_phases(phases: Phases) -> None:
    """A ValueError names what the engine does not do."""
    if phases.schedule == "synchronous" or phases.maxima != "held":
        raise ValueError(
            "the engine holds maxima and takes any schedule but synchronous, not maxima "
            f"{phases.maxima} and {phases.schedule}"
        )


def _contrast(
    engine: Engine, images: Tensor, free: Running, moves: tuple[Tensor, ...], signs: Tensor, beta: float
) -> Gradient:
    exact = torch.promote_types(engine.dtype, torch.float32)
    scale, times = -1.0 / (beta * len(signs)), len(signs) // len(images)
    gradient: Gradient = {}
    for index, (stage, link) in enumerate(zip(engine.stages, engine.network.links, strict=True)):
        switch = repeated_switch(free.switches[index], times)

        def wide(states: Tensor, index: int = index, switch: Tensor | None = switch) -> Tensor:
            return engine.wide(index, states, switch)

        turned = _turned(moves[index], signs)
        if index == 0:
            # all phases see the same images
            both = turned.unflatten(0, (times, -1)).sum(dim=0)
            below = images.permute(0, 2, 3, 1).to(engine.dtype)
            products = stage.correlate(below, engine.wide(0, both, free.switches[0]))
        else:
            states = repeated(free.states[index], times)
            below = repeated(free.states[index - 1], times)
            pairs = [(below, wide(turned)), (_turned(moves[index - 1], signs), wide(states + moves[index]))]
            products = _correlated(stage, pairs)
        gradient[f"link{index + 1}.weight"] = scale * slope_of(link, products.to(exact))
        gradient[f"link{index + 1}.bias"] = scale * turned.sum(dim=(0, 1, 2), dtype=exact)
    return gradient


def _skips(engine: Engine, free: Running, moves: tuple[Tensor, ...], signs: Tensor, beta: float) -> Gradient:
    exact = torch.promote_types(engine.dtype, torch.float32)
    scale, times = -1.0 / (beta * len(signs)), len(signs) // len(free.states[0])
    gradient: Gradient = {}
    for number, (source, target, stage) in enumerate(engine.skips, start=1):
        below, states = repeated(free.states[source], times), repeated(free.states[target], times)
        pairs = [(below, _turned(moves[target], signs)), (_turned(moves[source], signs), states + moves[target])]
        link = engine.network.skips[number - 1].link
        gradient[f"skip{number}.weight"] = scale * slope_of(link, _correlated(stage, pairs).to(exact))
    return gradient


def _readout(engine: Engine, free: Running, moves: tuple[Tensor, ...], pull: Pull) -> Gradient:
    """The ordinary gradient of the cross-entropy, averaged over the states of the two phases that are compared."""
    times = len(pull.targets) // len(free.states[-1])
    last = repeated(free.states[-1], times)
    scores = engine.scores(last)
    states, errors = [last + moves[-1]], [wrong(engine, scores, moves[-1], pull.targets)]
    if times == 1:
        states.append(last)
        errors.append(wrong(engine, scores, None, pull.targets))
    # in the order of the network's units: channels first
    seen = torch.cat(states).permute(0, 3, 1, 2).flatten(1).to(scores.dtype)
    error = torch.cat(errors)
    return {"readout.weight": -(error.T @ seen) / len(seen), "readout.bias": -error.mean(dim=0)}


def _correlated(stage: Stage, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Sum of the correlations of pairs of states below and, before pooling, above.

    b+ a+ - b a  =  b (a+ - a) + (b+ - b) a+: no difference of large numbers.
    """
    below, above = zip(*pairs, strict=True)
    return stage.correlate(torch.cat(below), torch.cat(above))


def _turned(moves: Tensor, signs: Tensor) -> Tensor:
    """Moves (N, H, W, C) as a nudge of positive sign would make them, to first order."""
    return moves * signs.view(-1, 1, 1, 1).to(moves.dtype)
