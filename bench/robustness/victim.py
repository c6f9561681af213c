"""Networks as attacks see them: what predicts, and every gradient that they offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.robustness.attacks.target import Predict, Target
from bench.robustness.free_phase import FreePhase
from bench.robustness.losses import crossed_entropy
from bench.robustness.slopes.engine import on_engine
from bench.robustness.slopes.resting import Implicit, Propagated, at_rest
from bench.robustness.slopes.slope import Slope
from bench.robustness.slopes.unrolled import Differentiated, Summed, Truncated, unrolled
from bench.robustness.swift import Wrong, scores_near, wrong_by
from models.ep.network import EPNetwork

CALIBRATED_ON = 16
"""Images by which the engine finds how many sweeps a slope needs."""
BETA = 0.005
"""Of equilibrium propagation's own gradient; cosine 0.9988 with the truth in float64 on hw-cifar10-small."""

MakeSlope = Callable[[Tensor, Tensor], Slope]
"""A gradient, set up on a few images and labels."""


class Victim(ABC):
    """What is attacked."""

    settles: bool
    """Whether it has feedback."""

    @property
    @abstractmethod
    def predict(self) -> Predict:
        """Images to scores."""

    @abstractmethod
    def gradients(self) -> Mapping[str, MakeSlope]:
        """Every gradient, by name; the first is what most attacks go by."""

    @property
    @abstractmethod
    def differentiable(self) -> Predict:
        """Images to scores, which autograd goes back through in a memory that does not grow with the steps."""

    @property
    def main(self) -> str:
        """The gradient of attacks that follow it step by step."""
        return next(iter(self.gradients()))

    @property
    def exact(self) -> str:
        """The gradient of attacks that compare losses."""
        return self.main

    def judge(self, _images: Tensor, _labels: Tensor) -> Wrong:
        """Which of many images it answers wrong, set up on these few."""
        return lambda images, labels: self.target(images, labels).wrong(images)

    def asked(self, _images: Tensor) -> Predict:
        """Scores that steer a search by queries, set up on these few images."""
        return self.predict

    def target(self, images: Tensor, labels: Tensor) -> Target:
        """These images, to be answered by it."""
        return Target(self.predict, images, labels)

    def gradient(self, name: str, images: Tensor, labels: Tensor) -> Slope:
        """The gradient of that name, set up on the first of these images."""
        return self.gradients()[name](images[:CALIBRATED_ON], labels[:CALIBRATED_ON])


@dataclass(frozen=True)
class OnePass(Victim):
    """A network without feedback: a twin, a transformer, or any network whose feedback was cut."""

    forward: Callable[[Tensor], Tensor]
    """Images to logits, differentiable."""
    settles = False

    @property
    def predict(self) -> Predict:
        """Images to scores."""
        return self.forward

    @property
    def differentiable(self) -> Predict:
        """The same."""
        return self.forward

    def gradients(self) -> Mapping[str, MakeSlope]:
        """One, that of the whole computation."""
        return {"backpropagation": lambda _images, _labels: Differentiated(self.forward)}


@dataclass(frozen=True)
class Settling(Victim):
    """A network that settles."""

    network: EPNetwork
    steps: int
    """Synchronous steps of the settle that predicts."""
    settles = True

    def __post_init__(self) -> None:
        layers = len(self.network.links)
        if self.steps < layers:
            raise ValueError(
                f"--steps is {self.steps}: images do not reach the top of {layers} layers, so that no attack can"
            )

    @property
    def predict(self) -> Predict:
        """Images to scores."""
        return FreePhase(self.network, self.steps).forward

    @property
    def differentiable(self) -> Predict:
        """Its slope is that of rest, implicit."""
        return partial(at_rest, self.network, self.steps)

    def gradients(self) -> Mapping[str, MakeSlope]:
        """Of the state of rest, and through the steps that lead there."""
        network, steps = self.network, self.steps
        every: dict[str, MakeSlope] = {}
        if network.readout is not None:
            every["engine"] = partial(_engine, network, steps, torch.bfloat16)
            every["engine in float32"] = partial(_engine, network, steps, torch.float32)
        every["implicit"] = lambda _images, _labels: Implicit(network, steps)
        every["every step"] = lambda _images, _labels: unrolled(network, steps)
        for last in (5, 10, 20):
            if len(network.links) <= last < steps:
                every[f"last {last} steps"] = partial(_truncated, network, steps, last)
        every["sum over steps"] = lambda _images, _labels: Summed(network, steps)
        every["equilibrium propagation"] = lambda _images, _labels: Propagated(network, steps, BETA)
        return every

    def judge(self, images: Tensor, labels: Tensor) -> Wrong:
        """By few sweeps of the engine where they leave no doubt, and by all steps where they do."""
        if self.network.readout is None:
            return super().judge(images, labels)
        return wrong_by(self.network, self.predict, images, labels)

    def asked(self, images: Tensor) -> Predict:
        """By few sweeps of the engine in float32, where they come near."""
        return self.predict if self.network.readout is None else scores_near(self.network, self.predict, images)

    @property
    def exact(self) -> str:
        """In float32, which knows a loss well enough."""
        return "implicit" if self.network.readout is None else "engine in float32"


def _engine(network: EPNetwork, steps: int, dtype: torch.dtype, images: Tensor, labels: Tensor) -> Slope:
    return on_engine(network, images, partial(crossed_entropy, labels=labels), steps=steps, dtype=dtype)


def _truncated(network: EPNetwork, steps: int, last: int, _images: Tensor, _labels: Tensor) -> Slope:
    return Truncated(network, steps, last)
