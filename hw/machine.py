"""The protocol every platform obeys, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Weights
from hw.learning.rule import Learned, LearningRule
from hw.ledger import Ledger, merge


@dataclass(frozen=True)
class Settled:
    """A batch of images at equilibrium on some machine.

    B images, T step limit, K classes; layer l has units of shape `shape_l` (channels, height, width) or (units,).
    """

    logits: NDArray[np.float64]
    """(B, K) readout of the final states, in units of the trained network."""
    logits_by_step: NDArray[np.float64]
    """(T, B, K) readout after every step: accuracy against settling time."""
    states: tuple[NDArray[np.generic], ...]
    """Final state of every computed layer, (B, *shape_l): floats, or integer codes where 1.0 is `one`."""
    one: int
    """The code of state 1.0: 1 on float machines, 2**bits - 1 on integer machines."""
    steps: NDArray[np.int64]
    """(B,) step at which each image came to rest, or T."""
    residual: NDArray[np.float64]
    """(B,) largest change of any state in the last step an image ran, in units of the trained network."""
    ledger: Ledger
    """What the machine did."""
    trace: tuple[NDArray[np.generic], ...] | None = None
    """On request, every layer's state after every step, (T, B, *shape_l)."""


class Machine(Protocol):
    """A platform with a program on it.

    All machines give the same answers in the limit of no noise and full precision. Use as a context manager: a machine
    may hold processes and memory, which leaving the context frees, also after an error or Ctrl-C.
    """

    def settle(self, images: NDArray[np.floating], *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, *input shape) in [0, 1]."""
        ...

    def __enter__(self) -> Machine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...


class LearningMachine(Machine, Protocol):
    """A machine that learns where its weights are: digital, Lava and crossbar."""

    def learn(self, images: NDArray[np.floating], labels: NDArray[np.integer], rule: LearningRule) -> Learned:
        """One pass over images (N, *input shape) with labels (N,), one update per batch of the rule.

        Raises ValueError for a rule this machine cannot learn, before anything is changed, and
        `LearningStoppedError` where it had to stop midway.
        """
        ...

    def read_weights(self) -> Weights:
        """Weights and biases as they are now, in the units of the circuit."""
        ...

    def __enter__(self) -> LearningMachine: ...


def split(images: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """Batches of at most `size`, whose answers `concatenate` puts together."""
    return [images[first : first + size] for first in range(0, len(images), size)]


def concatenate(batches: list[Settled]) -> Settled:
    """The answers to several batches as the answer to one."""

    def joined(name: str, axis: int) -> NDArray[Any]:
        return np.concatenate([getattr(batch, name) for batch in batches], axis=axis)

    traces = [batch.trace for batch in batches if batch.trace is not None]
    return Settled(
        logits=joined("logits", 0),
        logits_by_step=joined("logits_by_step", 1),
        states=tuple(np.concatenate(layer) for layer in zip(*(batch.states for batch in batches), strict=True)),
        one=batches[0].one,
        steps=joined("steps", 0),
        residual=joined("residual", 0),
        ledger=merge([batch.ledger for batch in batches]),
        trace=tuple(np.concatenate(layer, axis=1) for layer in zip(*traces, strict=True)) if traces else None,
    )
