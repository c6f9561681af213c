"""Arrays of devices: reproducible, drifting coherently, never negative, with stuck devices that stay stuck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.crossbar_examples import IDEAL, uniform_drift

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device import Telegraph, Temperature
from hw.crossbar.devices.device_array import program, reprogram
from hw.crossbar.devices.presets import preset

PCM = preset("pcm-nandakumar-2019")


def grid(device, count=100_000):
    return np.linspace(device.g_min_s, device.g_max_s, count)


def test_a_seed_gives_one_array_and_another_seed_another():
    one, same, other = (program(grid(PCM), PCM, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for seconds in (0.0, 60.0, 86400.0):
        np.testing.assert_array_equal(one.at(seconds).conductance_s(), same.at(seconds).conductance_s())
    assert np.corrcoef(one.programmed_s - grid(PCM), other.programmed_s - grid(PCM))[0, 1] == pytest.approx(0, abs=0.02)


def test_an_array_drifts_as_one_piece_whatever_was_read_before():
    array = program(grid(PCM), PCM, np.random.default_rng(0))
    direct = array.at(86400.0).conductance_s()
    np.testing.assert_array_equal(array.at(60.0).at(3600.0).at(86400.0).conductance_s(), direct)
    # every device falls for good: its own exponent, the same at all times
    alive = array.conductance_s() > 0
    start, early, later = (now[alive] for now in (array.conductance_s(), array.at(3600.0).conductance_s(), direct))
    assert (later <= early).all()
    exponents = np.log(start / early) / np.log(3620 / 20)
    again = np.log(early / later) / np.log(86420 / 3620)
    np.testing.assert_allclose(exponents, again, atol=1e-9)


def test_no_conductance_is_negative_at_any_time():
    device = PCM.noisy(10.0)
    array = program(grid(device), device, np.random.default_rng(0))
    assert array.programmed_s.min() == 0.0
    assert array.at(3600.0).settling_s(np.random.default_rng(1)).min() == 0.0


def test_stuck_devices_have_their_share_and_follow_nothing():
    device = replace(PCM, stuck_on=0.03, stuck_off=0.1)
    count = 400_000
    array = program(np.full(count, 1e-5), device, np.random.default_rng(0))
    on, off = array.stuck_s == device.g_max_s, array.stuck_s == device.g_min_s
    for found, share in ((on, 0.03), (off, 0.1)):
        assert found.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / count))
    for now in (
        array.conductance_s(),
        array.at(1e6).conductance_s(),
        array.at(1e6).settling_s(np.random.default_rng(1)),
    ):
        assert (now[on] == device.g_max_s).all()
        assert (now[off] == device.g_min_s).all()


def test_slow_noise_is_drawn_for_a_settle_and_has_the_published_spread():
    device = replace(PCM, programming=ConstantCurve(0.0))
    array = program(np.full(300_000, 1e-5), device, np.random.default_rng(0)).at(3600.0)
    settles = [array.settling_s(np.random.default_rng(seed)) / array.conductance_s() - 1 for seed in (1, 1, 2)]
    np.testing.assert_array_equal(settles[0], settles[1])
    assert np.corrcoef(settles[0], settles[2])[0, 1] == pytest.approx(0, abs=0.01)
    # Nandakumar 2019: Q = 0.0088 / x**0.65 with x = 10 / 25 uS, reads of 250 ns, time from the last pulse, 20 s before
    expected = 0.0088 / 0.4**0.65 * np.sqrt(np.log((3620 + 250e-9) / 500e-9))
    assert settles[0].std() == pytest.approx(expected, rel=0.02)


def test_telegraph_noise_moves_its_share_of_devices_half_a_step_either_way():
    device = replace(IDEAL, telegraph=Telegraph(share=0.2, relative=0.1))
    array = program(np.full(200_000, 1e-5), device, np.random.default_rng(0))
    moved = array.settling_s(np.random.default_rng(1)) / 1e-5 - 1
    levels, counts = np.unique(np.round(moved, 9), return_counts=True)
    np.testing.assert_allclose(levels, [-0.05, 0.0, 0.05])
    np.testing.assert_allclose(counts / 200_000, [0.1, 0.8, 0.1], atol=0.004)


def test_temperature_follows_arrhenius():
    device = replace(IDEAL, temperature=Temperature(activation_ev=0.1, reference_k=300.0))
    array = program(np.full(3, 1e-5), device, np.random.default_rng(0))
    np.testing.assert_allclose(array.at(0.0, 300.0).conductance_s(), 1e-5)
    # exp(0.1 eV / (8.617e-5 eV/K) * (1/300 - 1/350)) = exp(0.5526)
    np.testing.assert_allclose(array.at(0.0, 350.0).conductance_s(), 1e-5 * np.exp(0.55262), rtol=1e-4)
    for kelvin in (0.0, -5.0, np.nan):
        with pytest.raises(ValueError, match=r"temperature is .* expected"):
            array.at(0.0, kelvin)
    # a stuck device conducts by the same law, also during a settle
    stuck = program(np.full(3, 1e-5), replace(device, stuck_on=1.0), np.random.default_rng(0)).at(0.0, 350.0)
    np.testing.assert_allclose(stuck.conductance_s(), device.g_max_s * np.exp(0.55262), rtol=1e-4)
    np.testing.assert_array_equal(stuck.settling_s(np.random.default_rng(1)), stuck.conductance_s())


def test_drift_of_one_exponent_is_exact():
    array = program(np.array([1e-6, 2e-5]), uniform_drift(0.06), np.random.default_rng(0))
    np.testing.assert_allclose(array.at(90.0).conductance_s(), [1e-6 * 10**-0.06, 2e-5 * 10**-0.06], rtol=1e-12)


@pytest.mark.parametrize("target", [-1e-9, 25.1e-6, np.nan])
def test_conductance_outside_the_range_is_refused(target):
    with pytest.raises(
        ValueError, match=r"conductance .* cannot be programmed: pcm-nandakumar-2019 holds 0 S to 2.5e-05 S"
    ):
        program(np.array([1e-5, target]), PCM, np.random.default_rng(0))


def test_times_without_a_published_law_are_refused():
    array = program(grid(PCM, 5), PCM, np.random.default_rng(0))
    for seconds in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="0 s or more"):
            array.at(seconds)
    joshi = preset("pcm-joshi-2020")
    with pytest.raises(ValueError, match=r"3600.0 s: for pcm-joshi-2020 retention is published for 0 s to 0 s only"):
        program(grid(joshi, 5), joshi, np.random.default_rng(0)).at(3600.0)
    with pytest.raises(ValueError, match="one temperature"):
        array.at(0.0, 350.0)


def test_an_array_cannot_be_read_before_its_devices_were_written():
    array = program(grid(PCM, 5), PCM, np.random.default_rng(0)).at(100.0)
    where = np.array([True, False, False, False, True])
    changed = reprogram(array, grid(PCM, 5), where, np.random.default_rng(1))
    np.testing.assert_array_equal(changed.conductance_s()[where], changed.programmed_s[where])
    later = changed.at(180.0)  # 80 s after the second writing, 180 s after the first
    for index, elapsed in ((0, 80.0), (4, 80.0), (1, 180.0)):
        alone = program(grid(PCM, 5), PCM, np.random.default_rng(0))
        alone = replace(alone, programmed_s=changed.programmed_s, drawn=changed.drawn).at(elapsed)
        assert later.conductance_s()[index] == alone.conductance_s()[index]
    with pytest.raises(ValueError, match=r"time is 99\.0 s: devices of this die were written 100 s after programming"):
        changed.at(99.0)


def test_noise_scale_zero_leaves_the_mean_only():
    device = PCM.noisy(0.0)
    array = program(grid(device, 50), device, np.random.default_rng(0))
    np.testing.assert_array_equal(array.conductance_s(), grid(device, 50))
    np.testing.assert_array_equal(
        array.at(60.0).settling_s(np.random.default_rng(1)), array.at(60.0).settling_s(np.random.default_rng(2))
    )
    assert (array.at(60.0).conductance_s()[1:] < array.conductance_s()[1:]).all()
    with pytest.raises(ValueError, match="noise scale is -1"):
        PCM.noisy(-1)
