"""What all ways to write a learnt change have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.pulsing import mean_step_s, pulsed
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.events.tiles import ProgrammingEvents


@dataclass(frozen=True)
class Outer:
    """A sum of outer products, sum_n above[n] below[n]^T times `factor`: what a link is asked to add to its weights.

    Everything local learning asks for has this form: `below` (N, inputs) and `above` (N, outputs) are what the two
    sides of the array see, in [-1, 1]; N counts images, and positions of a convolution.
    """

    below: NDArray[np.float32]
    above: NDArray[np.float32]
    factor: float

    def total(self) -> Array:
        """(outputs, inputs) of the whole sum."""
        return np.asarray(self.factor * (self.above.T @ self.below), np.float64)


def total(outers: Sequence[Outer]) -> Array:
    """(outputs, inputs) sum of all: the change of the weights."""
    return np.asarray(reduce(add, (outer.total() for outer in outers)))


@dataclass(frozen=True)
class Kept:
    """What a way of writing keeps beside the devices, as a file holds it."""

    arrays: dict[str, NDArray[Any]]
    document: dict[str, Any]
    """Of JSON types; the state of its random numbers among them."""


class Writer(Protocol):
    """Writes one link; keeps what its method keeps beside the devices."""

    @property
    def matrices(self) -> tuple[TiledMatrix, ...]:
        """All matrices it writes, that of the link first."""
        ...

    def write(self, outers: Sequence[Outer]) -> ProgrammingEvents:
        """Change the devices by the total of `outers`, or towards it; returns what it took."""
        ...

    def kept(self) -> Kept:
        """Everything that `write` goes on from, but the matrices."""
        ...

    def restore(self, kept: Kept) -> None:
        """Go on from what another writer of the same update has kept."""
        ...


class Update(Protocol):
    """A way to write, as data; choices are in `hw.crossbar.updates`."""

    def check(self, device: Device, design: Design) -> None:
        """ValueError if these devices cannot be written like this."""
        ...

    def writer(self, matrix: TiledMatrix, seed: tuple[int, ...]) -> Writer:
        """For one link, with random numbers of its own."""
        ...


def check_whole_weights(design: Design) -> None:
    """Refuse weights that are cut into slices: no single device stands for a change of one."""
    if design.weight_bits is not None:
        raise ValueError(
            f"weight_bits is {design.weight_bits}: weights cut into slices cannot learn in place; use None, one device "
            "(or pair) per weight"
        )


def held_per_pulse(matrix: TiledMatrix) -> float:
    """Nominal change of a weight, as its devices hold it, by one pulse count."""
    codec = matrix.design.codec
    return codec.devices_per_weight * mean_step_s(matrix.device) * codec.scale(matrix.largest, matrix.device)


def weight_per_pulse(matrix: TiledMatrix) -> Array:
    """(outputs, 1) or (1, 1) nominal change of a weight, as digital results show it, by one pulse count.

    Results are scaled up by what drift took, and a pulse moves a device as far as before drift. What temperature does
    to the change, its own gain undoes.
    """
    return np.asarray(held_per_pulse(matrix) * matrix.gain.drift[:, None])


def send_pulses(
    matrix: TiledMatrix, up: NDArray[np.int64], down: NDArray[np.int64], rng: np.random.Generator
) -> ProgrammingEvents:
    """Send counts (outputs, inputs) of pulses up and down to the tiles of a matrix."""
    events = []
    for placed in matrix.placed:
        codec, part = matrix.design.codec, (placed.outputs, placed.inputs)
        rising, falling = codec.pulses(up[part].T), codec.pulses(down[part].T)
        # what moves a weight up moves the second device of a pair down
        positive = np.maximum(rising, 0) + np.maximum(-falling, 0)
        negative = np.maximum(-rising, 0) + np.maximum(falling, 0)
        array, taken = pulsed(placed.tile.array, positive, negative, rng)
        if taken.devices:
            matrix.write(placed, array)
        events.append(taken)
    return reduce(add, events)
