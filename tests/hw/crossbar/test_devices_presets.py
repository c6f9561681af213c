"""Presets refuse what their source does not say, and spreads are spreads."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hw.crossbar.devices.presets import PRESETS, preset


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="no device is called 'pcm'") as error:
        preset("pcm")
    for name in PRESETS:
        assert name in str(error.value)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.filterwarnings("error")
def test_spreads_are_finite_and_never_negative(name: str) -> None:
    device = preset(name)
    g = np.concatenate([[0.0], np.linspace(device.g_min_s, 1.5 * device.g_max_s, 2001)])  # noise carries beyond g_max
    inside = g[(g >= device.g_min_s) & (g <= device.g_max_s)]
    assert np.isfinite(device.fresh(g)).all()
    assert (device.fresh(g) >= 0).all()
    assert (device.programming(inside) >= 0).all()
    if device.flicker is not None:
        assert (device.flicker.relative(inside) >= 0).all()
    if device.nonlinearity is not None:
        assert np.isfinite(device.nonlinearity.second(g)).all()
        assert np.isfinite(device.nonlinearity.third(g)).all()


@pytest.mark.parametrize("name", PRESETS)
def test_conductances_outside_the_range_are_refused(name: str) -> None:
    device = preset(name)
    device.check_conductance(np.array([device.g_min_s, device.g_max_s, device.g_max_s * (1 + 1e-15)]))
    for wrong in (device.g_max_s * 1.01, device.g_min_s - 0.01 * device.g_max_s, np.nan):
        with pytest.raises(ValueError, match=re.escape(f"cannot be programmed: {name} holds")):
            device.check_conductance(np.array([device.g_max_s, wrong]))


@pytest.mark.parametrize("name", PRESETS)
def test_times_the_source_does_not_cover_are_refused(name: str) -> None:
    device = preset(name)
    longest = 0.0 if device.retention is None else device.retention.longest_s
    device.check_time(0.0)
    device.check_time(min(longest, 1e9))
    with pytest.raises(ValueError, match="0 s or more"):
        device.check_time(-1.0)
    with pytest.raises(ValueError, match="0 s or more"):
        device.check_time(np.nan)
    if np.isfinite(longest):
        with pytest.raises(
            ValueError, match=re.escape(f"for {name} retention is published for 0 s to {longest:g} s only")
        ):
            device.check_time(longest + 1.0)
