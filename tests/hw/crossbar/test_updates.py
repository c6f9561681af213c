"""Ways to write a change: what arrives on the devices, how pulses are distributed, and what is counted.

The perfect device of these tests moves by the same step everywhere, so that arithmetic says where a weight must be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL, noisy_reads
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import ExpStep, LinearStep
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.gain import Gain
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision, MixedWriter
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter
from hw.crossbar.updates.stochastic import StochasticPulses, coincidences
from hw.crossbar.updates.two_arrays import REST_READS, TwoArrays, TwoArraysWriter
from hw.crossbar.updates.update import Outer, Update, send_pulses, total, weight_per_pulse
from hw.crossbar.updates.write_back import WriteBack
from hw.events.tiles import ProgrammingEvents

G_MAX = IDEAL.g_max_s
STEPS = 1000
"""Steps from one end of the range to the other."""
ENCODINGS = ("balanced", "offset")
"""Of those, all devices of a weight can move both ways."""
PULSING: tuple[Update, ...] = (StochasticPulses(), MixedPrecision(), TwoArrays(rest_pulses=3))
Floats = NDArray[np.float64]


def _device(**changes: Any) -> Device:
    fields: dict[str, Any] = {"g_min_s": 0.0, "g_max_s": G_MAX, "zero_s": G_MAX / 2, "step_s": G_MAX / STEPS}
    return replace(IDEAL, pulses=LinearStep(**(fields | changes)))


def _design(encoding: str) -> Design:
    """Tiles so small that a matrix of 5 x 7 takes several."""
    return replace(EXACT, encoding=encoding, rows=4, columns=6)


def _matrix(device: Device, encoding: str = "balanced", shape: tuple[int, int] = (5, 7), seed: int = 0) -> TiledMatrix:
    """Weights in +-0.5, on devices whose range stands for +-1."""
    weight = np.random.default_rng(seed).uniform(-0.5, 0.5, shape)
    return TiledMatrix(weight, Fabrication(device, _design(encoding), seed=(seed,)), largest=1.0)


def _as_outer(change: Floats, largest: float) -> Outer:
    """Any matrix is a sum of outer products: one per input. `largest` is what 1 in it stands for."""
    inputs = change.shape[1]
    return Outer(np.eye(inputs, dtype=np.float32), (change / largest).T.astype(np.float32), largest)


def _random_outer(rng: np.random.Generator, shape: tuple[int, int], count: int, factor: float) -> Outer:
    below = rng.uniform(-1, 1, (count, shape[1])).astype(np.float32)
    return Outer(below, rng.uniform(-1, 1, (count, shape[0])).astype(np.float32), factor)


def _writes(matrix: TiledMatrix) -> int:
    return int(sum(tile.array.writes.sum() for tile in matrix.tiles))


def test_an_outer_product_by_loops() -> None:
    rng = np.random.default_rng(0)
    outers = [_random_outer(rng, (3, 4), count, factor) for count, factor in ((2, 0.3), (5, -0.7))]
    expected = np.zeros((3, 4))
    for outer in outers:
        for below, above in zip(outer.below, outer.above, strict=True):
            for output in range(3):
                for source in range(4):
                    expected[output, source] += outer.factor * above[output] * below[source]
    np.testing.assert_allclose(total(outers), expected, atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_pulse_count_moves_a_weight_by_its_nominal_change(encoding: str) -> None:
    matrix = _matrix(_device(), encoding)
    before, rng = matrix.stored(), np.random.default_rng(1)
    up, down = rng.integers(0, 6, (2, 5, 7))
    events = send_pulses(matrix, up, down, rng)
    # the whole range, 2, in 1000 steps of one device
    assert weight_per_pulse(matrix) == pytest.approx(2 / STEPS)
    np.testing.assert_allclose(matrix.stored() - before, (up - down) * 2 / STEPS, atol=1e-12)
    devices = {"balanced": 2, "offset": 1}[encoding]
    assert events.pulses == devices * (up + down).sum() == _writes(matrix)
    assert events.devices == devices * np.count_nonzero(up + down)
    # and what is computed moves with it, both ways
    for direction in matrix.effective():
        np.testing.assert_allclose(direction, matrix.stored(), atol=1e-6)


def test_a_pair_at_the_end_of_its_range_moves_by_half() -> None:
    """In a plain pair one device is switched off: it cannot fall, and the weight gets half of what was sent."""
    matrix = TiledMatrix(np.full((2, 3), 0.2), Fabrication(_device(), _design("pair")), largest=1.0)
    ones = np.ones((2, 3), np.int64)
    send_pulses(matrix, 10 * ones, 0 * ones, np.random.default_rng(0))
    np.testing.assert_allclose(matrix.stored(), 0.2 + 10 / STEPS, atol=1e-12)


def test_drift_compensation_makes_a_pulse_worth_more() -> None:
    matrix = _matrix(_device())
    matrix.gain = Gain(np.array([1.25]), 3.0)  # temperature takes of a pulse what its gain gives back
    assert weight_per_pulse(matrix) == pytest.approx(1.25 * 2 / STEPS)
    matrix.gain = Gain(np.array([1.0, 1.25, 2.0, 1.0, 1.5]))
    np.testing.assert_allclose(weight_per_pulse(matrix)[:, 0], matrix.gain.drift * 2 / STEPS)


def test_coincidences_are_the_outer_product_on_average() -> None:
    """Mean of up - down over many trains, entry by entry within 5 standard errors of the mean."""
    rng, pulse, draws = np.random.default_rng(2), 0.002, 1500
    for factor in (0.004, -0.02):
        outer = _random_outer(np.random.default_rng(3), (4, 5), 3, factor)
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
    outer = _random_outer(rng, (4, 5), 1, factor)
    outer.below[0, 2] = outer.above[0, 1] = 0.0
    rises, falls = coincidences(outer, 0.01, 31, rng)
    wanted = outer.total()
    assert not rises[wanted <= 0].any()
    assert not falls[wanted >= 0].any()


def test_products_that_trains_cannot_carry_keep_their_direction() -> None:
    rng, draws = np.random.default_rng(5), 2000
    outer = _random_outer(np.random.default_rng(6), (4, 5), 1, 1.0)
    seen = np.array([np.subtract(*coincidences(outer, 1e-4, 5, rng)) for _ in range(draws)])
    wanted = outer.total()
    assert np.abs(seen).max() == 5
    expected = 5 * wanted / np.abs(wanted).max()
    assert (np.abs(seen.mean(axis=0) - expected) <= 5 * seen.std(axis=0) / np.sqrt(draws) + 1e-6).all()


def test_nothing_wanted_sends_nothing() -> None:
    zero = Outer(np.zeros((3, 7), np.float32), np.ones((3, 5), np.float32), 0.1)
    unweighted = Outer(np.ones((3, 7), np.float32), np.ones((3, 5), np.float32), 0.0)
    for update in (StochasticPulses(), MixedPrecision(), Rewriting(0.0), TwoArrays(rest_pulses=0)):
        for outers in ([zero], [unweighted], [zero, unweighted]):
            matrix = _matrix(_device())
            writer = update.writer(matrix, (0, 1))
            before = matrix.stored()
            writer.write(outers)
            again = writer.write(outers)  # at first, two arrays bring one of them to rest
            np.testing.assert_array_equal(matrix.stored(), before)
            assert _writes(matrix) == 0
            assert again.devices == 0
            assert not again.pulses


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_stochastic_pulses_write_what_is_wanted_on_average(encoding: str) -> None:
    """The sum of many updates arrives within 5 standard deviations of the pulses that brought it."""
    matrix, rng = _matrix(_device(), encoding), np.random.default_rng(7)
    writer, before, wanted, variance = StochasticPulses().writer(matrix, (0, 2)), matrix.stored(), 0.0, 0.0
    pulse = weight_per_pulse(matrix)
    outers = [_random_outer(rng, (5, 7), 2, factor) for factor in (0.0015, -0.001)]
    for _ in range(250):
        writer.write(outers)
        wanted = wanted + total(outers)
        for outer in outers:  # pulses of a slot are Bernoulli: their variance is at most their number
            variance = variance + abs(outer.factor) * pulse * np.abs(outer.above).T @ np.abs(outer.below)
    error = np.abs(matrix.stored() - before - wanted)
    assert (error <= 5 * np.sqrt(variance) + 2 * pulse).all()
    # the test has teeth: what was wanted is more than what it lets pass
    assert np.abs(wanted).max() > 10 * np.sqrt(np.max(variance))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_mixed_precision_writes_whole_pulses_and_remembers_the_rest(encoding: str) -> None:
    """Accumulated remainder and written pulses are what was wanted, exactly, after every update."""
    matrix, rng = _matrix(_device(), encoding), np.random.default_rng(8)
    writer, before, wanted = MixedPrecision().writer(matrix, (0, 2)), matrix.stored(), np.zeros((5, 7))
    assert isinstance(writer, MixedWriter)
    pulse, sent = weight_per_pulse(matrix), 0.0
    for _ in range(60):
        change = 0.7 * pulse * rng.standard_normal((5, 7))
        outers = [_as_outer(change, 0.01), _random_outer(rng, (5, 7), 2, 0.001)]
        events = writer.write(outers)
        wanted += total(outers)
        moved = matrix.stored() - before
        np.testing.assert_allclose(moved + writer.chi, wanted, atol=1e-9)
        assert np.abs(writer.chi).max() < pulse
        np.testing.assert_allclose(moved / pulse, np.rint(moved / pulse), atol=1e-6)
        assert events.pulses is not None
        sent += events.pulses
    assert sent == _writes(matrix)
    assert np.abs(wanted).max() > 5 * pulse


def test_mixed_precision_does_not_look_at_what_pulses_did() -> None:
    """On devices with twice the nominal step, the weight moves twice as far: the next gradients have to see it."""
    matrix = _matrix(_device())
    for tile in matrix.tiles:
        assert tile.array.steps is not None
        tile.write(
            replace(
                tile.array, steps=tile.array.steps | {name: 2 * tile.array.steps[name] for name in ("up_s", "down_s")}
            )
        )
    before = matrix.stored()
    MixedPrecision().writer(matrix, (0,)).write([_as_outer(np.full((5, 7), 0.0201), 1.0)])
    np.testing.assert_allclose(matrix.stored() - before, 0.04, atol=1e-6)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "pair"])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_rewriting_stays_within_its_threshold(encoding: str, threshold: float) -> None:
    matrix, rng = _matrix(IDEAL, encoding), np.random.default_rng(9)
    writer, wanted, devices = Rewriting(threshold).writer(matrix, (0, 2)), matrix.stored(), 0
    assert isinstance(writer, RewritingWriter)
    for _ in range(40):
        change = 0.02 * rng.standard_normal((5, 7))
        before, last = matrix.stored(), wanted
        events = writer.write([_as_outer(change, 0.1)])
        wanted = wanted + total([_as_outer(change, 0.1)])
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
    assert devices == _writes(matrix)
    if threshold:
        assert devices < 40 * 35


def test_rewriting_touches_one_device_of_a_plain_pair() -> None:
    """0.2 to 0.3 is a change of G+ alone; 0.1 to -0.1 is one of both."""
    weight = np.array([[0.2, 0.1, -0.4]])
    matrix = TiledMatrix(weight, Fabrication(IDEAL, _design("pair")), largest=1.0)
    writer = Rewriting(0.0).writer(matrix, (0,))
    events = writer.write([_as_outer(np.array([[0.1, -0.2, 0.0]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), [[0.3, -0.1, -0.4]], atol=1e-6)
    assert events.devices == 3
    writes = np.concatenate([tile.array.writes for tile in matrix.tiles])
    np.testing.assert_array_equal(writes, [[1, 0], [1, 1], [0, 0]])


def test_rewriting_stops_at_the_range_and_comes_back_at_once() -> None:
    matrix = TiledMatrix(np.array([[0.9]]), Fabrication(IDEAL, _design("balanced")), largest=1.0)
    writer = Rewriting(0.0).writer(matrix, (0,))
    for _ in range(5):
        writer.write([_as_outer(np.array([[0.5]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), 1.0, atol=1e-9)
    writer.write([_as_outer(np.array([[-0.5]]), 1.0)])
    np.testing.assert_allclose(matrix.stored(), 0.5, atol=1e-6)


def test_rewriting_lands_with_the_spread_of_programming() -> None:
    sigma_s = 0.01 * G_MAX
    device = replace(IDEAL, programming=ConstantCurve(sigma_s))
    matrix = TiledMatrix(np.zeros((60, 50)), Fabrication(device, replace(EXACT, encoding="offset")), largest=1.0)
    Rewriting(0.0).writer(matrix, (0, 4)).write([_as_outer(np.full((60, 50), 0.3), 1.0)])
    placed = matrix.placed[0].tile
    landed = placed.array.conductance_s()[:-1, :-1] - placed.array.target_s[:-1, :-1]
    assert landed.std() == pytest.approx(sigma_s, rel=0.05)
    assert abs(landed.mean()) <= 4 * sigma_s / np.sqrt(3000)


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
    error = _quadratic(_device(step_s=G_MAX / 40), TwoArrays(fast_gain=4.0, cycle=16))
    assert abs(error.mean()) < 0.03
    assert np.abs(error).max() < 0.2


def test_two_arrays_do_better_than_plain_pulses_where_steps_are_not_symmetric() -> None:
    plain = _quadratic(_device(**SOFT), StochasticPulses())
    arrays = _quadratic(_device(**SOFT), TwoArrays(fast_gain=4.0, cycle=16))
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
    device = _device(**(SOFT | {"up_down": 0.4}))
    matrix = TiledMatrix(np.zeros((4, 6)), Fabrication(device, _design("balanced")), largest=1.0)
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
    matrix = _matrix(_device(voltage_v=1.0, width_s=1e-6))
    writer = TwoArrays(rest_pulses=rest_pulses, cycle=7).writer(matrix, (0, 1))
    assert isinstance(writer, TwoArraysWriter)
    resting = 2 * (rest_pulses + REST_READS) * 2 * 35  # up and down, two devices per weight
    assert _writes(writer.fast) == resting
    rng, before = np.random.default_rng(1), 0
    for number in range(5):
        events = writer.write([_random_outer(rng, (5, 7), 3, 0.02)])
        everything = _writes(writer.fast) + _writes(matrix)
        assert events.pulses == everything - before
        before = everything
        # one column of 5 weights, two devices each, is read
        assert events.verify_reads == 10
        assert events.energy_j is not None
        assert events.energy_j > 0
        assert (number == 0) == (events.pulses >= resting)


def test_two_arrays_of_which_a_link_does_not_learn() -> None:
    """A rate of 0, at first or at last, changes no weight and nothing that will become one."""
    matrix, rng = _matrix(_device()), np.random.default_rng(1)
    writer = TwoArrays(rest_pulses=2).writer(matrix, (0, 1))
    before = matrix.stored()
    writer.write([_random_outer(rng, (5, 7), 3, 0.0)])
    np.testing.assert_array_equal(matrix.stored(), before)
    for _ in range(5):
        writer.write([_random_outer(rng, (5, 7), 3, 0.02)])
    assert isinstance(writer, TwoArraysWriter)
    learnt, buffered = matrix.stored(), writer.buffer.copy()
    assert (learnt != before).any()
    writer.write([_random_outer(rng, (5, 7), 3, 0.0)])
    np.testing.assert_array_equal(matrix.stored(), learnt)
    np.testing.assert_array_equal(writer.buffer, buffered)


@pytest.mark.parametrize("update", PULSING, ids=lambda update: type(update).__name__)
def test_pulses_cost_energy_where_they_are_published(update: Update) -> None:
    outer = _random_outer(np.random.default_rng(2), (5, 7), 4, 0.05)
    for device, known in ((_device(voltage_v=2.0, width_s=1e-6), True), (_device(), False)):
        matrix = _matrix(device)
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
        matrix = _matrix(_device(cycle=0.3), seed=4)
        writer, rng = update.writer(matrix, (seed, 1)), np.random.default_rng(0)
        for _ in range(5):
            writer.write([_random_outer(rng, (5, 7), 4, 0.05)])
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
        update.check(_device(), replace(EXACT, weight_bits=5))


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


def _written_back(matrices: list[TiledMatrix], rounds: int, budget: int, tolerance: float = 0.01) -> list[Any]:
    wanted = [matrix.aimed() for matrix in matrices]
    writer = WriteBack(matrices, wanted, 0, tolerance)
    return [writer.round(budget) for _ in range(rounds)]


def test_write_back_brings_weights_within_the_tolerance() -> None:
    device = replace(IDEAL, programming=ConstantCurve(0.004 * G_MAX))
    matrices = [_matrix(device, seed=1), _matrix(device, "offset", seed=2)]
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
    assert sum(event.devices for event in events) == sum(_writes(matrix) for matrix in matrices)


@pytest.mark.parametrize("budget", [0, 5, 20])
def test_a_round_writes_the_worst_as_far_as_its_budget_goes(budget: int) -> None:
    matrix = TiledMatrix(np.zeros((5, 7)), Fabrication(IDEAL, _design("offset")), largest=1.0)
    weight = np.random.default_rng(3).permutation(np.linspace(0.1, 0.45, 35)).reshape(5, 7)
    events = WriteBack([matrix], [weight], 0, 0.01).round(budget)
    assert events.devices == budget == _writes(matrix)
    written = matrix.stored() != 0
    assert written.sum() == budget
    if budget:
        assert weight[written].min() > weight[~written].max()
        np.testing.assert_allclose(matrix.stored()[written], weight[written], atol=1e-9)


def test_write_back_works_around_a_stuck_device() -> None:
    """G+ stuck fully on stands for 1; G- is brought to where the pair shows 0.5 again."""
    matrix = TiledMatrix(np.full((1, 1), 0.5), Fabrication(IDEAL, _design("pair")), largest=1.0)
    tile = matrix.tiles[0]
    tile.write(replace(tile.array, stuck_s=np.array([[G_MAX, np.nan]])))
    np.testing.assert_allclose(matrix.stored(), 1.0)
    events = _written_back([matrix], 4, 100)
    np.testing.assert_allclose(matrix.stored(), 0.5, atol=0.01)
    assert events[-1].devices == 0
    assert np.isfinite(tile.array.stuck_s[0, 0])


def test_write_back_reads_with_the_noise_of_a_read() -> None:
    """Weights that are right are written again where noise says that they are not, as it would happen."""
    quiet, noisy = _matrix(IDEAL), _matrix(noisy_reads(0.1))
    assert _written_back([quiet], 1, 100)[0] == ProgrammingEvents(0, None, 35.0, None)
    assert _written_back([noisy], 1, 100)[0].devices > 0
