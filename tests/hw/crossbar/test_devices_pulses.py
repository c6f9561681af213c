"""One write pulse: mean step, asymmetry, spread from device to device and from pulse to pulse, after the formulas.

Conductances are in microsiemens here and the formulas in the weights of the published fits, w = (G - zero) / scale.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from hw.crossbar.devices.device import Array
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import ExpStep, LinearStep, PulsedDevice

SAMPLES = 400_000
UP, DOWN = np.array([True]), np.array([False])


def _linear(name: str) -> LinearStep:
    steps = preset(name).pulses
    assert isinstance(steps, LinearStep)
    return steps


def _fit(**changes: object) -> LinearStep:
    """Weights -1 to 1 on 0 to 20 uS, a hundred steps."""
    fields: dict[str, object] = {"g_min_s": 0.0, "g_max_s": 20e-6, "zero_s": 10e-6, "step_s": 0.2e-6}
    return LinearStep(**(fields | changes))  # type: ignore[arg-type]


def _exponential(**changes: object) -> ExpStep:
    """Gong et al., Nat. Commun. 2018, as fitted in aihwkit: weights -1 to 1 on 0 to 20 uS."""
    fields: dict[str, object] = {
        "g_min_s": 0.0,
        "g_max_s": 20e-6,
        "zero_s": 10e-6,
        "step_s": 0.00135 * 10e-6,
        "a": -0.5,
        "b": -0.5,
        "gamma_up": 5.0,
        "gamma_down": 5.0,
        "amplitude_up": -1.18445,
        "amplitude_down": -0.081404,
    }
    return ExpStep(**(fields | changes))  # type: ignore[arg-type]


def _move(steps: LinearStep | ExpStep, g: Array | float, up: bool, seed: int = 0) -> Array:
    """Change of conductance in one pulse."""
    rng = np.random.default_rng(seed)
    g = np.atleast_1d(np.asarray(g, np.float64))
    return steps.pulse(g, np.full(g.shape, up), steps.draw(g.shape, rng), rng) - g


@pytest.mark.parametrize(
    ("name", "dw_min", "w_min", "w_max", "gamma_up", "gamma_down", "low", "high"),
    [
        ("li-ecram-2018", 0.002, -0.8276, 1.1724, 0.1153, 0.5085, 2e-6, 20e-6),
        ("mo-ecram-2019", 2.8214e-4, -0.8286, 1.1714, 0.4152, 0.7342, 2e-6, 20e-6),
        ("reram-hfo2-gong-2022", 0.4622, -1.0, 1.0, 1.0, 1.0, 10e-6, 100e-6),
    ],
)
def test_mean_step_of_the_presets(
    name: str, dw_min: float, w_min: float, w_max: float, gamma_up: float, gamma_down: float, low: float, high: float
) -> None:
    steps = _linear(name).scaled(0.0)
    scale = (high - low) / (w_max - w_min)
    for w in (0.6 * w_min, 0.0, 0.4 * w_max):
        g = low + (w - w_min) * scale
        # w <- w + dw (1 - gamma_up w / w_max),  w <- w - dw (1 - gamma_down w / w_min)
        up = min(dw_min * (1 - gamma_up * w / w_max), w_max - w)
        down = max(-dw_min * (1 - gamma_down * w / w_min), w_min - w)
        np.testing.assert_allclose(_move(steps, g, True)[0], up * scale, rtol=1e-9)
        np.testing.assert_allclose(_move(steps, g, False)[0], down * scale, rtol=1e-9)


def test_mean_step_of_the_preset_with_exponential_steps() -> None:
    """Weights -1 to 1 on 10 to 100 uS: dw = 0.00135 max(1 - A_d exp(d gamma_d z), 0), z = 2 a w / 2 + b."""
    steps = preset("reram-gong-2018").pulses
    assert isinstance(steps, ExpStep)
    for w in (-0.8, 0.0, 0.7):
        z = -0.5 * w - 0.5
        up = 0.00135 * (1 + 1.18445 * np.exp(5 * z))
        down = 0.00135 * (1 - 0.259359) * (1 + 0.081404 * np.exp(-5 * z))
        np.testing.assert_allclose(_move(steps.scaled(0.0), 55e-6 + 45e-6 * w, True)[0], 45e-6 * up, rtol=1e-9)
        np.testing.assert_allclose(_move(steps.scaled(0.0), 55e-6 + 45e-6 * w, False)[0], -45e-6 * down, rtol=1e-9)


def test_soft_bounds_are_reached_exponentially() -> None:
    steps = _fit(gamma_up=1.0, gamma_down=1.0, own_bounds=True)
    rng = np.random.default_rng(0)
    drawn = steps.draw((1,), rng)
    g = np.array([0.0])
    for count in range(1, 51):
        g = steps.pulse(g, UP, drawn, rng)
        # each pulse leaves 1 - dw / b of the way to the bound
        assert g[0] == pytest.approx(20e-6 * (1 - (1 - 0.02) ** count))


def test_own_bounds_set_the_slope_of_each_device() -> None:
    steps = _fit(gamma_up=1.0, gamma_down=1.0, own_bounds=True, g_max_dtod=0.2, g_min_dtod=0.2)
    rng = np.random.default_rng(1)
    drawn = steps.draw((1000,), rng)
    at_bound = steps.pulse(drawn["high_s"].copy(), np.full(1000, True), drawn, rng)
    np.testing.assert_allclose(at_bound, drawn["high_s"])
    way = (12e-6 - 10e-6) / (drawn["high_s"] - 10e-6)
    open_to_it = drawn["high_s"] > 12.3e-6
    moved = steps.pulse(np.full(1000, 12e-6), np.full(1000, True), drawn, rng) - 12e-6
    np.testing.assert_allclose(moved[open_to_it], (0.2e-6 * (1 - way))[open_to_it])


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("multiplicative", [True, False])
def test_variation_from_pulse_to_pulse(up: bool, multiplicative: bool) -> None:
    steps = _fit(gamma_up=0.4, gamma_down=0.7, cycle=0.3, multiplicative=multiplicative)
    moved = _move(steps, np.full(SAMPLES, 14e-6), up)
    size = 1 - 0.4 * 0.4 if up else 1 + 0.7 * 0.4
    assert moved.mean() == pytest.approx((1 if up else -1) * 0.2e-6 * size, rel=0.01)
    assert moved.std() == pytest.approx(0.2e-6 * 0.3 * (size if multiplicative else 1), rel=0.01)


def test_variation_from_device_to_device() -> None:
    steps = _fit(
        g_min_s=5e-6, step_dtod=0.1, up_down_dtod=0.02, g_max_dtod=0.05, g_min_dtod=0.06, gamma_up=0.4, gamma_dtod=0.05
    )
    drawn = steps.draw((SAMPLES,), np.random.default_rng(2))
    expected = {
        "up_s": (0.2e-6, 0.2e-6 * np.hypot(0.1, 0.02)),
        "down_s": (0.2e-6, 0.2e-6 * np.hypot(0.1, 0.02)),
        "high_s": (20e-6, 10e-6 * 0.05),
        "low_s": (5e-6, 5e-6 * 0.06),
        "gamma_up": (0.4, 0.05),
        "gamma_down": (0.05 * np.sqrt(2 / np.pi), 0.05 * np.sqrt(1 - 2 / np.pi)),  # |N|
    }
    assert set(drawn) == set(expected)
    for key, (mean, sigma) in expected.items():
        assert drawn[key].mean() == pytest.approx(mean, rel=0.01), key
        assert drawn[key].std() == pytest.approx(sigma, rel=0.01), key
    # a device that is fast upwards is fast downwards; what differs is the asymmetry alone
    assert (drawn["up_s"] - drawn["down_s"]).std() == pytest.approx(0.2e-6 * 2 * 0.02, rel=0.01)


def test_log_normal_steps() -> None:
    steps = _fit(step_dtod=0.7125, step_log_normal=True)
    drawn = steps.draw((SAMPLES,), np.random.default_rng(3))["up_s"]
    assert np.median(drawn) == pytest.approx(0.2e-6, rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.7125, rel=0.01)


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.3, 1.0, 0.7), (-0.3, 0.7, 1.0), (0.0, 1.0, 1.0)])
def test_asymmetry_makes_one_direction_smaller(up_down: float, up: float, down: float) -> None:
    steps = _fit(up_down=up_down)
    assert _move(steps, 10e-6, True)[0] == pytest.approx(0.2e-6 * up)
    assert _move(steps, 10e-6, False)[0] == pytest.approx(-0.2e-6 * down)


@pytest.mark.parametrize("w", [-0.8, 0.0, 0.5])
def test_exponential_steps(w: float) -> None:
    steps = _exponential()
    z = 2 * -0.5 * w / 2 - 0.5
    up = 0.00135 * max(1 + 1.18445 * np.exp(5 * z), 0)
    down = -0.00135 * max(1 + 0.081404 * np.exp(-5 * z), 0)
    g = 10e-6 * (1 + w)
    assert _move(steps, g, True)[0] == pytest.approx(up * 10e-6, rel=1e-9)
    assert _move(steps, g, False)[0] == pytest.approx(down * 10e-6, rel=1e-9)


def test_exponential_steps_vary_from_pulse_to_pulse_and_stop_at_nothing() -> None:
    moved = _move(_exponential(cycle=5.0), np.full(SAMPLES, 10e-6), True)
    mean = 0.00135 * 10e-6 * (1 + 1.18445 * np.exp(-2.5))
    assert moved.std() == pytest.approx(5 * mean, rel=0.01)
    assert moved.mean() == pytest.approx(mean, abs=5 * 5 * mean / np.sqrt(SAMPLES))
    still = _exponential(amplitude_up=2.0, gamma_up=0.0)  # 1 - A below zero: no step, not a step back
    assert _move(still, 10e-6, True)[0] == 0


def test_write_noise_is_seen_and_never_kept() -> None:
    steps = _linear("reram-hfo2-gong-2022")
    g = np.full(SAMPLES, 55e-6)
    seen = steps.visible(g, np.random.default_rng(4))
    assert seen.std() == pytest.approx(0.5841 * 0.4622 * 45e-6, rel=0.01)
    assert seen.mean() == pytest.approx(55e-6, rel=0.01)
    assert (steps.visible(np.full(SAMPLES, 1e-6), np.random.default_rng(4)) >= 0).all()
    np.testing.assert_array_equal(_fit().visible(g, np.random.default_rng(4)), g)


@given(
    seed=st.integers(0, 2**32 - 1),
    up=st.booleans(),
    own_bounds=st.booleans(),
    make=st.sampled_from([_fit, _exponential]),
)
def test_no_pulse_leaves_the_bounds(seed: int, up: bool, own_bounds: bool, make: Callable[..., LinearStep]) -> None:
    wild = {"step_dtod": 0.7, "up_down_dtod": 0.5, "g_max_dtod": 0.6, "g_min_dtod": 0.6, "cycle": 5.0}
    steps = make(**wild, **({"gamma_up": 1.0, "gamma_down": 1.0, "own_bounds": own_bounds} if make is _fit else {}))
    rng = np.random.default_rng(seed)
    drawn = steps.draw((50,), rng)
    g = rng.uniform(drawn["low_s"], drawn["high_s"])
    after = steps.pulse(g, np.full(50, up), drawn, rng)
    assert np.isfinite(after).all()
    assert (after >= drawn["low_s"]).all()
    assert (after <= drawn["high_s"]).all()
    assert (drawn["low_s"] >= 0).all()
    assert (drawn["up_s"] >= 0).all()
    assert (drawn["down_s"] >= 0).all()


def test_a_device_that_ends_at_its_zero_has_a_flat_step_there() -> None:
    steps = _fit(zero_s=0.0, gamma_up=0.5, gamma_down=0.5)
    assert _move(steps, 10e-6, False)[0] == pytest.approx(-0.2e-6)
    assert _move(steps, 10e-6, True)[0] == pytest.approx(0.2e-6 * 0.75)


def test_shapes_and_directions_are_free() -> None:
    steps = _fit(step_dtod=0.1)
    rng = np.random.default_rng(5)
    drawn = steps.draw((3, 4), rng)
    up = rng.random((3, 4)) < 0.5
    g = np.full((3, 4), 10e-6)
    moved = steps.pulse(g, up, drawn, rng) - g
    np.testing.assert_array_equal(moved > 0, up)
    np.testing.assert_allclose(np.abs(moved), np.where(up, drawn["up_s"], drawn["down_s"]))


def test_noise_scale_zero_is_one_device_like_the_next() -> None:
    for steps in (_linear("reram-hfo2-gong-2022").scaled(0.0), _exponential(cycle=5.0, step_dtod=0.2).scaled(0.0)):
        g = np.linspace(20e-6, 90e-6, 7) if isinstance(steps, LinearStep) else np.linspace(1e-6, 19e-6, 7)
        np.testing.assert_array_equal(_move(steps, g, True, seed=1), _move(steps, g, True, seed=2))
        assert steps.write_noise == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zero_s": 30e-6}, "expected 0 <= g_min_s <= zero_s <= g_max_s"),
        ({"g_min_s": -1e-6}, "expected 0 <= g_min_s"),
        ({"step_s": 0.0}, "step_s is 0.0 S"),
        ({"cycle": -0.1}, "cycle is -0.1"),
        ({"gamma_dtod": -1.0}, "gamma_dtod is -1.0"),
    ],
)
def test_impossible_steps_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _fit(**changes)


def test_every_spread_is_scaled() -> None:
    for kind in (LinearStep, ExpStep, PulsedDevice):
        names = {name for name in kind.__dataclass_fields__ if name.endswith("_dtod")} | {"cycle", "write_noise"}
        assert names == set(kind.SPREADS)


@pytest.mark.parametrize(("name", "share"), [("reram-hfo2-gong-2022", 0.355), ("reram-gong-2018", 0.229)])
def test_a_lower_bound_below_zero_is_cut_as_the_preset_says(name: str, share: float) -> None:
    """low = zero - d |1 + s N| is below 0 S where N is beyond +-(zero / d -+ 1) / s, with d = zero - g_min."""
    device = preset(name)
    steps = device.pulses
    assert isinstance(steps, PulsedDevice)
    distance_s, s = steps.zero_s - steps.g_min_s, steps.g_min_dtod
    edge = steps.zero_s / distance_s
    beyond = (-edge - 1) / s, (edge - 1) / s
    cut = float(ndtr(beyond[0]) + ndtr(-beyond[1]))
    # of what is not cut: zero - d (1 + s N) between the edges, folded back where 1 + s N is negative
    fold = -1 / s
    mean_s = 0.0
    for sign, low, high in ((-1.0, beyond[0], fold), (1.0, fold, beyond[1])):
        held = float(ndtr(high) - ndtr(low))
        moment = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi)
        mean_s += steps.zero_s * held - sign * distance_s * (held + s * moment)
    low_s = steps.draw((SAMPLES,), np.random.default_rng(5))["low_s"]
    assert cut == pytest.approx(share, abs=6e-4)
    assert (low_s == 0).mean() == pytest.approx(cut, abs=4 * np.sqrt(cut * (1 - cut) / SAMPLES))
    assert low_s.mean() == pytest.approx(mean_s, abs=4 * low_s.std() / np.sqrt(SAMPLES))
    assert f"{100 * cut:.1f} % of the devices" in device.assumed
    assert f"mean lower bound is {mean_s * 1e6:.1f} uS" in device.assumed
