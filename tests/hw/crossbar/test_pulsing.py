"""Trains of pulses on an array: means and spreads after the step models, what stays in range, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import IDEAL
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.crossbar.devices.device import Array, Device
from hw.crossbar.devices.device_array import DeviceArray, program
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.pulses import ExpStep, LinearStep
from hw.crossbar.devices.pulsing import mean_step_s, pulsed, response_of

DEVICES = 40_000
US = 1e-6
G_MAX = 25 * US
ZERO = 10 * US
STEP = 0.1 * US


def _device(**changes: Any) -> Device:
    """A perfect device of 0 to 25 uS that pulses move by 0.1 uS; `changes` are those of the step."""
    fields: dict[str, Any] = {"g_min_s": 0.0, "g_max_s": G_MAX, "zero_s": ZERO, "step_s": STEP}
    return replace(IDEAL, pulses=LinearStep(**(fields | changes)))


def _array(device: Device, start_s: float, count: int = DEVICES, seed: int = 0) -> DeviceArray:
    return program(np.full((count,), start_s), device, np.random.default_rng(seed))


def _train(array: DeviceArray, up: int, down: int, seed: int = 1) -> Array:
    """Conductance of every device after so many pulses."""
    shape = array.target_s.shape
    counts = np.full(shape, up), np.full(shape, down)
    return pulsed(array, *counts, np.random.default_rng(seed))[0].conductance_s()


@pytest.mark.parametrize("pulses", [1, 20, 100])
def test_linear_steps_shrink_towards_the_bound(pulses: int) -> None:
    """w_n = (b / gamma) (1 - (1 - gamma d / b)**n) from w = 0; variation from pulse to pulse leaves the mean."""
    array = _array(_device(gamma_up=0.5, gamma_down=0.8, cycle=0.3), ZERO)
    up_s, down_s = G_MAX - ZERO, ZERO
    risen = up_s / 0.5 * (1 - (1 - 0.5 * STEP / up_s) ** pulses)
    fallen = down_s / 0.8 * (1 - (1 - 0.8 * STEP / down_s) ** pulses)
    assert (_train(array, pulses, 0) - ZERO).mean() == pytest.approx(risen, rel=0.02)
    assert (ZERO - _train(array, 0, pulses)).mean() == pytest.approx(fallen, rel=0.02)


@pytest.mark.parametrize("pulses", [1, 40])
def test_linear_steps_of_devices_that_differ(pulses: int) -> None:
    """The mean over devices of the same law, by quadrature over their normal steps."""
    array = _array(_device(gamma_up=1.0, gamma_down=1.0, step_dtod=0.3, cycle=0.2), ZERO)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    steps = STEP * np.abs(1 + 0.3 * nodes)
    law = (G_MAX - ZERO) * (1 - (1 - steps / (G_MAX - ZERO)) ** pulses)
    assert (_train(array, pulses, 0) - ZERO).mean() == pytest.approx(law @ weights / weights.sum(), rel=0.02)


@pytest.mark.parametrize(("up", "down"), [(30, 0), (20, 10), (5, 25), (15, 15)])
def test_soft_bounds_mix_ups_and_downs_in_random_order(up: int, down: int) -> None:
    """A pulse leaves 1 - d / b of w and adds +-d; in random order every pulse is up with probability up / (up + down):
    E w = w_0 q**n + (up - down) / n b (1 - q**n), with q = 1 - d / b and bounds b either side."""
    middle = G_MAX / 2
    device = _device(zero_s=middle, step_s=US, gamma_up=1.0, gamma_down=1.0, own_bounds=True, multiplicative=False)
    start_s = middle + 4 * US
    moved = _train(_array(device, start_s), up, down) - middle
    count = up + down
    left = (1 - US / middle) ** count
    expected = 4 * US * left + (up - down) / count * middle * (1 - left)
    assert moved.mean() == pytest.approx(expected, rel=0.02)
    # in one fixed order the last pulses would count most: ups last end higher than this mean
    ups_last = (4 * US * (1 - US / middle) ** down - middle * (1 - (1 - US / middle) ** down)) * (
        1 - US / middle
    ) ** up + middle * (1 - (1 - US / middle) ** up)
    if up and down:
        assert abs(ups_last - expected) > 0.1 * abs(expected)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("pulses", [50, 250])
def test_exponential_steps_follow_their_differential_equation(up: bool, pulses: int) -> None:
    """With z = 2 a w / range + b: dz/dn = k / gamma (1 - A e**(gamma z)), whose solution has an exponential for
    e**(-gamma z); steps are small against the range, so that n counts as continuous."""
    fit = {"a": -0.5, "b": -0.5, "gamma": {True: 5.0, False: 4.0}, "A": {True: -1.2, False: -0.08}}
    middle, step_s = G_MAX / 2, 0.002 * G_MAX / 2
    steps = ExpStep(
        g_min_s=0.0, g_max_s=G_MAX, zero_s=middle, step_s=step_s, a=fit["a"], b=fit["b"], cycle=0.3,
        amplitude_up=fit["A"][True], amplitude_down=fit["A"][False],
        gamma_up=fit["gamma"][True], gamma_down=fit["gamma"][False],
    )  # fmt: skip
    array = _array(replace(IDEAL, pulses=steps), middle, 4000)
    sign = 1.0 if up else -1.0
    gamma, amplitude = sign * fit["gamma"][up], fit["A"][up]
    slope = sign * 2 * fit["a"] * step_s / G_MAX
    z = fit["b"]
    u = amplitude + (np.exp(-gamma * z) - amplitude) * np.exp(-gamma * slope * pulses)
    expected = (-np.log(u) / gamma - z) * G_MAX / (2 * fit["a"])
    moved = (_train(array, pulses if up else 0, 0 if up else pulses) - middle).mean()
    assert moved == pytest.approx(expected, rel=0.02)
    assert abs(moved) < 0.95 * middle  # nobody has reached a bound


@pytest.mark.parametrize("pulses", [1, 4, 40])
def test_device_spread_grows_with_the_pulses_and_cycle_spread_with_their_root(pulses: int) -> None:
    """n pulses of one device share its step: sigma = d sqrt(n**2 dtod**2 + n cycle**2)."""
    array = _array(_device(step_dtod=0.1, cycle=0.4), ZERO)
    moved = _train(array, pulses, 0) - ZERO
    assert moved.mean() == pytest.approx(pulses * STEP, rel=0.02)
    # sigma of n devices is known to 1 / sqrt(2 n): 0.35 %
    assert moved.std() == pytest.approx(STEP * np.sqrt(pulses**2 * 0.1**2 + pulses * 0.4**2), rel=0.02)


@pytest.mark.parametrize(
    ("name", "dw_min", "w_range", "dtod", "up_down_dtod", "cycle"),
    [("li-ecram-2018", 0.002, 2.0, 0.1, 0.01, 0.3), ("mo-ecram-2019", 2.8214e-4, 2.0, 0.1, 0.01, 2.0)],
)
@pytest.mark.parametrize("up", [True, False])
def test_spreads_of_the_presets(
    name: str, dw_min: float, w_range: float, dtod: float, up_down_dtod: float, cycle: float, up: bool
) -> None:
    """The published figures, in normalised weights, where steps have their nominal size: w = 0."""
    device, pulses = preset(name), 16
    response = response_of(device)
    assert isinstance(response, LinearStep)
    step_s = dw_min * (device.g_max_s - device.g_min_s) / w_range
    assert mean_step_s(device) == pytest.approx(step_s, rel=1e-3)
    array = _array(replace(device, programming=IDEAL.programming), response.zero_s)
    moved = _train(array, pulses if up else 0, 0 if up else pulses) - response.zero_s
    assert moved.mean() == pytest.approx((pulses if up else -pulses) * step_s, rel=0.02)
    spread = np.sqrt(pulses**2 * (dtod**2 + up_down_dtod**2) + pulses * cycle**2)
    assert moved.std() == pytest.approx(step_s * spread, rel=0.02)


def test_hfo2_ends_within_the_bounds_of_each_device_and_reads_with_the_published_noise() -> None:
    device = preset("reram-hfo2-gong-2022")
    array = _array(device, 55 * US)
    assert array.steps is not None
    once = pulsed(array, np.ones(DEVICES, np.int64), np.zeros(DEVICES, np.int64), np.random.default_rng(1))[0]
    assert (once.resting_s >= array.steps["low_s"] - 1e-18).all()
    assert (once.resting_s <= array.steps["high_s"] + 1e-18).all()
    # write noise of 0.5841 steps of 0.4622 x 45 uS: a read sees it, the next pulse does not start from it
    seen = once.programmed_s - once.resting_s
    inside = once.resting_s > 60 * US
    assert seen[inside].std() == pytest.approx(0.5841 * 0.4622 * 45 * US, rel=0.02)
    assert np.corrcoef(seen[inside], once.resting_s[inside])[0, 1] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.3, 1.0, 0.7), (-0.2, 0.8, 1.0)])
def test_asymmetry_drifts_by_the_difference_of_the_steps(up_down: float, up: float, down: float) -> None:
    array = _array(_device(up_down=up_down, cycle=0.2), ZERO)
    assert (_train(array, 10, 0) - ZERO).mean() == pytest.approx(10 * up * STEP, rel=0.02)
    assert (ZERO - _train(array, 0, 10)).mean() == pytest.approx(10 * down * STEP, rel=0.02)
    assert (_train(array, 25, 25) - ZERO).mean() == pytest.approx(25 * (up - down) * STEP, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "step_s": st.floats(1e-8, 1e-5),
            "zero_s": st.sampled_from((0.0, G_MAX)) | st.floats(1e-9, 24e-6),
            "step_dtod": st.floats(0, 1),
            "cycle": st.floats(0, 3),
            "up_down": st.floats(-0.9, 0.9),
            "gamma_up": st.floats(0, 1.5),
            "gamma_down": st.floats(0, 1.5),
            "gamma_dtod": st.floats(0, 0.5),
            "own_bounds": st.booleans(),
            "multiplicative": st.booleans(),
        }
    ),
    st.floats(0, 0.4),
    st.integers(0, 2**20),
)
def test_no_train_leaves_the_range_of_a_device(changes: dict[str, Any], bounds: float, seed: int) -> None:
    device = _device(**changes, g_max_dtod=bounds, g_min_dtod=bounds)
    rng = np.random.default_rng(seed)
    array = program(rng.uniform(0, G_MAX, (6, 5)), device, rng)
    assert array.steps is not None
    for _ in range(4):
        up, down = rng.integers(0, 30, (2, 6, 5))
        array, _ = pulsed(array, up, down, rng)
        touched = array.writes > 0
        assert (array.resting_s >= array.steps["low_s"])[touched].all()
        assert (array.resting_s <= array.steps["high_s"])[touched].all()
        assert (array.conductance_s() >= 0).all()
        if bounds == 0:
            assert (array.resting_s <= G_MAX).all()
        # what drift and noise go by stays where the device was characterised
        device.check_conductance(array.target_s)


def _brute(array: DeviceArray, up: NDArray[np.int64], down: NDArray[np.int64]) -> tuple[float, float]:
    """Pulses, and their sum of (G_before + G_after) / 2, of steps that are all alike."""
    pulses, conducted_s = 0, 0.0
    for g_s, rises, falls in zip(array.conductance_s(), up, down, strict=True):
        signs = [STEP] * rises + [-STEP] * falls
        for sign in signs:
            conducted_s += g_s + sign / 2
            g_s, pulses = g_s + sign, pulses + 1
    return pulses, conducted_s


def test_pulses_writes_and_joules_are_counted() -> None:
    device = _device(voltage_v=2.0, width_s=3e-6)
    array = _array(device, ZERO, 50)
    rng = np.random.default_rng(3)
    up = rng.integers(0, 5, 50)
    down = np.where(up > 0, 0, rng.integers(0, 5, 50))  # of one kind each: then the order matters to nobody
    after, events = pulsed(array, up, down, rng)
    pulses, conducted_s = _brute(array, up, down)
    assert events.pulses == pulses == (up + down).sum()
    assert events.devices == np.count_nonzero(up + down)
    assert events.verify_reads == 0
    assert events.energy_j == pytest.approx(4.0 * 3e-6 * conducted_s, rel=1e-9)
    np.testing.assert_array_equal(after.writes, up + down)
    np.testing.assert_allclose(after.conductance_s(), ZERO + (up - down) * STEP, rtol=1e-9)
    again, _ = pulsed(after, up, down, rng)
    np.testing.assert_array_equal(again.writes, 2 * (up + down))
    # the array it was is left alone
    np.testing.assert_array_equal(array.writes, 0)


@pytest.mark.parametrize("missing", ["voltage_v", "width_s"])
def test_without_a_published_pulse_there_are_no_joules(missing: str) -> None:
    device = _device(**({"voltage_v": 2.0, "width_s": 3e-6} | {missing: None}))
    ones = np.ones(5, np.int64)
    for up in (ones, 0 * ones):
        events = pulsed(_array(device, ZERO, 5), up, 0 * ones, np.random.default_rng(0))[1]
        assert events.energy_j is None
    for name, known in PRESETS.items():
        if known.pulses is not None:
            assert known.pulses.voltage_v is None, f"{name} has joules now: test them"


def test_stuck_devices_take_pulses_and_do_not_move() -> None:
    device = replace(_device(voltage_v=1.0, width_s=1e-6), stuck_on=0.2, stuck_off=0.3)
    array = _array(device, ZERO, 2000)
    stuck = ~np.isnan(array.stuck_s)
    assert stuck.mean() == pytest.approx(0.5, abs=0.05)
    fives = np.full(2000, 5)
    after, events = pulsed(array, fives, 0 * fives, np.random.default_rng(0))
    np.testing.assert_array_equal(after.conductance_s()[stuck], array.stuck_s[stuck])
    np.testing.assert_allclose(after.conductance_s()[~stuck], ZERO + 5 * STEP)
    np.testing.assert_array_equal(after.writes, 5)
    assert events.pulses == 10_000
    expected = (5 * array.stuck_s[stuck]).sum() + 5 * (ZERO + 2.5 * STEP) * (~stuck).sum()
    assert events.energy_j == pytest.approx(1e-6 * expected, rel=1e-9)


def test_devices_that_take_no_pulse_keep_everything() -> None:
    rng = np.random.default_rng(0)
    device = replace(preset("reram-hfo2-gong-2022"), retention=IDEAL.retention)
    array = program(rng.uniform(20 * US, 90 * US, (20, 10)), device, rng).at(3600.0)
    up = np.zeros((20, 10), np.int64)
    up[::2] = 2
    after, _ = pulsed(array, up, 0 * up, rng)
    for name in ("target_s", "programmed_s", "resting_s", "writes", "written_at_s", "drawn"):
        np.testing.assert_array_equal(getattr(after, name)[1::2], getattr(array, name)[1::2], err_msg=name)
    # the others begin to age now
    np.testing.assert_array_equal(after.written_at_s[::2], 3600.0)
    assert (after.programmed_s != array.programmed_s)[::2].all()
    assert after.seconds == 3600.0
    for name, steps in array.steps.items() if array.steps else ():
        assert after.steps is not None
        np.testing.assert_array_equal(after.steps[name], steps, err_msg=name)  # a device stays the device it is
    nothing, events = pulsed(array, 0 * up, 0 * up, rng)
    assert nothing is array
    assert (events.devices, events.pulses, events.verify_reads) == (0, 0.0, 0.0)


def test_seeds_decide_a_train() -> None:
    array = _array(_device(step_dtod=0.2, cycle=0.5), ZERO, 30)
    np.testing.assert_array_equal(_train(array, 4, 3, seed=1), _train(array, 4, 3, seed=1))
    assert (_train(array, 4, 3, seed=1) != _train(array, 4, 3, seed=2)).all()


@pytest.mark.parametrize("name", ["ideal", "pcm-nandakumar-2019", "sonos-2022"])
def test_devices_without_a_response_are_refused_with_those_that_have_one(name: str) -> None:
    device = preset(name)
    for refuse in (
        lambda: response_of(device),
        lambda: mean_step_s(device),
        lambda: pulsed(_array(device, 1e-6, 3), np.ones(3, np.int64), np.ones(3, np.int64), np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match=f"{name} cannot be written pulse by pulse") as caught:
            refuse()
        for other, known in PRESETS.items():
            assert (other in str(caught.value).split("presets that have one:")[1]) == (known.pulses is not None)
