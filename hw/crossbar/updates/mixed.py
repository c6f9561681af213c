"""Mixed precision: changes are added up in digital numbers, and a device is written once they make a pulse.

Nandakumar et al., Front. Neurosci. 14, 406, 2020. With chi one number per weight,

    chi <- chi + change,     n = trunc(chi / weight_per_pulse),     chi <- chi - n weight_per_pulse,   send n pulses.

Devices are never read: what a pulse really did shows in the next gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw.crossbar.devices.device import Device
from hw.crossbar.devices.pulsing import response_of
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.update import Kept, Outer, check_whole_weights, send_pulses, total, weight_per_pulse
from hw.events.tiles import ProgrammingEvents


@dataclass(frozen=True)
class MixedPrecision:
    """A digital accumulator per weight, for devices with a response to pulses."""

    def check(self, device: Device, design: Design) -> None:
        """Refuse devices without a response to pulses, and weights in slices."""
        response_of(device)
        check_whole_weights(design)

    def writer(self, matrix: TiledMatrix, seed: tuple[int, ...]) -> MixedWriter:
        """For one link."""
        return MixedWriter(matrix, np.random.default_rng(seed))


class MixedWriter:
    """One link."""

    def __init__(self, matrix: TiledMatrix, rng: np.random.Generator) -> None:
        self.matrix, self.rng = matrix, rng
        self.chi = np.zeros(matrix.shape)

    @property
    def matrices(self) -> tuple[TiledMatrix, ...]:
        """All matrices it writes."""
        return (self.matrix,)

    def write(self, outers: Sequence[Outer]) -> ProgrammingEvents:
        """Add up, and send whole pulses."""
        pulse = weight_per_pulse(self.matrix)
        self.chi += total(outers)
        counts = np.trunc(self.chi / pulse).astype(np.int64)
        self.chi -= counts * pulse
        return send_pulses(self.matrix, np.maximum(counts, 0), np.maximum(-counts, 0), self.rng)

    def kept(self) -> Kept:
        """The accumulator, and where random numbers stand."""
        return Kept({"chi": self.chi}, {"rng": self.rng.bit_generator.state})

    def restore(self, kept: Kept) -> None:
        """Go on from there."""
        self.chi = kept.arrays["chi"].copy()
        self.rng.bit_generator.state = kept.document["rng"]
