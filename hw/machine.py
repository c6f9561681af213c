"""The protocol every platform obeys, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.circuit import Weights
from hw.learning.rule import Learned, LearningRule
from hw.ledger import Ledger, merge


@dataclass(frozen=True)
class Settled:
    """A batch of images at equilibrium on some machine, with steps or in continuous time.

    B images, K classes; layer l has units of shape `shape_l` (channels, height, width) or (units,). T rows of
    `logits_by_step` and `trace`: after each of T steps on a machine with a clock, which has `steps`; on a machine
    without one at each of `times_s`, and it has `rest_s`.
    """

    logits: NDArray[np.float64]
    """(B, K) readout of the final states, in units of the trained network."""
    logits_by_step: NDArray[np.float64]
    """(T, B, K) readout after every step, or at every time: accuracy against settling time."""
    states: tuple[NDArray[np.generic], ...]
    """Final state of every computed layer, (B, *shape_l): floats, or integer codes where 1.0 is `one`."""
    one: int
    """The code of state 1.0: 1 on float machines, 2**bits - 1 on integer machines."""
    steps: NDArray[np.int64] | None
    """(B,) step at which each image came to rest, or T; None without a clock."""
    residual: NDArray[np.float64]
    """(B,) largest change of any state in the last step an image ran, or between the last two times, in units of the
    trained network."""
    ledger: Ledger
    """What the machine did."""
    trace: tuple[NDArray[np.generic], ...] | None = None
    """On request, every layer's state after every step, or at every time, (T, B, *shape_l)."""
    times_s: NDArray[np.float64] | None = None
    """(T,) seconds since the start at each row, rising; None with a clock."""
    rest_s: NDArray[np.float64] | None = None
    """(B,) seconds after which each image was at rest, or the last of `times_s`; None with a clock."""

    def __post_init__(self) -> None:
        images, rows = len(self.logits), len(self.logits_by_step)
        has = {name: getattr(self, name) is not None for name in ("steps", "times_s", "rest_s")}
        if has["times_s"] != has["rest_s"] or has["steps"] == has["times_s"]:
            names = ", ".join(name for name, there in has.items() if there) or "none of them"
            raise ValueError(f"a machine with a clock has steps, one without has times_s and rest_s; here: {names}")
        for name, count in (("steps", images), ("rest_s", images), ("times_s", rows)):
            values = getattr(self, name)
            if values is not None and values.shape != (count,):
                raise ValueError(f"{name} has shape {values.shape}, expected ({count},)")
        if self.times_s is not None and not (np.diff(self.times_s, prepend=0.0) > 0).all():
            raise ValueError("times_s must be above 0 and rise from row to row")


class Machine(Protocol):
    """A platform with a program on it.

    All machines give the same answers in the limit of no noise and full precision. Use as a context manager: a machine
    may hold processes and memory, which leaving the context frees, also after an error or Ctrl-C. A machine serves one
    caller at a time: threads may share it, and wait for each other.
    """

    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, *input shape) in [0, 1], or on one: arrays or torch tensors."""
        ...

    def __enter__(self) -> Machine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...


class LearningMachine(Machine, Protocol):
    """A machine that learns where its weights are: digital, Lava and crossbar."""

    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
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
    """The answers to several batches as the answer to one.

    Raises ValueError for batches that one machine cannot have answered: with and without a clock, at different times,
    with and without a trace.
    """
    if not batches:
        raise ValueError("no batches to join")
    first = batches[0]
    for other in batches[1:]:
        for name in ("steps", "trace"):
            if (getattr(other, name) is None) != (getattr(first, name) is None):
                raise ValueError(f"only some of the batches have {name!r}")
        if other.one != first.one:
            raise ValueError(f"batches with state 1.0 at {first.one} and at {other.one}")
        if first.times_s is not None and not np.array_equal(first.times_s, np.asarray(other.times_s)):
            raise ValueError("batches at different times: times_s differ")

    def joined(name: str, axis: int = 0) -> NDArray[Any]:
        return np.concatenate([getattr(batch, name) for batch in batches], axis=axis)

    def layers(name: str, axis: int) -> tuple[NDArray[Any], ...]:
        return tuple(
            np.concatenate(layer, axis=axis) for layer in zip(*(getattr(batch, name) for batch in batches), strict=True)
        )

    return Settled(
        logits=joined("logits"),
        logits_by_step=joined("logits_by_step", 1),
        states=layers("states", 0),
        one=first.one,
        steps=None if first.steps is None else joined("steps"),
        residual=joined("residual"),
        ledger=merge([batch.ledger for batch in batches]),
        trace=None if first.trace is None else layers("trace", 1),
        times_s=first.times_s,
        rest_s=None if first.rest_s is None else joined("rest_s"),
    )
