"""Changes on their way to the devices: what a pulse does, what all updates have in common, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT
from helpers.update_examples import (
    ENCODINGS,
    G_MAX,
    PULSING,
    STEPS,
    Floats,
    matrix_of,
    pulsed_device,
    random_outer,
    small_tiles,
    writes_of,
)

from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.gain import Gain
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from hw.crossbar.updates.update import Outer, Update, send_pulses, total, weight_per_pulse
from hw.crossbar.updates.write_back import WriteBack


def test_an_outer_product_by_loops() -> None:
    rng = np.random.default_rng(0)
    outers = [random_outer(rng, (3, 4), count, factor) for count, factor in ((2, 0.3), (5, -0.7))]
    expected = np.zeros((3, 4))
    for outer in outers:
        for below, above in zip(outer.below, outer.above, strict=True):
            for output in range(3):
                for source in range(4):
                    expected[output, source] += outer.factor * above[output] * below[source]
    np.testing.assert_allclose(total(outers), expected, atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_pulse_count_moves_a_weight_by_its_nominal_change(encoding: str) -> None:
    matrix = matrix_of(pulsed_device(), encoding)
    before, rng = matrix.stored(), np.random.default_rng(1)
    up, down = rng.integers(0, 6, (2, 5, 7))
    events = send_pulses(matrix, up, down, rng)
    # the whole range, 2, in 1000 steps of one device
    assert weight_per_pulse(matrix) == pytest.approx(2 / STEPS)
    np.testing.assert_allclose(matrix.stored() - before, (up - down) * 2 / STEPS, atol=1e-12)
    devices = {"balanced": 2, "offset": 1}[encoding]
    assert events.pulses == devices * (up + down).sum() == writes_of(matrix)
    assert events.devices == devices * np.count_nonzero(up + down)
    # and what is computed moves with it, both ways
    for direction in matrix.effective():
        np.testing.assert_allclose(direction, matrix.stored(), atol=1e-6)


def test_a_pair_at_the_end_of_its_range_moves_by_half() -> None:
    """In a plain pair one device is switched off: it cannot fall, and the weight gets half of what was sent."""
    matrix = TiledMatrix(np.full((2, 3), 0.2), Fabrication(pulsed_device(), small_tiles("pair")), largest=1.0)
    ones = np.ones((2, 3), np.int64)
    send_pulses(matrix, 10 * ones, 0 * ones, np.random.default_rng(0))
    np.testing.assert_allclose(matrix.stored(), 0.2 + 10 / STEPS, atol=1e-12)


def test_drift_compensation_makes_a_pulse_worth_more() -> None:
    matrix = matrix_of(pulsed_device())
    matrix.gain = Gain(np.array([1.25]), 3.0)  # temperature takes of a pulse what its gain gives back
    assert weight_per_pulse(matrix) == pytest.approx(1.25 * 2 / STEPS)
    matrix.gain = Gain(np.array([1.0, 1.25, 2.0, 1.0, 1.5]))
    np.testing.assert_allclose(weight_per_pulse(matrix)[:, 0], matrix.gain.drift * 2 / STEPS)


def test_nothing_wanted_sends_nothing() -> None:
    zero = Outer(np.zeros((3, 7), np.float32), np.ones((3, 5), np.float32), 0.1)
    unweighted = Outer(np.ones((3, 7), np.float32), np.ones((3, 5), np.float32), 0.0)
    for update in (StochasticPulses(), MixedPrecision(), Rewriting(0.0), TwoArrays(rest_pulses=0)):
        for outers in ([zero], [unweighted], [zero, unweighted]):
            matrix = matrix_of(pulsed_device())
            writer = update.writer(matrix, (0, 1))
            before = matrix.stored()
            writer.write(outers)
            again = writer.write(outers)  # at first, two arrays bring one of them to rest
            np.testing.assert_array_equal(matrix.stored(), before)
            assert writes_of(matrix) == 0
            assert again.devices == 0
            assert not again.pulses


@pytest.mark.parametrize("update", PULSING, ids=lambda update: type(update).__name__)
def test_pulses_cost_energy_where_they_are_published(update: Update) -> None:
    outer = random_outer(np.random.default_rng(2), (5, 7), 4, 0.05)
    for device, known in ((pulsed_device(voltage_v=2.0, width_s=1e-6), True), (pulsed_device(), False)):
        matrix = matrix_of(device)
        events = update.writer(matrix, (0, 1)).write([outer])
        assert events.pulses is not None
        assert events.pulses > 0
        if known:
            # between all devices off and all devices on
            assert events.energy_j is not None
            assert 0 < events.energy_j < events.pulses * 4 * 1e-6 * G_MAX
            assert events.energy_j == pytest.approx(events.pulses * 4 * 1e-6 * G_MAX / 2, rel=0.2)
        else:
            assert events.energy_j is None


@pytest.mark.parametrize("update", [*PULSING, Rewriting(0.0)], ids=lambda update: type(update).__name__)
def test_writers_of_one_seed_write_alike(update: Update) -> None:
    def run(seed: int) -> Floats:
        matrix = matrix_of(pulsed_device(cycle=0.3), seed=4)
        writer, rng = update.writer(matrix, (seed, 1)), np.random.default_rng(0)
        for _ in range(5):
            writer.write([random_outer(rng, (5, 7), 4, 0.05)])
        return matrix.stored()

    np.testing.assert_array_equal(run(1), run(1))
    if not isinstance(update, Rewriting):
        assert (run(1) != run(2)).any()


@pytest.mark.parametrize("update", PULSING, ids=lambda update: type(update).__name__)
def test_devices_without_a_response_are_refused(update: Update) -> None:
    with pytest.raises(ValueError, match=r"sonos-2022 cannot be written pulse by pulse.*li-ecram-2018"):
        update.check(preset("sonos-2022"), EXACT)
    update.check(preset("li-ecram-2018"), EXACT)
    Rewriting().check(preset("sonos-2022"), EXACT)


@pytest.mark.parametrize("update", [*PULSING, Rewriting()], ids=lambda update: type(update).__name__)
def test_weights_in_slices_are_refused(update: Update) -> None:
    with pytest.raises(ValueError, match="weight_bits is 5: weights cut into slices cannot learn in place; use None"):
        update.check(pulsed_device(), replace(EXACT, weight_bits=5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StochasticPulses(0), "longest is 0 slots, expected at least 1"),
        (lambda: Rewriting(-0.1), r"threshold is -0.1, expected a share of the range"),
        (lambda: Rewriting(1.0), r"threshold is 1.0, expected a share of the range"),
        (lambda: TwoArrays(fast_gain=0.0), r"fast_gain is 0.0, expected a positive number"),
        (lambda: TwoArrays(transfer=float("nan")), "transfer is nan, expected a positive number"),
        (lambda: TwoArrays(cycle=0), "cycle is 0, expected at least 1"),
        (lambda: TwoArrays(longest=0), "longest is 0, expected at least 1"),
        (lambda: TwoArrays(rest_pulses=-1), "rest_pulses is -1, expected at least 0"),
        (lambda: WriteBack([], [], 0, 0.0), r"tolerance is 0.0, expected a share of the range"),
    ],
)
def test_impossible_updates_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
