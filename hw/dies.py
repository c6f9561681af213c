"""Dies that settle together, whatever they are made of: the images of the first, then those of the second, ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.machine import Machine, Settled, concatenate


class Together(Protocol):
    """Several machines that settle the same images at once."""

    @property
    def dies(self) -> Sequence[Machine]:
        """Each of them, which may also settle alone."""
        ...

    def settle(self, images: ArrayLike) -> Settled:
        """(dies B, ...) of images (B, *input shape) in [0, 1], one die after the other; the ledger is that of all."""
        ...

    def __enter__(self) -> Together: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...


def one_after_the_other(batches: Sequence[Settled], dies: int) -> Settled:
    """Batches (dies B, ...) put together, so that all images of a die follow each other."""
    whole = concatenate(list(batches))
    first, places = 0, []
    for batch in batches:
        count = len(batch.logits)
        places.append(np.arange(first, first + count).reshape(dies, -1))
        first += count
    order = np.concatenate(places, axis=1).ravel()

    def sorted_(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else values[order]

    return replace(
        whole,
        logits=whole.logits[order],
        logits_by_step=whole.logits_by_step[:, order],
        states=tuple(layer[order] for layer in whole.states),
        steps=sorted_(whole.steps),
        residual=whole.residual[order],
        rest_s=sorted_(whole.rest_s),
        trace=None if whole.trace is None else tuple(layer[:, order] for layer in whole.trace),
    )
