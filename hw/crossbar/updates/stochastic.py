"""Outer products by coinciding pulses: the update in place, with nothing stored beside the devices.

Gokmen and Vlasov, Front. Neurosci. 10, 333, 2016. Rows and columns fire random trains of `length` slots, row i with
probability p_i proportional to |below_i|, column j with q_j proportional to |above_j|; a device whose row and column
fire in one slot takes one pulse, up or down by the product of the signs:

    E[pulses_ji] = sum_n length p_i q_j = |factor| sum_n |below_i above_j| / weight_per_pulse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Device
from hw.crossbar.devices.pulsing import response_of
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.update import Kept, Outer, check_whole_weights, held_per_pulse, send_pulses
from hw.events.tiles import ProgrammingEvents


@dataclass(frozen=True)
class StochasticPulses:
    """Coinciding pulse trains of at most `longest` slots for every outer product."""

    longest: int = 31

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"longest is {self.longest} slots, expected at least 1")

    def check(self, device: Device, design: Design) -> None:
        """Refuse devices without a response to pulses, and weights in slices."""
        response_of(device)
        check_whole_weights(design)

    def writer(self, matrix: TiledMatrix, seed: tuple[int, ...]) -> StochasticWriter:
        """For one link."""
        return StochasticWriter(self, matrix, np.random.default_rng(seed))


@dataclass(frozen=True)
class StochasticWriter:
    """One link."""

    update: StochasticPulses
    matrix: TiledMatrix
    rng: np.random.Generator

    @property
    def matrices(self) -> tuple[TiledMatrix, ...]:
        """All matrices it writes."""
        return (self.matrix,)

    def write(self, outers: Sequence[Outer]) -> ProgrammingEvents:
        """Send the coincidences of all outer products."""
        up = np.zeros(self.matrix.shape, np.int64)
        down = np.zeros_like(up)
        pulse, drift = held_per_pulse(self.matrix), self.matrix.gain.drift.astype(np.float32)
        for outer in outers:
            held = replace(outer, above=outer.above / drift)  # what devices have to change by
            rises, falls = coincidences(held, pulse, self.update.longest, self.rng)
            up += rises
            down += falls
        return send_pulses(self.matrix, up, down, self.rng)

    def kept(self) -> Kept:
        """Where random numbers stand: nothing else is beside the devices."""
        return Kept({}, {"rng": self.rng.bit_generator.state})

    def restore(self, kept: Kept) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = kept.document["rng"]


def coincidences(
    outer: Outer, pulse: float, longest: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(outputs, inputs) pulses up and down that trains for this sum of outer products bring together.

    The trains are as short as they can be. Both sides fire as often as each other at their largest entry. Where even
    the longest trains cannot carry the largest product, all products shrink alike until they can.
    """
    below, above = np.abs(outer.below), np.abs(outer.above)
    most_below, most_above = float(below.max(initial=0.0)), float(above.max(initial=0.0))
    gain = abs(outer.factor) / pulse
    largest = gain * most_below * most_above
    if largest == 0.0:
        nothing = np.zeros((outer.above.shape[1], outer.below.shape[1]), np.int64)
        return nothing, nothing
    length = int(np.clip(np.ceil(largest), 1, longest))
    at_most = min(np.sqrt(largest / length), 1.0)
    rows, columns = below * np.float32(at_most / most_below), above * np.float32(at_most / most_above)
    sign_below, sign_above = np.sign(outer.below), np.sign(outer.above) * np.float32(np.sign(outer.factor))
    signed = np.zeros((outer.above.shape[1], outer.below.shape[1]), np.float32)
    total = np.zeros_like(signed)
    for _ in range(length):
        fired_below = (rng.random(rows.shape, np.float32) < rows).astype(np.float32)
        fired_above = (rng.random(columns.shape, np.float32) < columns).astype(np.float32)
        total += fired_above.T @ fired_below
        signed += (fired_above * sign_above).T @ (fired_below * sign_below)
    return ((total + signed) / 2).astype(np.int64), ((total - signed) / 2).astype(np.int64)
