"""Mixed precision on devices that can only be programmed anew: each write lands with the published spread.

A digital number per weight says what it should be. Where it is more than `threshold` of the range away from what was
last aimed at, the devices whose target changes are programmed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.device_array import reprogram
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import Placed, TiledMatrix
from hw.crossbar.updates.update import Kept, Outer, check_whole_weights, total
from hw.events.tiles import ProgrammingEvents

SAME = 1e-9
"""Targets that differ by less than this share of the range are one target."""


@dataclass(frozen=True)
class Rewriting:
    """A digital number per weight, for any device."""

    threshold: float = 0.02
    """Changes above this are written, over the weight that the whole range of a device stands for; at 0 all are."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}, expected a share of the range from 0 up to but not 1")

    def check(self, device: Device, design: Design) -> None:  # noqa: ARG002 - any device can be programmed
        """Refuse weights in slices."""
        check_whole_weights(design)

    def writer(self, matrix: TiledMatrix, seed: tuple[int, ...]) -> RewritingWriter:
        """For one link."""
        return RewritingWriter(self, matrix, np.random.default_rng(seed))


class RewritingWriter:
    """One link."""

    def __init__(self, update: Rewriting, matrix: TiledMatrix, rng: np.random.Generator) -> None:
        self.update, self.matrix, self.rng = update, matrix, rng
        self.aimed = matrix.aimed()
        self.target = self.aimed.copy()

    @property
    def matrices(self) -> tuple[TiledMatrix, ...]:
        """All matrices it writes."""
        return (self.matrix,)

    def write(self, outers: Sequence[Outer]) -> ProgrammingEvents:
        """Add up, and program what has moved by more than the threshold."""
        return self.move(total(outers))

    def move(self, change: Array) -> ProgrammingEvents:
        """The same of a change (outputs, inputs) that is known."""
        matrix, most = self.matrix, self.matrix.largest
        self.target = np.clip(self.target + change, -most, most)
        moved = np.abs(self.target - self.aimed) > self.update.threshold * most
        events = [ProgrammingEvents(0, None, 0.0, None)]
        if moved.any():
            self.aimed = np.where(moved, self.target, self.aimed)
            # results are scaled up by what old devices have lost to drift, and new ones have lost nothing
            held = np.clip(self.aimed / matrix.gain.drift[:, None], -most, most)
            for placed in matrix.placed:
                part = (placed.outputs, placed.inputs)
                if moved[part].any():
                    events.append(self._program(placed, held[part].T, moved[part].T))
        return reduce(add, events)

    def kept(self) -> Kept:
        """What weights should be and what was aimed at, and where random numbers stand."""
        return Kept({"aimed": self.aimed, "target": self.target}, {"rng": self.rng.bit_generator.state})

    def restore(self, kept: Kept) -> None:
        """Go on from there."""
        self.aimed, self.target = (kept.arrays[name].copy() for name in ("aimed", "target"))
        self.rng.bit_generator.state = kept.document["rng"]

    def _program(self, placed: Placed, aimed: Array, moved: NDArray[np.bool_]) -> ProgrammingEvents:
        """Program the devices of these weights (inputs, outputs) whose target is not what it was."""
        matrix, tile = self.matrix, placed.tile
        device, codec = matrix.device, matrix.design.codec
        targets_s = codec.targets(aimed, matrix.largest, device)
        changed = np.abs(targets_s - tile.array.target_s) > SAME * (device.g_max_s - device.g_min_s)
        where = changed & (codec.pulses(moved.astype(np.int64)) != 0)
        matrix.write(placed, reprogram(tile.array, np.where(where, targets_s, tile.array.target_s), where, self.rng))
        # how many pulses one programming takes is not published
        return ProgrammingEvents(int(where.sum()), None, 0.0, None)
