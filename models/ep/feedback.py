"""What the feedback of a network does: how strong it is at rest, and what is lost when it is cut.

Of layer l, at rest,

    share_l = |W_{l+1}^T s_{l+1}| / |W_l s_{l-1} + b_l|,      l = 1..L-1,

the norm over all images and units of what comes from above over that of what comes from below, residual links included
(the last layer has nothing above it). A settling step near rest is ds <- M ds, M = D J D with J the links (symmetric
blocks W_{l+1}, W_{l+1}^T; maxima where they lie) and D one for live units, 0 < s < 1, zero for those at a bound. Its
spectral radius says how fast the network comes to rest: a synchronous step leaves that share of a disturbance, an
odd-even sweep its square. At 1 and above it does not come to rest there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import ImageSet
from models.ep.cudnn import exact
from models.ep.gradient import switches
from models.ep.network import EPNetwork
from models.ep.relaxation import States, relax, start_states

WITHIN = 0.005
"""Accuracy is there when it stays within half a point of that at the step limit."""
ITERATIONS = 30
"""Of the power iteration: two neighbouring eigenvalues that differ by a tenth are told apart to 1 part in 500."""
WATCHED_IMAGES = 64
"""Images whose settling map is looked at."""


@dataclass(frozen=True)
class Strength:
    """What is cheap to know of the feedback at rest."""

    share: tuple[float, ...]
    """Of layers 1..L-1: what comes from above over what comes from below."""
    radius: float
    """Spectral radius of the settling map, its median over images."""
    radius_max: float
    """The same of the image that comes to rest most slowly."""


@dataclass(frozen=True)
class Feedback(Strength):
    """All that is measured of the feedback of a network."""

    accuracy: float
    """Share of images classified right after `steps` synchronous steps from zero."""
    accuracy_cut: float
    """The same without feedback: one pass upwards."""
    answers_changed: float
    """Share of images that are answered otherwise without feedback."""
    agreement: float
    """Share of images with the same answer after twice as many steps."""
    steps_beyond_depth: int
    """Steps more than layers, until accuracy stays within half a point of that at `steps`."""
    accuracy_by_step: tuple[float, ...]
    """After 1, 2, ... `steps` synchronous steps."""
    images: int


@exact
@torch.no_grad()
def shares(network: EPNetwork, images: Tensor, states: States) -> Tensor:
    """(L - 1,) share of the feedback in every layer but the last, at these states (B, *shape_l)."""
    found = []
    chain, held = (images, *states), switches(network, images, states)
    for layer in range(1, len(network.links)):
        link, above = network.links[layer - 1], network.links[layer]
        below = link.up(chain[layer - 1], held[layer - 1])[0] + link.spread_bias()
        feedback = above.down(chain[layer + 1], held[layer])
        for skip in network.skips:
            if skip.target == layer:
                below = below + skip.link.up(chain[skip.source])[0]
            elif skip.source == layer:
                feedback = feedback + skip.link.down(chain[skip.target])
        found.append(feedback.float().norm() / below.float().norm())
    return torch.stack(found) if found else images.new_zeros(0)


@exact
@torch.no_grad()
def radii(network: EPNetwork, images: Tensor, states: States, *, iterations: int = ITERATIONS) -> Tensor:
    """(B,) spectral radius of the settling map of every image at these states, by power iteration.

    M is symmetric, with eigenvalues in pairs +-r for a chain of layers: |M v| / |v| rises to the largest.
    """
    live = [((state > 0) & (state < 1)).to(state.dtype) for state in states]
    held = switches(network, images, states)
    generator = torch.Generator().manual_seed(0)
    moves = [
        torch.randn(state.shape, generator=generator).to(state) * mask for state, mask in zip(states, live, strict=True)
    ]
    growth = images.new_zeros(len(images))
    for _ in range(iterations):
        size = _norm(moves)
        moves = [move / _spread(size.clamp(min=torch.finfo(move.dtype).tiny), move) for move in moves]
        moves = [new * mask for new, mask in zip(sent(network, moves, held), live, strict=True)]
        growth = _norm(moves)
    return growth


def strength_at(network: EPNetwork, images: Tensor, states: States) -> Strength:
    """Share and spectral radius at these states (B, *shape_l)."""
    slowness = radii(network, images, states)
    share = tuple(round(value, 4) for value in shares(network, images, states).tolist())
    return Strength(share, round(float(slowness.median()), 4), round(float(slowness.max()), 4))


@exact
@torch.no_grad()
def measure_feedback(network: EPNetwork, images: ImageSet, *, steps: int, batch_size: int = 250) -> Feedback:
    """All of it, by `steps` synchronous steps from zero and as many again; everything on one device."""
    right = torch.zeros(steps, dtype=torch.int64)
    cut, changed, same = 0, 0, 0
    first: tuple[Tensor, States] | None = None
    for indices in torch.arange(len(images), device=images.pixels.device).split(batch_size):
        batch, labels = images.batch(indices)
        states = start_states(network, batch, "zero")
        for step in range(steps):
            states = relax(network, batch, steps=1, schedule="synchronous", start=states).states
            answers = network.logits(states[-1]).argmax(dim=1)
            right[step] += int((answers == labels).sum())
        if first is None:
            first = batch[:WATCHED_IMAGES], tuple(state[:WATCHED_IMAGES] for state in states)
        later = relax(network, batch, steps=steps, schedule="synchronous", start=states).states
        same += int((network.logits(later[-1]).argmax(dim=1) == answers).sum())
        forward = network.logits(start_states(network, batch, "feed_forward")[-1]).argmax(dim=1)
        cut += int((forward == labels).sum())
        changed += int((forward != answers).sum())
    if first is None:
        raise ValueError("no images: feedback is measured on at least one")
    count, curve = len(images), tuple(int(hits) / len(images) for hits in right)
    strength = strength_at(network, *first)
    return Feedback(
        strength.share,
        strength.radius,
        strength.radius_max,
        accuracy=curve[-1],
        accuracy_cut=cut / count,
        answers_changed=changed / count,
        agreement=same / count,
        steps_beyond_depth=steps_until(curve) - len(network.links),
        accuracy_by_step=curve,
        images=count,
    )


def steps_until(curve: Sequence[float], within: float = WITHIN) -> int:
    """The first step, from 1, after which accuracy stays within so much of that at the last."""
    away = [step for step, accuracy in enumerate(curve, start=1) if abs(accuracy - curve[-1]) > within + 1e-12]
    return away[-1] + 1 if away else 1


def sent(network: EPNetwork, moves: Sequence[Tensor], held: Sequence[Tensor | None]) -> list[Tensor]:
    """J moves: what every layer receives from below and above, linear in the moves and symmetric; maxima are held."""
    received = [torch.zeros_like(move) for move in moves]
    for upper in range(1, len(network.links)):
        link, switch = network.links[upper], held[upper]
        received[upper] += link.up(moves[upper - 1], switch)[0]
        received[upper - 1] += link.down(moves[upper], switch)
    for skip in network.skips:
        received[skip.target - 1] += skip.link.up(moves[skip.source - 1])[0]
        received[skip.source - 1] += skip.link.down(moves[skip.target - 1])
    return received


def _norm(moves: Sequence[Tensor]) -> Tensor:
    """(B,) over all layers."""
    return torch.stack([move.flatten(1).square().sum(dim=1) for move in moves]).sum(dim=0).sqrt()


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
