"""What a machine needs to learn, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit
from hw.learning.phases import UpdatePhases
from hw.ledger import Ledger, merge


@dataclass(frozen=True)
class Descent:
    """One number per wire and one for the readout, if there is one; weights are those of the circuit's wires.

    v <- momentum v + dC/dtheta + decay theta,     theta <- theta - rate v
    """

    weight_rates: tuple[float, ...]
    bias_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]
    bias_decays: tuple[float, ...]
    momentum: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weight_rates", "bias_rates", "weight_decays", "bias_decays"):
            values = getattr(self, name)
            if len(values) != len(self.weight_rates) or not all(0 <= value < np.inf for value in values):
                raise ValueError(f"{name} are {values}, expected one finite number from 0 per wire and for the readout")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}, expected 0 up to but not 1")


@dataclass(frozen=True)
class LearningRule:
    """How to learn from one set of images: in the order given, `batch_size` images per update."""

    phases: UpdatePhases
    descent: Descent
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, must be at least 1")

    def check(self, circuit: Circuit, labels: NDArray[np.integer], images: int) -> None:
        """Refuse a rule that does not fit the circuit, or labels that do not fit the images."""
        if not circuit.feedback:
            raise ValueError(
                "the circuit has no feedback: equilibrium propagation needs it, or nothing tells the lower layers"
            )
        self.phases.check(circuit)
        wires = len(circuit.wires) + (circuit.readout is not None)
        if len(self.descent.weight_rates) != wires:
            raise ValueError(f"{len(self.descent.weight_rates)} learning rates for {wires} links, readout included")
        if labels.shape != (images,):
            raise ValueError(f"labels have shape {labels.shape}, expected ({images},): one per image")
        if images and not (labels.min() >= 0 and labels.max() < circuit.classes):
            raise ValueError(
                f"labels are {labels.min()} to {labels.max()}, the circuit has classes 0 to {circuit.classes - 1}"
            )


@dataclass(frozen=True)
class Learned:
    """One pass over a set of images."""

    images: int
    hits: int
    """Images whose free states were right just before the update that they were used in."""
    ledger: Ledger
    """What the machine did in all phases."""
    agreement: tuple[float, ...] | None = None
    """Of every link and the readout, the cosine of the changes that updates ask of its weights with those that its
    devices made, over all updates; None on machines that apply them exactly."""

    @property
    def accuracy(self) -> float:
        """Share of the images that were right just before the update that they were used in."""
        return self.hits / self.images


class LearningStoppedError(RuntimeError):
    """Learning had to end early; the machine keeps what it has learnt and `learned` what was done."""

    def __init__(self, message: str, learned: Learned | None) -> None:
        super().__init__(message)
        self.learned = learned


def one_hot(labels: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """(B, classes) targets."""
    return np.eye(classes)[labels]


def joined(parts: list[Learned]) -> Learned:
    """Several passes, or batches, as one. Agreements are averaged over images."""
    images = sum(part.images for part in parts)
    agreements = [(part.images, part.agreement) for part in parts if part.agreement is not None]
    agreement = None
    if agreements:
        weighted = np.array([count * np.array(values) for count, values in agreements]).sum(axis=0) / images
        agreement = tuple(float(value) for value in weighted)
    return Learned(images, sum(part.hits for part in parts), merge([part.ledger for part in parts]), agreement)
