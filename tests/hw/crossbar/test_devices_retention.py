"""Laws of retention: exact where they were measured, frozen for the life of a device, quiet at noise scale 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Array, Retention
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.retention import Broadening, LogRelaxation, PowerLawDrift

DAY = 86400.0
KEEPING = [name for name, device in PRESETS.items() if device.retention is not None]


def _programmed(name: str, factor: float = 1.0) -> tuple[Retention, Array, Array, Array]:
    device = preset(name).noisy(factor)
    rng = np.random.default_rng(3)
    target = np.linspace(device.g_min_s, device.g_max_s, 1000)
    programmed = target + device.programming(target) * rng.standard_normal(target.shape)
    assert device.retention is not None
    return device.retention, target, programmed, device.retention.draw(target, rng)


@pytest.mark.parametrize("name", KEEPING)
def test_nothing_has_happened_at_time_zero(name: str) -> None:
    law, target, programmed, drawn = _programmed(name)
    np.testing.assert_allclose(law.conductance(target, programmed, drawn, 0.0), programmed, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.filterwarnings("error")
def test_noise_scale_zero_leaves_the_mean(name: str) -> None:
    law, target, programmed, drawn = _programmed(name, 0.0)
    seconds = min(DAY, law.longest_s)
    now = law.conductance(target, programmed, drawn, seconds)
    np.testing.assert_array_equal(programmed, target)
    assert np.isfinite(now).all()
    again = law.conductance(target, programmed, law.draw(target, np.random.default_rng(99)), seconds)
    np.testing.assert_array_equal(now, again)  # no device differs from the next


@pytest.mark.parametrize("name", KEEPING)
def test_noise_scale_two_doubles_the_spread(name: str) -> None:
    device = preset(name)
    target = np.full(200_000, (device.g_min_s + device.g_max_s) / 2)
    spreads = []
    for factor in (0.5, 1.0):
        noisy, rng = device.noisy(factor), np.random.default_rng(5)
        programmed = target + noisy.programming(target) * rng.standard_normal(target.shape)
        assert noisy.retention is not None
        drawn = noisy.retention.draw(target, rng)
        spreads.append(
            noisy.retention.conductance(target, programmed, drawn, min(DAY, noisy.retention.longest_s)).std()
        )
    assert spreads[1] == pytest.approx(2 * spreads[0], rel=0.02)


@pytest.mark.parametrize("name", KEEPING)
def test_drawn_numbers_belong_to_the_generator(name: str) -> None:
    law, target, _, drawn = _programmed(name)
    np.testing.assert_array_equal(
        law.draw(target, np.random.default_rng(4)), law.draw(target, np.random.default_rng(4))
    )
    assert drawn.shape == target.shape


@pytest.mark.parametrize("name", ["reram-wan-2022-aihwkit", "sonos-2022"])
def test_broadening_starts_from_the_spread_of_programming(name: str) -> None:
    device = preset(name)
    assert isinstance(device.retention, Broadening)
    g = np.linspace(device.g_min_s, device.g_max_s, 50)
    np.testing.assert_array_equal(device.retention.moments(g, 0.0)[1], device.programming(g))


def test_a_device_keeps_its_place_while_the_distribution_broadens() -> None:
    law = Broadening(
        seconds=(1.0, 100.0),
        sigma=(ConstantCurve(1e-6), ConstantCurve(3e-6)),
        shift=(ConstantCurve(0), ConstantCurve(-2e-6)),
    )
    target = np.full(3, 10e-6)
    programmed = target + np.array([-1e-6, 0.0, 2e-6])
    drawn = law.draw(target, np.random.default_rng(0))
    np.testing.assert_allclose(law.conductance(target, programmed, drawn, 100.0), [5e-6, 8e-6, 14e-6])
    np.testing.assert_allclose(law.conductance(target, programmed, drawn, 10.0), [7e-6, 9e-6, 13e-6])  # half of ln t
    np.testing.assert_allclose(law.conductance(target, programmed, drawn, 0.5), programmed)


def test_between_in_time() -> None:
    law = Broadening(seconds=(0.0, 100.0), sigma=(ConstantCurve(1e-6), ConstantCurve(3e-6)), between="time")
    mean, sigma = law.moments(np.array([4e-6]), 25.0)
    np.testing.assert_allclose((mean[0], sigma[0]), (4e-6, 1.5e-6))


def test_where_the_first_spread_is_zero_a_device_gets_a_number_of_its_own() -> None:
    law = Broadening(seconds=(0.0, DAY), sigma=(Polynomial((0.0, 0.1)), ConstantCurve(1e-6)), between="time")
    target = np.zeros(100_000)
    drawn = law.draw(target, np.random.default_rng(1))
    assert law.conductance(target, target, drawn, DAY).std() == pytest.approx(1e-6, rel=0.02)
    assert law.scaled(0.5).conductance(target, target, drawn, DAY).std() == pytest.approx(0.5e-6, rel=0.02)
    assert law.scaled(0.0).conductance(target, target, drawn, DAY).std() == 0


def test_relaxation_grows_from_nothing_to_its_law() -> None:
    law = LogRelaxation(mean_slope_s=-1e-7, sigma_slope_s=1e-8, sigma_offset_s=4e-7, first_s=1.0, longest_s=1e6)
    one = np.ones(1)
    assert law.conductance(one, one, one, 0.5)[0] - 1 == pytest.approx(2e-7)
    assert law.conductance(one, one, one, 1.0)[0] - 1 == pytest.approx(4e-7)
    assert law.conductance(one, one, one, np.e)[0] - 1 == pytest.approx(4.1e-7 - 1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PowerLawDrift(ConstantCurve(0), ConstantCurve(0), t0_s=0.0), "expected 0 < the first"),
        (lambda: LogRelaxation(0, 1e-8, -1e-6, first_s=1.0, longest_s=9.0), "negative"),
        (lambda: Broadening((2.0, 1.0), (ConstantCurve(0), ConstantCurve(0))), "do not ascend"),
        (lambda: Broadening((1.0, 2.0), (ConstantCurve(0),)), "2 times, 1 sigmas"),
        (lambda: Broadening((0.0, 2.0), (ConstantCurve(0), ConstantCurve(0))), "no logarithm"),
        (lambda: Broadening((1.0,), (ConstantCurve(0),), between="day"), "'time' or 'log time'"),  # type: ignore[arg-type]
    ],
)
def test_impossible_laws_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_single_measurement_holds_until_it() -> None:
    law = Broadening((5.0,), (ConstantCurve(1e-6),))
    target = np.full(2, 1e-5)
    np.testing.assert_array_equal(law.conductance(target, target, np.zeros(2), 5.0), target)
    assert law.longest_s == 5.0
