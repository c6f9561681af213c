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

from models.ep.cudnn import exact
from models.ep.energy import one_hot
from models.ep.links import Link, pools_by_maxima
from models.ep.network import EPNetwork
from models.ep.relaxation import Nudge, Schedule, States, relax

Estimator = Literal["one_sided", "centered", "random_sign"]
PhaseSchedule = Literal["synchronous", "odd_even", "symmetric"]
Maxima = Literal["held", "live"]
Gradient = dict[str, Tensor]
MOST_BETA = 1e6
"""Beyond it nothing but the nudge is left of a state in 24 bits."""


@dataclass(frozen=True)
class Phases:
    """How one EP gradient is taken."""

    free_steps: int = 30
    nudged_steps: int = 15
    beta: float = 0.2
    estimator: Estimator = "centered"
    schedule: PhaseSchedule = "odd_even"
    """symmetric sweeps both ways in turn, upwards first in the free phase, so that an image reaches the top in the
    first sweep, and downwards in the nudged ones, so that the nudge reaches the bottom in the first. Every second sweep
    finds half of what it needs as it was, and the engine does not compute it again."""
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over all classes (Szegedy et al. 2016, arXiv:1512.00567)."""
    maxima: Maxima = "held"
    """Of max-pooling links in the nudged phases. held: where the free phase left them, as the gradient at its end has
    them. live: where they come to lie, as published; but a maximum that one nudge moves to another place adds a
    difference of states over 2 beta, and a few such outweigh all else where beta is small."""

    @property
    def schedules(self) -> tuple[Schedule, Schedule]:
        """Of the free and of the nudged phases."""
        if self.schedule == "symmetric":
            return "rising", "falling"
        return self.schedule, self.schedule

    def __post_init__(self) -> None:
        if not 0 < self.beta <= MOST_BETA:
            raise ValueError(
                f"beta is {self.beta}: the nudge must be positive, the estimator gives it its sign, "
                f"and at most {MOST_BETA:g}"
            )
        if self.free_steps < 1 or self.nudged_steps < 1:
            raise ValueError(f"free_steps {self.free_steps} and nudged_steps {self.nudged_steps} must be at least 1")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}, expected 0 up to but not 1")


def nudge_signs(estimator: Estimator, batch: int, generator: torch.Generator) -> Tensor:
    """Signs of the nudges: (B,), one for every image, or of centered ones (2 B,), first + and then - for all.

    one_sided nudges all images by +beta. random_sign draws a sign for every image, so that errors of first order in
    beta average out over a batch. `generator` is on the CPU.
    """
    if estimator == "one_sided":
        return torch.ones(batch)
    if estimator == "centered":
        return torch.cat([torch.ones(batch), -torch.ones(batch)])
    if estimator == "random_sign":
        return 1.0 - 2.0 * (torch.rand(batch, generator=generator) < 0.5)
    raise ValueError(f"estimator {estimator!r} is none of one_sided, centered, random_sign")


def targets_of(network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases) -> Tensor:
    """(B, classes) what the nudges pull towards: one-hot, smoothed."""
    share = phases.label_smoothing
    return one_hot(labels, network.classes, images) * (1 - share) + share / network.classes


@exact
@torch.no_grad()
def ep_gradient(
    network: EPNetwork, images: Tensor, labels: Tensor, phases: Phases, generator: torch.Generator
) -> tuple[Gradient, States]:
    """Gradient of the mean cost by the names of `network.named_parameters`, and the free states.

    The readout of a softmax network lies outside the dynamics: its gradient is the ordinary one of the cross-entropy,
    averaged over the states of both phases.
    """
    target = targets_of(network, images, labels, phases)
    free_schedule, nudged_schedule = phases.schedules
    free = relax(network, images, steps=phases.free_steps, schedule=free_schedule).states
    held = switches(network, images, free) if phases.maxima == "held" else None

    def settle(signs: Tensor) -> States:
        nudge = Nudge(phases.beta * signs.to(images)[:, None], target, held)
        steps, start = phases.nudged_steps, free
        return relax(network, images, steps=steps, schedule=nudged_schedule, start=start, nudge=nudge).states

    signs = nudge_signs(phases.estimator, len(images), generator)
    first = settle(signs[: len(images)])
    if len(signs) > len(images):
        ends = (settle(signs[len(images) :]), first)
    else:
        # of every image the state under the lower nudge comes first, 0 or -beta, and the one under the higher, second
        ends = (_chosen(signs, free, first), _chosen(signs, first, free))
    scale = -1.0 / (phases.beta * len(signs))
    gradient: Gradient = {}
    for index, link in enumerate(network.links):
        before, after = [((images, *states)[index], states[index]) for states in ends]
        weight, bias = _contrast(link, before, after, held[index] if held else None)
        gradient[f"link{index + 1}.weight"], gradient[f"link{index + 1}.bias"] = scale * weight, scale * bias
    skips: Gradient = {}
    for number, skip in enumerate(network.skips, start=1):
        before, after = [(states[skip.source - 1], states[skip.target - 1]) for states in ends]
        skips[f"skip{number}.weight"] = scale * _contrast(skip.link, before, after, None)[0]
    if network.readout is not None:
        last = torch.cat([states[-1] for states in ends])
        error = (network.logits(last).softmax(dim=1) - target.repeat(len(ends), 1)) / len(last)
        gradient["readout.weight"], gradient["readout.bias"] = error.T @ last.flatten(1), error.sum(dim=0)
    return gradient | skips, free


def _chosen(signs: Tensor, above: States, below: States) -> States:
    """Of every image the states `above` where its sign is +, those `below` where it is -."""
    chosen = []
    for one, other in zip(above, below, strict=True):
        positive = (signs > 0).to(one.device).view(-1, *[1] * (one.ndim - 1))
        chosen.append(torch.where(positive, one, other))
    return tuple(chosen)


def switches(network: EPNetwork, images: Tensor, states: States) -> tuple[Tensor | None, ...]:
    """Where the maxima of max-pooling links lie at these states; None for other links."""
    return tuple(_switch(link, below) for link, below in zip(network.links, (images, *states), strict=False))


def _switch(link: Link, below: Tensor) -> Tensor | None:
    return link.up(below)[1] if pools_by_maxima(link) else None


def _contrast(
    link: Link, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor], held: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(dPhi/dW, dPhi/db) of one link at the states (below, above) `after` less that at `before`, over the batch.

    dPhi/dW is linear in either state, so that its change is <d below, mean above> + <mean below, d above>. Two large
    sums, one less the other, would be the same but for rounding: in float32 that leaves a cosine of 0.993 with the
    truth in the lowest link of the seed network (16 images, beta = 0.005), this 1.000.
    """
    (below, above), (below_after, above_after) = before, after
    bias = link.correlate_bias(above_after - above)
    if held is None and pools_by_maxima(link):
        # maxima that moved in between are no longer the same linear map
        first = link.correlate(below, above, _switch(link, below))
        second = link.correlate(below_after, above_after, _switch(link, below_after))
        return second - first, bias
    weight = link.correlate((below + below_after) / 2, above_after - above, held)
    if below is not below_after:
        weight = weight + link.correlate(below_after - below, (above + above_after) / 2, held)
    return weight, bias


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
