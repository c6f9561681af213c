"""The computation that predicts, as attacks see it: a fixed number of steps from zero, differentiable through all."""

from __future__ import annotations

from torch import Tensor, nn

from models.ep.adjoint import scores_of
from models.ep.network import EPNetwork
from models.ep.relaxation import States, relax, start_states


class FreePhase(nn.Module):
    """The free phase as a torch module, for attack libraries: images to logits, differentiable through every step.

    It is the computation that predicts, with a fixed number of synchronous steps: fewer steps, or a number that adapts
    to the image, would hide gradients and look like robustness.
    """

    def __init__(self, network: EPNetwork, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to the logits (B, classes) that the answer is read from."""
        return self.network.logits(self.settle(images)[-1])

    def scores(self, images: Tensor) -> Tensor:
        """The same before outputs are clipped: what an attack must differentiate (`models.ep.adjoint.scores_of`)."""
        return scores_of(self.network, images, self.settle(images))

    def settle(self, images: Tensor) -> States:
        """The states that the steps end in."""
        sweeps = equal_sweeps(self.network, self.steps)
        if sweeps is None:
            return relax(self.network, images, steps=self.steps, schedule="synchronous").states
        if (self.steps - len(self.network.links)) % 2 == 0:
            return relax(self.network, images, steps=sweeps, schedule="odd_even").states
        start = first_step(self.network, images)
        return relax(self.network, images, steps=sweeps, schedule="odd_even", start=start).states


def equal_sweeps(network: EPNetwork, steps: int) -> int | None:
    """Odd-even sweeps that leave the last layer exactly where so many synchronous steps leave it, at half the work.

    The synchronous dynamics from zero are two interleaved chains. In one, odd layers move at odd steps: k sweeps from
    zero make steps 2k - 1 of odd layers and 2k of even ones. In the other, even layers move first, to `first_step`: k
    sweeps from there make steps 2k of odd layers and 2k + 1 of even ones. None where winners of max pooling couple the
    chains, or no sweep is needed.
    """
    if any(getattr(link, "pooling", "none") == "max" for link in network.links):
        return None
    met_from_zero = (steps - len(network.links)) % 2 == 0
    return (steps + 1) // 2 if met_from_zero else steps // 2 or None


def first_step(network: EPNetwork, images: Tensor) -> States:
    """States after a synchronous step from zero, even layers only: nothing but the bias moves them."""
    states = start_states(network, images, "zero")
    return tuple(
        (state + link.spread_bias()).clamp(0, 1) if layer % 2 == 0 else state
        for layer, (link, state) in enumerate(zip(network.links, states, strict=True), start=1)
    )
