"""Every preset against its paper: a million devices at ten conductances have the published mean and spread.

Laws are held against the formulas of `helpers.published_devices` before an array cuts conductances off at zero; the
slow tests do the same with whole arrays and reads of tiles.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from helpers.published_devices import DAY, HOUR, MONTH, PUBLISHED, SECOND, Law, Published
from numpy.typing import NDArray
from scipy.special import ndtr

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device_array import program
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.retention import Broadening, PowerLawDrift
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.tile import Tile

SAMPLES = 1_000_000


@pytest.fixture(scope="module")
def normals() -> NDArray[np.float64]:
    return np.random.default_rng(11).standard_normal(SAMPLES)


def _grid(published: Published) -> NDArray[np.float64]:
    return np.linspace(*published.range_us, 10)


def _agree(samples: NDArray[np.float64], mean_us: float, sigma_us: float) -> None:
    """Mean and spread of samples in siemens; the mean of a million is only known to sigma / 1000."""
    assert samples.std() * 1e6 == pytest.approx(sigma_us, rel=0.02, abs=1e-12)
    assert samples.mean() * 1e6 == pytest.approx(mean_us, rel=1e-9, abs=5 * sigma_us / sqrt(SAMPLES) + 1e-12)


def _thermal(decay: float, mean: float, sigma: float) -> float:
    """E[exp(-decay |N(mean, sigma)|)]."""
    if sigma == 0:
        return exp(-decay * abs(mean))
    half = decay**2 * sigma**2 / 2
    near = exp(half - decay * mean) * ndtr(mean / sigma - decay * sigma)
    return float(near + exp(half + decay * mean) * ndtr(-mean / sigma - decay * sigma))


def test_the_table_covers_every_preset() -> None:
    assert set(PUBLISHED) == set(PRESETS)
    for name, device in PRESETS.items():
        assert device.name == name
        assert device.source


@pytest.mark.parametrize("name", PUBLISHED)
def test_range_and_longest_time(name: str) -> None:
    device, published = preset(name), PUBLISHED[name]
    assert (device.g_min_s * 1e6, device.g_max_s * 1e6) == pytest.approx(published.range_us)
    assert (0.0 if device.retention is None else device.retention.longest_s) == published.longest


@pytest.mark.parametrize("name", PUBLISHED)
def test_laws_are_the_published_ones_to_the_last_digit(name: str) -> None:
    device, published = preset(name), PUBLISHED[name]
    grid = _grid(published)
    target = grid * 1e-6

    def same(values: NDArray[np.float64], law: Law, unit: float = 1e-6) -> None:
        np.testing.assert_allclose(values, [law(g) * unit for g in grid], rtol=1e-6, atol=1e-18)

    same(device.programming(target), published.programming)
    same(device.fresh(target), published.fresh)
    if published.drift is not None:
        assert isinstance(device.retention, PowerLawDrift)
        same(device.retention.nu_mean(target), published.drift[0], 1.0)
        same(device.retention.nu_sigma(target), published.drift[1], 1.0)
        assert device.retention.t0_s == published.drift[2]
    if published.flicker is not None:
        assert device.flicker is not None
        same(device.flicker.relative(target), published.flicker[0], 1.0)
    if isinstance(device.retention, Broadening):
        assert published.moments is not None
        for seconds, moments in published.moments.items():
            mean, sigma = device.retention.moments(target, seconds)
            same(mean, lambda g, moments=moments: moments(g)[0])  # type: ignore[misc]
            same(sigma, lambda g, moments=moments: moments(g)[1])  # type: ignore[misc]


@pytest.mark.parametrize("name", PUBLISHED)
def test_spread_of_programming_and_of_a_read(name: str, normals: NDArray[np.float64]) -> None:
    device, published = preset(name), PUBLISHED[name]
    target = _grid(published) * 1e-6
    programming, fresh = device.programming(target), device.fresh(target)
    for i, g in enumerate(_grid(published)):
        _agree(target[i] + programming[i] * normals, g, published.programming(g))
        _agree(fresh[i] * normals, 0.0, published.fresh(g))


@pytest.mark.parametrize("name", [name for name, published in PUBLISHED.items() if published.drift])
def test_power_law_drift(name: str, normals: NDArray[np.float64]) -> None:
    device, published = preset(name), PUBLISHED[name]
    assert published.drift is not None
    assert device.retention is not None
    mean_nu, sigma_nu, t0 = published.drift
    rng = np.random.default_rng(12)
    for g in _grid(published):
        target = np.full(SAMPLES, g * 1e-6)
        programmed = target + device.programming(target) * normals
        nu = device.retention.draw(target, rng)
        mu, s, sigma = mean_nu(g), sigma_nu(g), published.programming(g)
        folded = s * sqrt(2 / np.pi) * exp(-((mu / s) ** 2) / 2) + mu * (1 - 2 * ndtr(-mu / s)) if s else mu
        assert nu.mean() == pytest.approx(folded, rel=0.02)
        assert nu.std() == pytest.approx(sqrt(max(mu**2 + s**2 - folded**2, 0)), rel=0.02)
        for seconds in (SECOND, HOUR, DAY, MONTH):
            decay = log((seconds + t0) / t0)
            once, twice = _thermal(decay, mu, s), _thermal(2 * decay, mu, s)
            now = device.retention.conductance(target, programmed, nu, seconds)
            _agree(now, g * once, sqrt(max((g**2 + sigma**2) * twice - (g * once) ** 2, 0)))


@pytest.mark.parametrize("name", [name for name, published in PUBLISHED.items() if published.moments])
def test_mean_and_spread_by_time(name: str, normals: NDArray[np.float64]) -> None:
    device, published = preset(name), PUBLISHED[name]
    assert published.moments is not None
    assert device.retention is not None
    rng = np.random.default_rng(13)
    for g in _grid(published):
        target = np.full(SAMPLES, g * 1e-6)
        programmed = target + device.programming(target) * normals
        drawn = device.retention.draw(target, rng)
        for seconds, moments in published.moments.items():
            _agree(device.retention.conductance(target, programmed, drawn, seconds), *moments(g))


@pytest.mark.parametrize("name", PUBLISHED)
def test_flicker(name: str, normals: NDArray[np.float64]) -> None:
    device, published = preset(name), PUBLISHED[name]
    if published.flicker is None:
        assert device.flicker is None
        return
    assert device.flicker is not None
    relative, read, start = published.flicker
    target = _grid(published) * 1e-6
    for seconds in (SECOND, HOUR, DAY, MONTH):
        # some of the conductance is lost: the amplitude follows, the share does not
        sigma = device.flicker.sigma_s(target, 0.8 * target, seconds)
        grown = sqrt(log((seconds + start + read) / (2 * read)))
        for i, g in enumerate(_grid(published)):
            _agree(sigma[i] * normals, 0.0, 0.8 * g * relative(g) * grown)


def _cut(mean: float, sigma: float) -> tuple[float, float]:
    """First and second moment of max(0, N(mean, sigma))."""
    if sigma == 0:
        return mean, mean**2
    share, density = float(ndtr(mean / sigma)), exp(-((mean / sigma) ** 2) / 2) / sqrt(2 * np.pi)
    return mean * share + sigma * density, (mean**2 + sigma**2) * share + mean * sigma * density


def _close(samples: NDArray[np.float64], moments: tuple[float, float]) -> None:
    """First two moments of samples in siemens, given in microsiemens."""
    spread = sqrt(max(moments[1] - moments[0] ** 2, 0.0))
    _agree(samples, moments[0], spread)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_million_programmed_devices_drift_and_flicker_as_published(name: str) -> None:
    device, published = preset(name), PUBLISHED[name]
    ages = [seconds for seconds in (HOUR, DAY, MONTH) if seconds <= published.longest]
    for index, g in enumerate(_grid(published)):
        array = program(np.full(SAMPLES, g * 1e-6), device, np.random.default_rng([31, index]))
        sigma = published.programming(g)
        written = _cut(g, sigma)
        _close(array.conductance_s(), written)
        for seconds in ages:
            now = array.at(seconds).conductance_s()
            if published.drift is not None:
                decay = log((seconds + published.drift[2]) / published.drift[2])
                nu, spread = published.drift[0](g), published.drift[1](g)
                kept = [_thermal(power * decay, nu, spread) for power in (1, 2)]
                _close(now, (written[0] * kept[0], written[1] * kept[1]))
            elif published.moments is not None and seconds in published.moments:
                mean, total = published.moments[seconds](g)
                if mean > 5 * total and g > 5 * sigma:  # nothing is cut off
                    _agree(now, mean, total)
            if published.flicker is not None and g > 5 * sigma:
                relative, read, start = published.flicker
                grown = relative(g) * sqrt(log((seconds + start + read) / (2 * read)))
                if grown < 0.2:
                    ratio = array.at(seconds).settling_s(np.random.default_rng([32, index])) / now
                    _agree(ratio * 1e-6, 1.0, grown)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_million_reads_of_a_tile_are_as_noisy_as_published(name: str) -> None:
    """Ten weights of one row at full voltage, each a pair with one device at the lower end."""
    published = PUBLISHED[name]
    device = replace(preset(name), programming=ConstantCurve(0.0), nonlinearity=None)
    grid, (low, high) = _grid(published), published.range_us
    design = Design(rows=1, columns=20, input_bits=None, adc_bits=None)
    tile = Tile((grid[:, None] - low) / (high - low), 1.0, design, device, noise_seed=(33,), dtype=torch.float64)
    reads = (tile @ torch.ones(1, SAMPLES, dtype=torch.float64)).numpy() * (high - low)
    for g, read in zip(grid, reads, strict=True):
        _agree(read * 1e-6, g - low, sqrt(published.fresh(g) ** 2 + published.fresh(low) ** 2))


def test_current_and_voltage_of_milo() -> None:
    law = preset("reram-milo-2021").nonlinearity
    assert law is not None
    g = np.array([50e-6, 62.5e-6, 76.2e-6, 93.9e-6, 110e-6, 225e-6])
    second = np.polyval([0.0001388, 0.001541, 0.005711, 0.007063], np.log10(g))
    third = np.polyval([8.8710e-05, 6.7919e-04, 1.2968e-03], np.log10(g))
    np.testing.assert_allclose(law.second(g), second, rtol=1e-9)
    np.testing.assert_allclose(law.third(g), third, rtol=1e-9)
    assert law.largest_v == 0.5


def test_hfo2_and_ecram_are_made_of_the_published_steps() -> None:
    gong, lithium, oxide = (preset(name).pulses for name in ("reram-hfo2-gong-2022", "li-ecram-2018", "mo-ecram-2019"))
    # (g_max - g_min) / step: 4, 1000 and 7000 steps
    assert 90e-6 / gong.step_s == pytest.approx(2 / 0.4622)  # type: ignore[union-attr]
    assert 18e-6 / lithium.step_s == pytest.approx(1000)  # type: ignore[union-attr]
    assert 18e-6 / oxide.step_s == pytest.approx(2 / 2.8214e-4)  # type: ignore[union-attr]
    assert (lithium.zero_s - 2e-6) / 18e-6 == pytest.approx(0.8276 / 2)  # type: ignore[union-attr]
    assert (oxide.zero_s - 2e-6) / 18e-6 == pytest.approx(0.8286 / 2)  # type: ignore[union-attr]
