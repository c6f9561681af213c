"""Several dies of one circuit of resistors settle together: one call of torch serves all, which a GPU needs to be fast.

Every die draws the noise of its own devices, as it does alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hw.circuit import checked_images
from hw.dies import one_after_the_other
from hw.exclusive import exclusive
from hw.ledger import Ledger
from hw.machine import Settled, concatenate, split
from hw.resistive.machine import Resistive
from hw.resistive.solver import Solver, SolverOfDies
from hw.resistive.track import track_of


class ResistiveDies:
    """Dies of one circuit, on one torch device; ValueError for circuits that are looked at at other times."""

    def __init__(self, dies: Sequence[Resistive]) -> None:
        if not dies:
            raise ValueError("no dies")
        for number, other in enumerate(dies[1:], start=2):
            if not np.array_equal(other.times_s, dies[0].times_s):
                raise ValueError(f"die {number} is of another circuit than the first: it is looked at at other times")
        self.dies, self.lock = tuple(dies), RLock()

    def __repr__(self) -> str:
        return f"{len(self.dies)} dies together, the first: {self.dies[0]!r}"

    @exclusive
    @torch.no_grad()
    def settle(self, images: ArrayLike) -> Settled:
        """Let images (B, C, H, W) in [0, 1] settle on every die: (dies B, ...), one die after the other, and the ledger
        of all of them. Noise is drawn once for all images."""
        first = self.dies[0]
        images = checked_images(images, first.reading.input_shape)
        solver = SolverOfDies([die.solver() for die in self.dies])
        batches = [self._settle_batch(solver, part) for part in split(images, first.batch_size)]
        return one_after_the_other(batches, len(self.dies))

    def __enter__(self) -> ResistiveDies:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held that needs freeing."""

    def _settle_batch(self, solver: Solver, images: NDArray[np.floating]) -> Settled:
        first = self.dies[0]
        track = track_of(solver, solver.sources(images), first.farad, first.times_s, first.physics.tolerance)
        rows = [layer.cpu().numpy() for layer in track.rows]
        told = [
            die.told([layer[:, number] for layer in rows], track.rest[number], Ledger(len(images)), trace=False)
            for number, die in enumerate(self.dies)
        ]
        whole = concatenate(told)
        return replace(whole, ledger=Ledger(len(whole.logits), analog=track.events()))
