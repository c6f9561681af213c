"""Two arrays: a fast one gathers gradients in pulses, a slow one holds the weights (Tiki-Taka).

Gokmen, Front. Artif. Intell. 4, 699148, 2021 (its second version, with a digital buffer in between), with the chopper
of Rasch et al., Nat. Commun. 15, 7133, 2024. With A the fast array, R what it holds at rest, H the buffer, c_j = +-1
the chopper, and columns j of A read in turns, all of them once in `cycle` updates:

    A <- A + fast_gain change c (coinciding pulses),     H[:, j] <- H[:, j] + c_j transfer (A - R)[:, j] / fast_gain,
    c_j <- -c_j,     n = trunc(H / weight_per_pulse),     H <- H - n weight_per_pulse,     send n pulses to the weights.

A device whose steps up and down differ moves to the point where they are equal. In A that point is made the zero, so
that A forgets old gradients and asymmetry does no harm: before it learns, A takes pulses up and down in turns until it
rests there, and R is the mean of what is then read. Errors of R cancel, since the chopper turns the sign of every
column's gradients, but not of R, with every read. The learning rate acts on the transfer: pulses on A stay as
strong as in the first update, so that a small rate is not lost against single pulses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add

import numpy as np
import torch

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.pulsing import response_of
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.stochastic import coincidences
from hw.crossbar.updates.update import (
    Kept,
    Outer,
    check_whole_weights,
    held_per_pulse,
    send_pulses,
    weight_per_pulse,
)
from hw.events.tiles import ProgrammingEvents

CHOP = -1
REST_READS = 16
"""Reads, each after a pulse up and a pulse down, that the zero of the fast array is the mean of."""


@dataclass(frozen=True)
class TwoArrays:
    """A fast array in front of the weights, of the same devices."""

    fast_gain: float = 1.0
    """How much faster than the weights the fast array learns."""
    transfer: float = 1.0
    """Share of what a column of the fast array holds that goes into the buffer when it is read."""
    cycle: int = 16
    """Updates in which every column of the fast array is read once."""
    longest: int = 31
    """Longest pulse trains."""
    rest_pulses: int = 100
    """Pulses up and down that bring the fast array to rest."""

    def __post_init__(self) -> None:
        for name in ("fast_gain", "transfer"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number")
        for name, least in (("cycle", 1), ("longest", 1), ("rest_pulses", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")

    def check(self, device: Device, design: Design) -> None:
        """Refuse devices without a response to pulses, and weights in slices."""
        response_of(device)
        check_whole_weights(design)

    def writer(self, matrix: TiledMatrix, seed: tuple[int, ...]) -> TwoArraysWriter:
        """For one link."""
        return TwoArraysWriter(self, matrix, seed)


class TwoArraysWriter:
    """One link and its fast array."""

    def __init__(self, update: TwoArrays, matrix: TiledMatrix, seed: tuple[int, ...]) -> None:
        self.update, self.matrix = update, matrix
        self.rng = np.random.default_rng(seed)
        self.fast = TiledMatrix(
            np.zeros(matrix.shape),
            Fabrication(matrix.device, matrix.design, seed=(*seed, 1), noise_seed=(*seed, 2)),
            largest=matrix.largest,
        )
        for tile in self.fast.tiles:
            tile.set_ranges(matrix.largest, matrix.largest)  # one input at a time
        self.buffer = np.zeros(matrix.shape)
        self.first = 0.0
        self.column, self.chopper = 0, np.ones(matrix.shape[1], np.float32)
        self.begun = self._rest()
        self.zero = np.mean([self._rested_read() for _ in range(REST_READS)], axis=0)

    @property
    def matrices(self) -> tuple[TiledMatrix, ...]:
        """All matrices it writes."""
        return (self.matrix, self.fast)

    def write(self, outers: Sequence[Outer]) -> ProgrammingEvents:
        """Pulse the fast array, read one of its columns, and pass on whole pulses."""
        update, pulse = self.update, weight_per_pulse(self.matrix)
        events, self.begun = [self.begun], ProgrammingEvents(0, 0.0, 0.0, 0.0)
        up, down = np.zeros(self.matrix.shape, np.int64), np.zeros(self.matrix.shape, np.int64)
        strength = max(abs(outer.factor) for outer in outers)
        if strength == 0:  # a link that does not learn now
            return events[0]
        self.first = self.first or strength
        slower = strength / self.first
        for outer in outers:
            faster = Outer(outer.below * self.chopper, outer.above, outer.factor / slower * update.fast_gain)
            rises, falls = coincidences(faster, held_per_pulse(self.fast), update.longest, self.rng)
            up, down = up + rises, down + falls
        events.append(send_pulses(self.fast, up, down, self.rng))
        for _ in range(-(-self.matrix.shape[1] // update.cycle)):
            events.append(self._hand_on(self.column, slower))
            self.column = (self.column + 1) % self.matrix.shape[1]
        counts = np.trunc(self.buffer / pulse).astype(np.int64)
        self.buffer -= counts * pulse
        events.append(send_pulses(self.matrix, np.maximum(counts, 0), np.maximum(-counts, 0), self.rng))
        return reduce(add, events)

    def kept(self) -> Kept:
        """Buffer, chopper, column and what the fast array holds at rest, and where random numbers stand."""
        return Kept(
            {"buffer": self.buffer, "chopper": self.chopper, "zero": self.zero},
            {
                "first": self.first,
                "column": self.column,
                "begun": asdict(self.begun),
                "rng": self.rng.bit_generator.state,
            },
        )

    def restore(self, kept: Kept) -> None:
        """Go on from there."""
        self.buffer, self.chopper, self.zero = (kept.arrays[name].copy() for name in ("buffer", "chopper", "zero"))
        self.first, self.column = kept.document["first"], kept.document["column"]
        self.begun = ProgrammingEvents(**kept.document["begun"])
        self.rng.bit_generator.state = kept.document["rng"]

    def _hand_on(self, column: int, slower: float) -> ProgrammingEvents:
        """Read a column of the fast array into the buffer, and turn its chopper."""
        update = self.update
        held = self._read(column) - self.zero[:, column]
        self.buffer[:, column] += self.chopper[column] * slower * update.transfer / update.fast_gain * held
        self.chopper[column] *= -1
        reads = self.matrix.shape[0] * self.matrix.design.codec.devices_per_weight
        return ProgrammingEvents(0, 0.0, float(reads), 0.0)

    def _rest(self) -> ProgrammingEvents:
        """Pulses up and down in turns, until every device of the fast array is where both steps are equal."""
        ones, none = np.ones(self.matrix.shape, np.int64), np.zeros(self.matrix.shape, np.int64)
        events = [ProgrammingEvents(0, 0.0, 0.0, 0.0)]
        for _ in range(self.update.rest_pulses):
            events.append(send_pulses(self.fast, ones, none, self.rng))
            events.append(send_pulses(self.fast, none, ones, self.rng))
        return reduce(add, events)

    def _rested_read(self) -> Array:
        ones, none = np.ones(self.matrix.shape, np.int64), np.zeros(self.matrix.shape, np.int64)
        self.begun = self.begun + send_pulses(self.fast, ones, none, self.rng)
        up = self.fast.stored()
        self.begun = self.begun + send_pulses(self.fast, none, ones, self.rng)
        return (up + self.fast.stored()) / 2

    def _read(self, column: int) -> Array:
        """(outputs,) what the fast array answers to one input alone."""
        x = torch.zeros(1, self.matrix.shape[1])
        x[0, column] = 1.0
        return self.fast.up(x)[0][0].double().numpy()
