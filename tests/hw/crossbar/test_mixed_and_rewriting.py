"""A digital number per weight: whole pulses and what is left of them, or devices programmed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.update_examples import (
    ENCODINGS,
    G_MAX,
    as_outer,
    matrix_of,
    pulsed_device,
    random_outer,
    small_tiles,
    writes_of,
)

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision, MixedWriter
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter
from hw.crossbar.updates.update import total, weight_per_pulse


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_mixed_precision_writes_whole_pulses_and_remembers_the_rest(encoding: str) -> None:
    """Accumulated remainder and written pulses are what was wanted, exactly, after every update."""
    matrix, rng = matrix_of(pulsed_device(), encoding), np.random.default_rng(8)
    writer, before, wanted = MixedPrecision().writer(matrix, (0, 2)), matrix.stored(), np.zeros((5, 7))
    assert isinstance(writer, MixedWriter)
    pulse, sent = weight_per_pulse(matrix), 0.0
    for _ in range(60):
        change = 0.7 * pulse * rng.standard_normal((5, 7))
        outers = [as_outer(change, 0.01), random_outer(rng, (5, 7), 2, 0.001)]
        events = writer.write(outers)
        wanted += total(outers)
        moved = matrix.stored() - before
        np.testing.assert_allclose(moved + writer.chi, wanted, atol=1e-9)
        assert np.abs(writer.chi).max() < pulse
        np.testing.assert_allclose(moved / pulse, np.rint(moved / pulse), atol=1e-6)
        assert events.pulses is not None
        sent += events.pulses
    assert sent == writes_of(matrix)
    assert np.abs(wanted).max() > 5 * pulse


def test_mixed_precision_does_not_look_at_what_pulses_did() -> None:
    """On devices with twice the nominal step, the weight moves twice as far: the next gradients have to see it."""
    matrix = matrix_of(pulsed_device())
    for tile in matrix.tiles:
        assert tile.array.steps is not None
        tile.write(
            replace(
                tile.array, steps=tile.array.steps | {name: 2 * tile.array.steps[name] for name in ("up_s", "down_s")}
            )
        )
    before = matrix.stored()
    MixedPrecision().writer(matrix, (0,)).write([as_outer(np.full((5, 7), 0.0201), 1.0)])
    np.testing.assert_allclose(matrix.stored() - before, 0.04, atol=1e-6)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "pair"])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_rewriting_stays_within_its_threshold(encoding: str, threshold: float) -> None:
    matrix, rng = matrix_of(IDEAL, encoding), np.random.default_rng(9)
    writer, wanted, devices = Rewriting(threshold).writer(matrix, (0, 2)), matrix.stored(), 0
    assert isinstance(writer, RewritingWriter)
    for _ in range(40):
        change = 0.02 * rng.standard_normal((5, 7))
        before, last = matrix.stored(), wanted
        events = writer.write([as_outer(change, 0.1)])
        wanted = wanted + total([as_outer(change, 0.1)])
        after = matrix.stored()
        # nothing is further off than the threshold, what was written is exact, and nothing else was touched
        assert np.abs(wanted - after).max() <= threshold + 1e-9
        moved = np.abs(wanted - before) > threshold + 1e-9
        np.testing.assert_allclose(after[moved], wanted[moved], atol=1e-6)
        still = np.abs(wanted - before) < threshold - 1e-9
        np.testing.assert_array_equal(after[still], before[still])
        devices += events.devices
        assert events.pulses is None  # how many a programming takes is not published
        assert events.energy_j is None
        assert np.abs(last).max() < 1
    assert devices == writes_of(matrix)
    if threshold:
        assert devices < 40 * 35


def test_rewriting_touches_one_device_of_a_plain_pair() -> None:
    """0.2 to 0.3 is a change of G+ alone; 0.1 to -0.1 is one of both."""
    weight = np.array([[0.2, 0.1, -0.4]])
    matrix = TiledMatrix(weight, Fabrication(IDEAL, small_tiles("pair")), largest=1.0)
    writer = Rewriting(0.0).writer(matrix, (0,))
    events = writer.write([as_outer(np.array([[0.1, -0.2, 0.0]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), [[0.3, -0.1, -0.4]], atol=1e-6)
    assert events.devices == 3
    writes = np.concatenate([tile.array.writes for tile in matrix.tiles])
    np.testing.assert_array_equal(writes, [[1, 0], [1, 1], [0, 0]])


def test_rewriting_stops_at_the_range_and_comes_back_at_once() -> None:
    matrix = TiledMatrix(np.array([[0.9]]), Fabrication(IDEAL, small_tiles("balanced")), largest=1.0)
    writer = Rewriting(0.0).writer(matrix, (0,))
    for _ in range(5):
        writer.write([as_outer(np.array([[0.5]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), 1.0, atol=1e-9)
    writer.write([as_outer(np.array([[-0.5]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), 0.5, atol=1e-6)


def test_rewriting_lands_with_the_spread_of_programming() -> None:
    sigma_s = 0.01 * G_MAX
    device = replace(IDEAL, programming=ConstantCurve(sigma_s))
    matrix = TiledMatrix(np.zeros((60, 50)), Fabrication(device, replace(EXACT, encoding="offset")), largest=1.0)
    Rewriting(0.0).writer(matrix, (0, 4)).write([as_outer(np.full((60, 50), 0.3), 1.0)])
    placed = matrix.placed[0].tile
    landed = placed.array.conductance_s()[:-1, :-1] - placed.array.target_s[:-1, :-1]
    assert landed.std() == pytest.approx(sigma_s, rel=0.05)
    assert abs(landed.mean()) <= 4 * sigma_s / np.sqrt(3000)
