"""A network as attacks see it: what predicts, and every gradient that it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.robustness.attacks.target import Predict, Target
from bench.robustness.free_phase import FreePhase
from bench.robustness.losses import crossed_entropy
from bench.robustness.slopes.engine import on_engine
from bench.robustness.slopes.resting import Implicit, Propagated
from bench.robustness.slopes.slope import Slope
from bench.robustness.slopes.unrolled import Differentiated, Summed, Truncated, unrolled
from models.ep.network import EPNetwork
from models.ep.relaxation import start_states

CALIBRATED_ON = 16
"""Images by which the engine finds how many sweeps a slope needs."""
BETA = 0.005
"""Of equilibrium propagation's own gradient; cosine 0.9988 with the truth in float64 on hw-cifar10-small."""


@dataclass(frozen=True)
class Victim:
    """A network that settles, or that runs once upwards: a twin, or any network with its feedback cut."""

    network: EPNetwork
    settles: bool
    steps: int
    """Synchronous steps of the settle that predicts."""

    def __post_init__(self) -> None:
        layers = len(self.network.links)
        if self.settles and self.steps < layers:
            raise ValueError(
                f"--steps is {self.steps}: images do not reach the top of {layers} layers, so no attack can"
            )

    @property
    def predict(self) -> Predict:
        """Images to scores."""
        if self.settles:
            return FreePhase(self.network, self.steps).forward
        return partial(forward, self.network)

    def target(self, images: Tensor, labels: Tensor) -> Target:
        """These images, to be answered by it."""
        return Target(self.predict, images, labels)

    def gradients(self) -> dict[str, Callable[[Tensor, Tensor], Slope]]:
        """How to make each gradient from a few images and labels, by name; the first is what most attacks go by."""
        network, steps = self.network, self.steps
        if not self.settles:
            return {"backpropagation": lambda _images, _labels: Differentiated(partial(forward, network))}
        every: dict[str, Callable[[Tensor, Tensor], Slope]] = {}
        if network.readout is not None:
            every["engine"] = partial(_engine, network, steps)
            every["engine in float32"] = partial(_engine, network, steps, dtype=torch.float32)
        every["implicit"] = lambda _images, _labels: Implicit(network, steps)
        every["every step"] = lambda _images, _labels: unrolled(network, steps)
        for last in (5, 10, 20):
            if len(network.links) <= last < steps:
                every[f"last {last} steps"] = partial(_truncated, network, steps, last)
        every["sum over steps"] = lambda _images, _labels: Summed(network, steps)
        every["equilibrium propagation"] = lambda _images, _labels: Propagated(network, steps, BETA)
        return every

    def gradient(self, name: str, images: Tensor, labels: Tensor) -> Slope:
        """The gradient of that name, set up on the first of these images."""
        return self.gradients()[name](images[:CALIBRATED_ON], labels[:CALIBRATED_ON])

    @property
    def main(self) -> str:
        """The gradient of attacks that follow it step by step."""
        return next(iter(self.gradients()))

    @property
    def exact(self) -> str:
        """The one of attacks that compare losses."""
        names = list(self.gradients())
        return "engine in float32" if "engine in float32" in names else names[0]


def forward(network: EPNetwork, images: Tensor) -> Tensor:
    """Logits after one pass upwards, without feedback: differentiable."""
    return network.logits(start_states(network, images, "feed_forward")[-1])


def _engine(
    network: EPNetwork, steps: int, images: Tensor, labels: Tensor, dtype: torch.dtype = torch.bfloat16
) -> Slope:
    return on_engine(network, images, partial(crossed_entropy, labels=labels), steps=steps, dtype=dtype)


def _truncated(network: EPNetwork, steps: int, last: int, _images: Tensor, _labels: Tensor) -> Slope:
    return Truncated(network, steps, last)
