"""The gradient by the image at rest: implicit, so that neither its memory nor its truth depends on the steps before.

At rest s = clip(u, 0, 1) with drives u = J s + b + U x, J the links between layers (symmetric), U the lowest link, and
D one for live units, 0 < s < 1, zero for those at a bound. For a cost whose direct slope by the drives is v,

    y = v + D J y,        dC/dx = U^T y,

so that y = dC/du, the adjoint, settles by the map of the states, linearised: it comes to rest where they do, and as
fast. It is what equilibrium propagation finds from two nudged phases in the limit of small beta.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.ep.cudnn import exact
from models.ep.feedback import sent
from models.ep.gradient import switches
from models.ep.network import EPNetwork
from models.ep.relaxation import States

MOST_ITERATIONS = 2_000


class NotAtRestError(RuntimeError):
    """The adjoint grew or did not come to rest: the settling map does not contract at these states."""


def scores_of(network: EPNetwork, images: Tensor, states: States) -> Tensor:
    """(B, K) class scores whose slopes do not vanish where an output is at a bound.

    Behind a readout the logits; without one the drives of the last layer, which are its states before they are clipped.
    """
    if network.readout is not None:
        return network.logits(states[-1])
    link = network.links[-1]
    drive = link.up((images, *states)[-2])[0] + link.spread_bias()
    for skip in network.skips_into(len(network.links)):
        drive = drive + skip.link.up(states[skip.source - 1])[0]
    return drive


@exact
@torch.no_grad()
def adjoint_slope(
    network: EPNetwork,
    images: Tensor,
    states: States,
    slopes: Tensor,
    *,
    tolerance: float = 1e-6,
    most: int = MOST_ITERATIONS,
) -> Tensor:
    """dC/dx (B, C, H, W) of images settled to `states` (B, *shape_l), from slopes = dC/d `scores_of` (B, K).

    Iterated until no part of y changes by more than `tolerance` of the largest part of its image's.

    Raises:
        NotAtRestError: that does not happen within `most` iterations.
    """
    network.check_feedback("its gradient is that of one pass upwards, by autograd")
    held = switches(network, images, states)
    live = [((state > 0) & (state < 1)).to(state.dtype) for state in states]
    pull = slopes if network.readout is None else live[-1] * network.readout.down(slopes)
    moves = [*(torch.zeros_like(state) for state in states[:-1]), pull]
    for _ in range(most):
        fresh = [mask * part for mask, part in zip(live, sent(network, moves, held), strict=True)]
        fresh[-1] = fresh[-1] + pull
        change, size = _largest(fresh, moves), _largest(fresh, None)
        moves = fresh
        if bool((change <= tolerance * size).all()):
            return network.links[0].down(moves[0], held[0])
    raise NotAtRestError(
        f"the adjoint of {int((change > tolerance * size).sum())} of {len(images)} images is not at rest after "
        f"{most:,} iterations: the settling map does not contract there"
    )


def _largest(moves: Sequence[Tensor], others: Sequence[Tensor] | None) -> Tensor:
    """(B,) largest absolute part, or difference from the others, over all layers."""
    differences = moves if others is None else [one - other for one, other in zip(moves, others, strict=True)]
    return torch.stack([part.abs().flatten(1).amax(dim=1) for part in differences]).amax(dim=0)
