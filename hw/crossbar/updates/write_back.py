"""Write and verify a network back onto a die that has changed: what repairs without learning.

In each round every weight is read once. Where it is off by more than the tolerance, its target is corrected by the
error that was read, and its devices are programmed again: the worst weights first, until the writes of the round are
used up. Where one device of a pair is stuck, the other one makes up for it as far as its range allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hw.crossbar.devices.device import Array
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter
from hw.events.tiles import NO_WRITES, ProgrammingEvents


class WriteBack:
    """The matrices of a machine, and the weights (outputs, inputs) that they should hold."""

    def __init__(self, matrices: Sequence[TiledMatrix], weights: Sequence[Array], seed: int, tolerance: float) -> None:
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance is {tolerance}, expected a share of the range between 0 and 1")
        self.tolerance, self.rng = tolerance, np.random.default_rng([seed, 3])
        self.weights = [
            np.asarray(weight, np.float64).reshape(matrix.shape)
            for weight, matrix in zip(weights, matrices, strict=True)
        ]
        self.writers = [RewritingWriter(Rewriting(0.0), matrix, self.rng) for matrix in matrices]

    def round(self, most_writes: int) -> ProgrammingEvents:
        """One round of about `most_writes` writes; fewer where fewer weights are off."""
        errors = [
            (weight - read_once(writer.matrix, self.rng)) / writer.matrix.largest
            for weight, writer in zip(self.weights, self.writers, strict=True)
        ]
        sizes = np.sort(np.concatenate([np.abs(error).ravel() for error in errors]))[::-1]
        # a weight that changes sign takes two writes: count it as one and leave the rest to the next round
        worst = max(self.tolerance, float(sizes[most_writes]) if most_writes < len(sizes) else 0.0)
        events = NO_WRITES
        for writer, error in zip(self.writers, errors, strict=True):
            events = events + writer.move(np.where(np.abs(error) > worst, error * writer.matrix.largest, 0.0))
        return replace(events, verify_reads=float(sum(error.size for error in errors)))


def read_once(matrix: TiledMatrix, rng: np.random.Generator) -> Array:
    """(outputs, inputs) weights as one read of every device shows them, drift compensation applied."""
    seen = np.zeros(matrix.shape)
    for placed in matrix.placed:
        g_s = placed.tile.array.conductance_s()
        noisy_s = g_s + matrix.device.read_sigma_s(g_s) * rng.standard_normal(g_s.shape)
        signed = matrix.design.codec.up(noisy_s, np.zeros_like(g_s), placed.tile.scale)
        seen[placed.outputs, placed.inputs] += placed.significance * signed.weight.T
    return matrix.gain.total[:, None] * seen
