"""Equilibrium propagation: gradients from two phases of local correlations.

    dC/dtheta  =  lim  -1 / (beta_2 - beta_1) * ( dPhi/dtheta at s(beta_2)  -  dPhi/dtheta at s(beta_1) )

with s(beta) the state settled under a nudge of beta (Scellier & Bengio 2017). dPhi/dW is the correlation of the two
states a weight joins, so every weight needs to know only those. Centered nudges (beta_1 = -beta_2) cancel the error of
first order (Laborieux et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.energy import one_hot
from models.links import Link
from models.network import EPNetwork
from models.relaxation import Nudge, Schedule, States, relax

Estimator = Literal["one_sided", "centered", "random_sign"]
PhaseSchedule = Literal["synchronous", "odd_even", "up_down", "symmetric"]
Maxima = Literal["held", "live"]
Gradient = dict[str, Tensor]


@dataclass(frozen=True)
class Phases:
    """How one EP gradient is taken."""

    free_steps: int = 30
    nudged_steps: int = 15
    beta: float = 0.2
    estimator: Estimator = "centered"
    schedule: PhaseSchedule = "odd_even"
    """up_down sweeps upwards in the free phase, so that an image reaches the top in the first sweep, and downwards in
    the nudged ones, so that the nudge reaches the bottom in the first: half as many sweeps learn as well. symmetric
    sweeps both ways in turn, upwards first in the free phase and downwards in the nudged ones: for the same cosine with
    the gradient at rest (0.996, 4 + 3 sweeps of up_down, hw-cifar10-small) the engine runs 0.6 times the
    convolutions."""
    maxima: Maxima = "held"
    """Of max-pooling links in the nudged phases. held: where the free phase left them, as the gradient at its end has
    them. live: where they come to lie, as published; but a maximum that one nudge moves to another place adds a
    difference of states over 2 beta, and a few such outweigh all else where beta is small."""

    @property
    def schedules(self) -> tuple[Schedule, Schedule]:
        """Of the free and of the nudged phases."""
        if self.schedule == "symmetric":
            return "rising", "falling"
        return ("upwards", "downwards") if self.schedule == "up_down" else (self.schedule, self.schedule)

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}: the nudge must be positive, the estimator gives it its sign")
        if self.free_steps < 1 or self.nudged_steps < 1:
            raise ValueError(f"free_steps {self.free_steps} and nudged_steps {self.nudged_steps} must be at least 1")


def nudges(estimator: Estimator, beta: float, generator: torch.Generator) -> tuple[float, float]:
    """The two nudges an estimator compares: (0, beta), (-beta, beta) or (0, +-beta) with a random sign."""
    if estimator == "one_sided":
        return 0.0, beta
    if estimator == "centered":
        return -beta, beta
    if estimator == "random_sign":
        return 0.0, beta if torch.rand((), generator=generator) < 0.5 else -beta
    raise ValueError(f"estimator {estimator!r} is none of one_sided, centered, random_sign")


@torch.no_grad()
def ep_gradient(
    network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases, generator: torch.Generator
) -> tuple[Gradient, States]:
    """Gradient of the mean cost by the names of `network.named_parameters`, and the free states.

    The readout of a softmax network lies outside the dynamics: its gradient is the ordinary one of the cross-entropy,
    averaged over the states of both phases.
    """
    target = one_hot(labels, network.classes, images)
    upwards, downwards = phases.schedules
    free = relax(network, images, steps=phases.free_steps, schedule=upwards).states
    held = switches(network, images, free) if phases.maxima == "held" else None

    def settle(beta: float) -> States:
        if beta == 0.0:
            return free
        return relax(
            network,
            images,
            steps=phases.nudged_steps,
            schedule=downwards,
            start=free,
            nudge=Nudge(beta, target),
            held=held,
        ).states

    low, high = nudges(phases.estimator, phases.beta, generator)
    ends = [(low, settle(low)), (high, settle(high))]
    scale = 1.0 / ((high - low) * len(images))
    gradient: Gradient = {}
    for beta, states in ends:
        sign = -scale if beta == high else scale
        for index, link in enumerate(network.links):
            below = images if index == 0 else states[index - 1]
            weight, bias = correlations(link, below, states[index], held[index] if held else None)
            _add(gradient, f"link{index + 1}.weight", sign * weight)
            _add(gradient, f"link{index + 1}.bias", sign * bias)
        for number, skip in enumerate(network.skips, start=1):
            below, above = states[skip.source - 1], states[skip.target - 1]
            _add(gradient, f"skip{number}.weight", sign * skip.link.correlate(below, above))
        if network.readout is not None:
            error = (network.logits(states[-1]).softmax(dim=1) - target) / (len(ends) * len(images))
            _add(gradient, "readout.weight", error.T @ states[-1].flatten(1))
            _add(gradient, "readout.bias", error.sum(dim=0))
    return gradient, free


def switches(network: EPNetwork, images: Tensor, states: States) -> tuple[Tensor | None, ...]:
    """Where the maxima of max-pooling links lie at these states; None for other links."""
    return tuple(_switch(link, below) for link, below in zip(network.links, (images, *states), strict=False))


def _switch(link: Link, below: Tensor) -> Tensor | None:
    return link.up(below)[1] if getattr(link, "pooling", "none") == "max" else None


def correlations(link: Link, below: Tensor, above: Tensor, held: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(dPhi/dW, dPhi/db) of one link at these states, summed over the batch; maxima where they lie, or are held."""
    switch = _switch(link, below) if held is None else held
    return link.correlate(below, above, switch), link.correlate_bias(above)


def backprop_gradient(
    network: EPNetwork, images: Tensor, labels: Tensor, *, steps: int, schedule: Schedule = "odd_even"
) -> Gradient:
    """The same gradient by automatic differentiation through all steps of the free phase: the truth EP estimates."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in network.named_parameters().items()}
    trained = network.with_parameters(leaves)
    last = relax(trained, images, steps=steps, schedule=schedule).states[-1]
    loss = mean_cost(trained, last, labels)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def mean_cost(network: EPNetwork, last: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of the cost of the last layer's states: differentiable."""
    if network.readout is not None:
        return cross_entropy(network.logits(last), labels)
    return 0.5 * (last - one_hot(labels, network.classes, last)).square().sum(dim=1).mean()


def cosine(a: Gradient, b: Gradient, names: Sequence[str]) -> dict[str, float]:
    """Cosine between two gradients, tensor by tensor."""
    return {name: float(torch.cosine_similarity(a[name].flatten(), b[name].flatten(), dim=0)) for name in names}


def _add(gradient: Gradient, name: str, term: Tensor) -> None:
    gradient[name] = gradient[name] + term if name in gradient else term
