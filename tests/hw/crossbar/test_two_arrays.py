"""Two arrays: minima that they reach, where the fast one rests, and what is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.update_examples import G_MAX, Floats, matrix_of, pulsed_device, random_outer, small_tiles, writes_of
from scipy.optimize import brentq
from scipy.stats import norm

from hw.crossbar.devices.device import Device
from hw.crossbar.devices.pulses import ExpStep
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import REST_READS, TwoArrays, TwoArraysWriter
from hw.crossbar.updates.update import Outer, Update

SOFT = {"gamma_up": 1.0, "gamma_down": 1.0, "own_bounds": True, "step_s": G_MAX / 40}
"""Steps that shrink towards both bounds: up and down are equal at zero alone."""


def _quadratic(device: Device, update: Update, *, updates: int = 500, seed: int = 0) -> Floats:
    """Mean error of weights that descend (w - 0.6)**2 / 2 with noisy gradients of unit spread, from 0."""
    matrix = TiledMatrix(
        np.zeros((3, 16)), Fabrication(device, replace(EXACT, encoding="balanced"), seed=(seed,)), largest=1.0
    )
    writer, rng, late = update.writer(matrix, (seed, 5)), np.random.default_rng(seed), []
    for step in range(updates):
        descent = 0.6 - matrix.stored() + rng.standard_normal(matrix.shape)
        # the largest entry is 1 and stands for 5: no gradient of 5 sigma comes up here
        writer.write([Outer(np.eye(16, dtype=np.float32), (descent / 5).T.astype(np.float32), 0.05 * 5)])
        if step >= updates // 2:
            late.append(matrix.stored())
    return np.asarray(np.mean(late, axis=0) - 0.6)


def test_two_arrays_find_the_minimum_with_symmetric_devices() -> None:
    error = _quadratic(pulsed_device(step_s=G_MAX / 40), TwoArrays(fast_gain=4.0, cycle=16))
    assert abs(error.mean()) < 0.03
    assert np.abs(error).max() < 0.2


def test_two_arrays_do_better_than_plain_pulses_where_steps_are_not_symmetric() -> None:
    plain = _quadratic(pulsed_device(**SOFT), StochasticPulses())
    arrays = _quadratic(pulsed_device(**SOFT), TwoArrays(fast_gain=4.0, cycle=16))
    # noise pushes plain weights to where steps are equal
    assert plain.mean() < -0.2
    assert abs(arrays.mean()) < 0.6 * abs(plain.mean())


def test_exponential_steps_rest_where_what_goes_up_comes_down() -> None:
    """Steps of 1 - A exp(+-gamma w) up and down: pulses rest where step times mean gradient of that sign are equal."""
    amplitude, gamma = 0.05, 4.0
    steps = ExpStep(
        g_min_s=0.0, g_max_s=G_MAX, zero_s=G_MAX / 2, step_s=G_MAX / 200, cycle=0.3, step_dtod=0.1, a=1.0, b=0.0,
        amplitude_up=amplitude, amplitude_down=amplitude, gamma_up=gamma, gamma_down=gamma,
    )  # fmt: skip

    def surplus(w: float) -> float:
        up = norm.expect(lambda x: max(x, 0.0), loc=0.6 - w)
        down = norm.expect(lambda x: max(-x, 0.0), loc=0.6 - w)
        return float((1 - amplitude * np.exp(gamma * w)) * up - (1 - amplitude * np.exp(-gamma * w)) * down)

    rest = brentq(surplus, 0.0, 0.6) - 0.6
    assert rest < -0.1
    assert _quadratic(replace(IDEAL, pulses=steps), StochasticPulses()).mean() == pytest.approx(rest, abs=0.025)


def test_the_fast_array_starts_where_its_steps_are_equal() -> None:
    """Soft bounds that are not the same either side: from the middle of the range to the point of equal steps."""
    device = pulsed_device(**(SOFT | {"up_down": 0.4}))
    matrix = TiledMatrix(np.zeros((4, 6)), Fabrication(device, small_tiles("balanced")), largest=1.0)
    writer = TwoArrays(rest_pulses=150).writer(matrix, (0, 1))
    assert isinstance(writer, TwoArraysWriter)
    # (1 - g / b) up = 0.6 (1 + g / b) up, with g measured from zero: at g = b / 4
    expected_s = G_MAX / 2 * (1 + 0.25)
    for tile in writer.fast.tiles:
        assert np.abs(tile.array.conductance_s() - expected_s).max() <= 1.1 * G_MAX / 40
    # both devices of a pair rest alike: the weight of the fast array is zero, and so is what is taken for it
    assert np.abs(writer.zero).max() <= 2.2 / 40
    assert np.abs(writer.fast.stored() - writer.zero).max() <= 2.2 / 40


@pytest.mark.parametrize("rest_pulses", [0, 5])
def test_two_arrays_count_what_brings_them_to_rest_once(rest_pulses: int) -> None:
    matrix = matrix_of(pulsed_device(voltage_v=1.0, width_s=1e-6))
    writer = TwoArrays(rest_pulses=rest_pulses, cycle=7).writer(matrix, (0, 1))
    assert isinstance(writer, TwoArraysWriter)
    resting = 2 * (rest_pulses + REST_READS) * 2 * 35  # up and down, two devices per weight
    assert writes_of(writer.fast) == resting
    rng, before = np.random.default_rng(1), 0
    for number in range(5):
        events = writer.write([random_outer(rng, (5, 7), 3, 0.02)])
        everything = writes_of(writer.fast) + writes_of(matrix)
        assert events.pulses == everything - before
        before = everything
        # one column of 5 weights, two devices each, is read
        assert events.verify_reads == 10
        assert events.energy_j is not None
        assert events.energy_j > 0
        assert (number == 0) == (events.pulses >= resting)


def test_two_arrays_of_which_a_link_does_not_learn() -> None:
    """A rate of 0, at first or at last, changes no weight and nothing that will become one."""
    matrix, rng = matrix_of(pulsed_device()), np.random.default_rng(1)
    writer = TwoArrays(rest_pulses=2).writer(matrix, (0, 1))
    before = matrix.stored()
    writer.write([random_outer(rng, (5, 7), 3, 0.0)])
    np.testing.assert_array_equal(matrix.stored(), before)
    for _ in range(5):
        writer.write([random_outer(rng, (5, 7), 3, 0.02)])
    assert isinstance(writer, TwoArraysWriter)
    learnt, buffered = matrix.stored(), writer.buffer.copy()
    assert (learnt != before).any()
    writer.write([random_outer(rng, (5, 7), 3, 0.0)])
    np.testing.assert_array_equal(matrix.stored(), learnt)
    np.testing.assert_array_equal(writer.buffer, buffered)
