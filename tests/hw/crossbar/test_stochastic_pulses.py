"""Coinciding pulses: the outer product on average, in trains as short as they can be."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.update_examples import ENCODINGS, matrix_of, pulsed_device, random_outer
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.updates.stochastic import StochasticPulses, coincidences
from hw.crossbar.updates.update import Outer, total, weight_per_pulse


def test_coincidences_are_the_outer_product_on_average() -> None:
    """Mean of up - down over many trains, entry by entry within 5 standard errors of the mean."""
    rng, pulse, draws = np.random.default_rng(2), 0.002, 1500
    for factor in (0.004, -0.02):
        outer = random_outer(np.random.default_rng(3), (4, 5), 3, factor)
        seen = np.array([np.subtract(*coincidences(outer, pulse, 31, rng)) for _ in range(draws)])
        error = np.abs(seen.mean(axis=0) - outer.total() / pulse)
        assert (error <= 5 * seen.std(axis=0) / np.sqrt(draws)).all()
        # of both kinds together: sum_n |factor below above| / pulse
        both = np.array([np.add(*coincidences(outer, pulse, 31, rng)) for _ in range(draws)])
        expected = abs(factor) / pulse * np.abs(outer.above).T @ np.abs(outer.below)
        assert (np.abs(both.mean(axis=0) - expected) <= 5 * both.std(axis=0) / np.sqrt(draws)).all()


@pytest.mark.parametrize(("largest", "slots"), [(0.3, 1), (2.5, 3), (30.5, 31)])
def test_trains_are_as_short_as_they_can_be(largest: float, slots: int) -> None:
    """No device gets more pulses of one outer product than the train has slots, and that many it can get."""
    outer = Outer(np.ones((1, 500), np.float32), np.ones((1, 500), np.float32), largest * 0.01)
    rises, falls = coincidences(outer, 0.01, 31, np.random.default_rng(4))
    assert not falls.any()
    assert rises.max() <= slots
    # both sides fire alike: a device gets binomial(slots, p q) pulses with p q = largest / slots
    chance = largest / slots
    assert rises.mean() == pytest.approx(largest, rel=0.1)
    assert (rises == slots).mean() == pytest.approx(chance**slots, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.floats(-1, 1))
def test_pulses_go_the_way_of_the_product(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    outer = random_outer(rng, (4, 5), 1, factor)
    outer.below[0, 2] = outer.above[0, 1] = 0.0
    rises, falls = coincidences(outer, 0.01, 31, rng)
    wanted = outer.total()
    assert not rises[wanted <= 0].any()
    assert not falls[wanted >= 0].any()


def test_products_that_trains_cannot_carry_keep_their_direction() -> None:
    rng, draws = np.random.default_rng(5), 2000
    outer = random_outer(np.random.default_rng(6), (4, 5), 1, 1.0)
    seen = np.array([np.subtract(*coincidences(outer, 1e-4, 5, rng)) for _ in range(draws)])
    wanted = outer.total()
    assert np.abs(seen).max() == 5
    expected = 5 * wanted / np.abs(wanted).max()
    assert (np.abs(seen.mean(axis=0) - expected) <= 5 * seen.std(axis=0) / np.sqrt(draws) + 1e-6).all()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_stochastic_pulses_write_what_is_wanted_on_average(encoding: str) -> None:
    """The sum of many updates arrives within 5 standard deviations of the pulses that brought it."""
    matrix, rng = matrix_of(pulsed_device(), encoding), np.random.default_rng(7)
    writer, before, wanted, variance = StochasticPulses().writer(matrix, (0, 2)), matrix.stored(), 0.0, 0.0
    pulse = weight_per_pulse(matrix)
    outers = [random_outer(rng, (5, 7), 2, factor) for factor in (0.0015, -0.001)]
    for _ in range(250):
        writer.write(outers)
        wanted = wanted + total(outers)
        for outer in outers:  # pulses of a slot are Bernoulli: their variance is at most their number
            variance = variance + abs(outer.factor) * pulse * np.abs(outer.above).T @ np.abs(outer.below)
    error = np.abs(matrix.stored() - before - wanted)
    assert (error <= 5 * np.sqrt(variance) + 2 * pulse).all()
    # the test has teeth: what was wanted is more than what it lets pass
    assert np.abs(wanted).max() > 10 * np.sqrt(np.max(variance))
