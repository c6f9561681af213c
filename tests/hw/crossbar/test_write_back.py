"""Write and verify a network back: within the tolerance, worst first, around stuck devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import IDEAL, noisy_reads
from helpers.update_examples import G_MAX, matrix_of, small_tiles, writes_of

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.write_back import WriteBack
from hw.events.tiles import ProgrammingEvents


def _written_back(matrices: list[TiledMatrix], rounds: int, budget: int, tolerance: float = 0.01) -> list[Any]:
    wanted = [matrix.aimed() for matrix in matrices]
    writer = WriteBack(matrices, wanted, 0, tolerance)
    return [writer.round(budget) for _ in range(rounds)]


def test_write_back_brings_weights_within_the_tolerance() -> None:
    device = replace(IDEAL, programming=ConstantCurve(0.004 * G_MAX))
    matrices = [matrix_of(device, seed=1), matrix_of(device, "offset", seed=2)]
    wanted = [matrix.aimed() for matrix in matrices]
    for matrix in matrices:  # something else happened to the die
        for tile in matrix.tiles:
            shifted = tile.array.programmed_s + 0.1 * G_MAX * np.random.default_rng(0).random(tile.array.target_s.shape)
            tile.write(replace(tile.array, programmed_s=shifted))
    off = max(float(np.abs(m.stored() - w).max()) for m, w in zip(matrices, wanted, strict=True))
    writer = WriteBack(matrices, wanted, 0, 0.03)
    events = [writer.round(10_000) for _ in range(12)]
    assert off > 0.1
    for matrix, weight in zip(matrices, wanted, strict=True):
        assert np.abs(matrix.stored() - weight).max() <= 0.03
    # every weight is read in every round; where nothing is off nothing is written
    assert all(event.verify_reads == 70 for event in events)
    assert events[-1].devices == 0
    assert sum(event.devices for event in events) == sum(writes_of(matrix) for matrix in matrices)


@pytest.mark.parametrize("budget", [0, 5, 20])
def test_a_round_writes_the_worst_as_far_as_its_budget_goes(budget: int) -> None:
    matrix = TiledMatrix(np.zeros((5, 7)), Fabrication(IDEAL, small_tiles("offset")), largest=1.0)
    weight = np.random.default_rng(3).permutation(np.linspace(0.1, 0.45, 35)).reshape(5, 7)
    events = WriteBack([matrix], [weight], 0, 0.01).round(budget)
    assert events.devices == budget == writes_of(matrix)
    written = matrix.stored() != 0
    assert written.sum() == budget
    if budget:
        assert weight[written].min() > weight[~written].max()
        np.testing.assert_allclose(matrix.stored()[written], weight[written], atol=1e-9)


def test_write_back_works_around_a_stuck_device() -> None:
    """G+ stuck fully on stands for 1; G- is brought to where the pair shows 0.5 again."""
    matrix = TiledMatrix(np.full((1, 1), 0.5), Fabrication(IDEAL, small_tiles("pair")), largest=1.0)
    tile = matrix.tiles[0]
    tile.write(replace(tile.array, stuck_s=np.array([[G_MAX, np.nan]])))
    np.testing.assert_allclose(matrix.stored(), 1.0)
    events = _written_back([matrix], 4, 100)
    np.testing.assert_allclose(matrix.stored(), 0.5, atol=0.01)
    assert events[-1].devices == 0
    assert np.isfinite(tile.array.stuck_s[0, 0])


def test_write_back_reads_with_the_noise_of_a_read() -> None:
    """Weights that are right are written again where noise says that they are not, as it would happen."""
    quiet, noisy = matrix_of(IDEAL), matrix_of(noisy_reads(0.1))
    assert _written_back([quiet], 1, 100)[0] == ProgrammingEvents(0, None, 35.0, None)
    assert _written_back([noisy], 1, 100)[0].devices > 0
