"""Write-verify: devices end where they should, in as many pulses as their response takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL

from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.tiles.tile import Tile

STEP = LinearStep(g_min_s=0.0, g_max_s=25e-6, zero_s=12.5e-6, step_s=1e-7, voltage_v=2.0, width_s=1e-7)


def test_equal_steps_take_the_pulses_that_arithmetic_says():
    device, target = replace(IDEAL, pulses=STEP), np.array([0.0, 5.02e-6, 25e-6])
    array = WriteVerify(tolerance=0.0019)(target, device, np.random.default_rng(0))
    # 5.02 uS from 0 in steps of 0.1 uS, done within 0.0475 uS: 50 pulses; 25 uS: 250
    np.testing.assert_allclose(array.programmed_s, [0.0, 5.0e-6, 25e-6], atol=1e-12)
    assert array.events.pulses == 300
    assert array.events.verify_reads == 300 + 3
    # V**2 t (G_before + G_after) / 2 along both ramps: 4 V**2 x 100 ns x sum
    ramp = sum((k + 0.5) * 1e-7 for k in range(50)) + sum((k + 0.5) * 1e-7 for k in range(250))
    assert array.events.energy_j == pytest.approx(4 * 1e-7 * ramp)
    assert array.events.given_up == 0
    # 50 pulses are as many as the second device needs, but nobody reads it after the last
    few = WriteVerify(tolerance=0.0019, most_pulses=50)(target, device, np.random.default_rng(0)).events
    assert (few.pulses, few.given_up) == (100, 2)
    assert (array.events + few).given_up == 2


def test_every_device_is_told_its_pulses():
    """Up from the lower end in equal steps, and down again where a noisy read took it too far."""
    device, target = replace(IDEAL, pulses=STEP), np.array([[0.0, 5.02e-6, 25e-6]])
    _, pulses = WriteVerify(tolerance=0.0019).write(target, device, np.random.default_rng(0))
    np.testing.assert_array_equal(pulses.up, [[0, 50, 250]])
    np.testing.assert_array_equal(pulses.down, [[0, 0, 0]])
    assert not pulses.given_up.any()
    noisy = replace(IDEAL, stuck_off=0.2, pulses=replace(STEP, cycle=2.0))
    array, pulses = WriteVerify(tolerance=0.01, most_pulses=500).write(
        np.full((20, 30), 1e-5), noisy, np.random.default_rng(1)
    )
    assert (pulses.up + pulses.down).sum() == array.events.pulses
    np.testing.assert_array_equal(pulses.given_up, ~np.isnan(array.stuck_s))
    assert (pulses.up + pulses.down)[pulses.given_up].min() == 500
    assert pulses.down[~pulses.given_up].max() > 0
    # without a spread from pulse to pulse, pulses sent blindly end where these did
    steps = replace(IDEAL, pulses=replace(STEP, step_dtod=0.2))
    array, pulses = WriteVerify(tolerance=0.02).write(np.full(50, 1e-5), steps, np.random.default_rng(1))
    np.testing.assert_allclose(array.programmed_s, array.steps["up_s"] * pulses.up, rtol=1e-12)


def test_noisy_steps_end_within_the_tolerance():
    device = replace(IDEAL, pulses=replace(STEP, cycle=1.0, step_dtod=0.1, gamma_up=0.5, gamma_down=0.5))
    target = np.random.default_rng(1).uniform(0, 20e-6, 5000)
    array = WriteVerify(tolerance=0.01, most_pulses=2000)(target, device, np.random.default_rng(0))
    assert np.abs(array.programmed_s - target).max() <= 0.01 * 25e-6
    assert array.events.energy_j > 0


def test_reads_of_the_verify_are_noisy():
    """With a read noise above the tolerance devices are accepted by luck: the error is that of the reads."""
    from hw.crossbar.devices.curves import ConstantCurve

    device = replace(IDEAL, pulses=STEP, fresh=ConstantCurve(5e-7))
    array = WriteVerify(tolerance=0.004)(np.full(3000, 1e-5), device, np.random.default_rng(0))
    error = array.programmed_s - 1e-5
    assert 2e-7 < error.std() < 1.2e-6


def test_stuck_devices_waste_every_pulse():
    device = replace(IDEAL, pulses=STEP, stuck_off=1.0)
    array = WriteVerify(most_pulses=40)(np.full(10, 1e-5), device, np.random.default_rng(0))
    assert (array.conductance_s() == 0).all()
    assert array.events.pulses == 400
    assert array.events.given_up == 10


@pytest.mark.parametrize("name", ["li-ecram-2018", "mo-ecram-2019"])
def test_presets_with_a_pulse_response_can_hold_a_matrix(name):
    weight = np.random.default_rng(0).uniform(-0.9, 0.9, (5, 7))
    device = preset(name)
    tile = Tile(weight, 1.0, EXACT, device, programming=WriteVerify(tolerance=0.01, most_pulses=20_000))
    assert np.abs(tile.up.weight.numpy() - weight).max() < 0.021 + 6 * float(
        device.fresh(np.array([device.g_max_s]))[0]
    )
    assert tile.array.events.energy_j is None  # no pulse voltage is published


def test_what_cannot_be_written_is_refused():
    with pytest.raises(ValueError, match=r"pcm-nandakumar-2019 cannot be written pulse by pulse.*li-ecram-2018"):
        WriteVerify()(np.full(3, 1e-5), preset("pcm-nandakumar-2019"), np.random.default_rng(0))
    with pytest.raises(ValueError, match="tolerance is 0"):
        WriteVerify(tolerance=0)
    with pytest.raises(ValueError, match="most_pulses is 0"):
        WriteVerify(most_pulses=0)
    with pytest.raises(ValueError, match="cannot be programmed"):
        WriteVerify()(np.full(3, 1.0), replace(IDEAL, pulses=STEP), np.random.default_rng(0))
