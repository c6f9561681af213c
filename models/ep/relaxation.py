"""Relaxation: the network settles.

Free phase, layer l = 1..L, with s_0 = x:

    s_l <- clip( up_l(s_{l-1}) + b_l + down_{l+1}(s_{l+1}), 0, 1 )

which is the exact minimiser of the energy over s_l given its neighbours. Nudged by beta towards a target y, the last
layer instead minimises E + beta * C over s_L:

    squared error, C = 1/2 |s_L - y|^2:      s_L <- clip( (drive + beta y) / (1 + beta), 0, 1 )
    softmax readout, C = cross-entropy:      s_L <- clip( drive + beta R^T (y - softmax(R s_L + r)), 0, 1 )

Schedules: `synchronous` updates all layers from the previous states (one step of a clocked machine); `odd_even` updates
the odd layers and then the even ones. In a layered network the synchronous dynamics are two interleaved chains, so that
one odd-even sweep does the work of two synchronous steps at the price of one, and its energy never rises. `rising` and
`falling` update layer after layer, upwards and downwards in turn (symmetric Gauss-Seidel), the first sweep in the
direction of their name. What comes from below when a sweep comes down has not changed since the last one up, and the
other way round, so that a sweep costs half of an odd-even one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from models.ep.cudnn import exact
from models.ep.links import pools_by_maxima
from models.ep.network import EPNetwork

Schedule = Literal["synchronous", "odd_even", "rising", "falling"]
Start = Literal["zero", "feed_forward"]
States = tuple[Tensor, ...]


@dataclass(frozen=True)
class Nudge:
    """Pull of the cost on the last layer: beta of either sign, of all images or (B, 1), and target (B, classes)."""

    beta: float | Tensor
    target: Tensor
    held: Sequence[Tensor | None] | None = None
    """Switches of all links, None for those without: maxima are taken where these point, whatever is largest."""


@dataclass(frozen=True)
class Force:
    """A constant pull on the last layer, added to its drive: (B, *shape_L)."""

    pull: Tensor
    held: Sequence[Tensor | None] | None = None
    """As of `Nudge`."""


@dataclass(frozen=True)
class Relaxed:
    """States (B, *shape_l) of every computed layer after `steps` (B,) steps, and how much the last one still moved."""

    states: States
    steps: Tensor
    """(B,) step at which an image came to rest (residual <= tolerance), or the step limit."""
    residual: Tensor
    """(B,) largest change of any state in the last step the image ran."""
    trace: tuple[States, ...] | None
    """On request, the states after every step."""


def start_states(network: EPNetwork, images: Tensor, start: Start) -> States:
    """States to settle from: all zero, or one pass upwards without feedback."""
    if start == "zero":
        return tuple(images.new_zeros((len(images), *shape)) for shape in network.layers)
    if start != "feed_forward":
        raise ValueError(f"start {start!r} is none of zero, feed_forward")
    states: list[Tensor] = []
    below = images
    for layer, link in enumerate(network.links, start=1):
        drive = link.up(below)[0] + link.spread_bias()
        for skip in network.skips_into(layer):
            drive = drive + skip.link.up(states[skip.source - 1])[0]
        below = drive.clamp(0, 1)
        states.append(below)
    return tuple(states)


@exact
def relax(
    network: EPNetwork,
    images: Tensor,
    *,
    steps: int,
    schedule: Schedule = "odd_even",
    start: Start | States = "zero",
    tolerance: float | None = None,
    nudge: Nudge | Force | None = None,
    trace: bool = False,
) -> Relaxed:
    """Settle images (B, C, H, W).

    With a tolerance, an image whose states all move by at most that much in one step is at rest: its states are held
    from then on, whatever else is in the batch, and the run ends when all rest. Differentiable in images and weights
    wherever autograd is on; under `torch.no_grad` the memory does not grow with `steps`.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}, must be at least 1")
    if isinstance(nudge, Nudge) and network.readout is None and torch.as_tensor(nudge.beta).min() <= -1:
        raise ValueError(f"beta is {nudge.beta}: the squared-error output has no minimum at beta <= -1")
    states = list(start_states(network, images, start) if isinstance(start, str) else start)
    settling = _Settling(network, images, states, nudge)
    at_rest = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    taken = torch.full((len(images),), steps, device=images.device)
    residual = images.new_full((len(images),), torch.inf)
    history: list[States] = []
    for step in range(1, steps + 1):
        before = list(settling.states)
        for group in groups_of(schedule, len(network.links), step):
            settling.update(group)
        if tolerance is not None and bool(at_rest.any()):
            settling.hold(at_rest, before)
        if trace:
            history.append(tuple(settling.states))
        if tolerance is not None or step == steps:
            moved = _largest_change(before, settling.states)
            residual = torch.where(at_rest, residual, moved)
        if tolerance is not None:
            fresh = ~at_rest & (residual <= tolerance)
            taken = torch.where(fresh, step, taken)
            at_rest = at_rest | fresh
            if bool(at_rest.all()):
                break
    return Relaxed(tuple(settling.states), taken, residual, tuple(history) if trace else None)


class _Settling:
    """States on their way, and what they send up and down, which stays valid until they change.

    The input never changes, so the drive of the first link is computed once. What goes down a max-pooling link takes
    the switch of its last `up`: of the state of the layer below that the layer above was last updated from.
    """

    def __init__(
        self,
        network: EPNetwork,
        images: Tensor,
        states: list[Tensor],
        nudge: Nudge | Force | None,
    ) -> None:
        self.network, self.states, self.nudge = network, states, nudge
        held = None if nudge is None else nudge.held
        self.held = (None,) * len(network.links) if held is None else held
        self.links = [link.folded() for link in network.links]
        self.skips = [(skip.source - 1, skip.target - 1, skip.link.folded()) for skip in network.skips]
        self.ups: list[tuple[Tensor, Tensor | None] | None] = [None] * len(self.links)
        self.ups[0] = self.links[0].up(images, self.held[0])
        self.downs: list[Tensor | None] = [None] * len(self.links)

    def update(self, group: Sequence[int]) -> None:
        """Update these layers (0-based) at once, each from the states as they are now."""
        fresh = {index: self._target(index) for index in group}
        for index, state in fresh.items():
            self.states[index] = state
            if index + 1 < len(self.ups):
                self.ups[index + 1] = None
            if index > 0:
                self.downs[index - 1] = None

    def hold(self, at_rest: Tensor, before: Sequence[Tensor]) -> None:
        """Put the images at rest back to where they were."""
        for index, (old, new) in enumerate(zip(before, self.states, strict=True)):
            self.states[index] = torch.where(at_rest.view(-1, *[1] * (new.ndim - 1)), old, new)

    def _up(self, index: int) -> tuple[Tensor, Tensor | None]:
        sums = self.ups[index]
        if sums is None:
            sums = self.ups[index] = self.links[index].up(self.states[index - 1], self.held[index])
        return sums

    def _down(self, index: int) -> Tensor:
        sums = self.downs[index]
        if sums is None:
            above = self.links[index + 1]
            switch = self._up(index + 1)[1] if pools_by_maxima(above) else None
            sums = self.downs[index] = above.down(self.states[index + 1], switch)
        return sums

    def _target(self, index: int) -> Tensor:
        drive = self._up(index)[0] + self.links[index].spread_bias()
        for source, target, link in self.skips:
            if target == index:
                drive = drive + link.up(self.states[source])[0]
            elif source == index and self.network.feedback:
                drive = drive + link.down(self.states[target])
        if index + 1 < len(self.links):
            if self.network.feedback:
                drive = drive + self._down(index)
        elif self.nudge is not None:
            drive = self._nudged(drive, self.nudge)
        return drive.clamp(0, 1)

    def _nudged(self, drive: Tensor, nudge: Nudge | Force) -> Tensor:
        if isinstance(nudge, Force):
            return drive + nudge.pull
        readout = self.network.readout
        if readout is None:
            return (drive + nudge.beta * nudge.target) / (1 + nudge.beta)
        error = nudge.target - self.network.logits(self.states[-1]).softmax(dim=1)
        beta = nudge.beta if isinstance(nudge.beta, float) else nudge.beta.view(-1, *[1] * (drive.ndim - 1))
        return drive + beta * readout.down(error)


def groups_of(schedule: Schedule, layers: int, step: int) -> tuple[tuple[int, ...], ...]:
    """Layers, from 0, that step number `step`, from 1, updates at once, group after group."""
    upwards = tuple(range(layers))
    if schedule == "synchronous":
        return (upwards,)
    if schedule == "odd_even":
        return (upwards[::2], upwards[1::2])
    if schedule in ("rising", "falling"):
        up = step % 2 == (1 if schedule == "rising" else 0)
        return tuple((layer,) for layer in (upwards if up else reversed(upwards)))
    raise ValueError(f"schedule {schedule!r} is none of {', '.join(get_args(Schedule))}")


def _largest_change(before: Iterable[Tensor], after: Iterable[Tensor]) -> Tensor:
    """(B,) largest absolute change over all layers."""
    changes = [(new - old).abs().flatten(1).amax(dim=1) for old, new in zip(before, after, strict=True)]
    return torch.stack(changes).amax(dim=0)
