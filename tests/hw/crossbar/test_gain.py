"""Gains against drift, each against a closed form or least squares on what is computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, uniform_drift
from helpers.gain_examples import DAY_S, DRIFTING, HOUR_S, YEAR_S, best, drawn, gain_of
from numpy.typing import NDArray

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Flicker
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.retention import PowerLawDrift
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.gain import read_back
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter


@pytest.mark.parametrize("design", [EXACT, Design()], ids=["exact", "8 bits"])
def test_what_should_be_off_moves_no_gain(design: Design) -> None:
    """Without noise, a day: one weight of 0.1 and one of 0, whose devices hold their lower ends, and drift."""
    matrix = TiledMatrix(
        np.array([[0.1, 0.0]]),
        Fabrication(preset("reram-cmo-hfox-2").noisy(0), replace(design, encoding="pair")),
        largest=1.0,
    )
    matrix.age(DAY_S)
    matrix.compensate()
    assert gain_of(matrix) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(matrix.shown(), [[0.1, 0.0]], atol=1e-7)
    matrix = TiledMatrix(
        np.array([[0.1, 0.0]]),
        Fabrication(preset("pcm-hermes-2023-1").noisy(0), replace(design, encoding="balanced")),
        largest=1.0,
    )
    matrix.age(DAY_S)
    matrix.compensate()
    x = np.array([0.55, 0.45])
    kept = ((DAY_S + 200) / 200) ** -(-0.0436 * x**2 - 0.0126 * x + 0.0736)  # Le Gallo 2023, one device
    assert gain_of(matrix) == pytest.approx(0.1 / (x[0] * kept[0] - x[1] * kept[1]), rel=1e-6)
    assert gain_of(matrix) == pytest.approx(1.2021, abs=5e-5)


@pytest.mark.parametrize("encoding", ["pair", "balanced", "offset"])
@pytest.mark.parametrize("name", DRIFTING)
def test_the_gain_is_the_best_one_of_what_a_link_computes(name: str, encoding: str) -> None:
    """Within 1 % of least squares, its own noise included, an hour, a day and a year after programming."""
    device = preset(name)
    for kind in ("gauss", "laplace", "sparse"):
        matrix = TiledMatrix(drawn(kind), Fabrication(device, Design(encoding=encoding), seed=(3,), noise_seed=(4,)))
        once = matrix.stored()
        for seconds in (HOUR_S, DAY_S, YEAR_S):
            if seconds <= device.retention.longest_s:
                matrix.age(seconds)
                matrix.compensate()
                right = best(once, matrix.stored())
                assert gain_of(matrix) == pytest.approx(right, rel=0.01), (kind, seconds)


def test_total_conductance_was_not_the_best_gain() -> None:
    """What was compensated once, 128 x 128 Gaussian weights, phase-change memory, a day: 2 % too much."""
    matrix = TiledMatrix(drawn("gauss", (128, 128)), Fabrication(preset("pcm-nandakumar-2019"), EXACT))
    once, total = matrix.stored(), sum(tile.array.conductance_s().sum() for tile in matrix.tiles)
    matrix.age(DAY_S)
    total /= sum(tile.array.conductance_s().sum() for tile in matrix.tiles)
    matrix.compensate()
    right = best(once, matrix.stored())
    assert total / right - 1 == pytest.approx(0.02, abs=0.006)
    assert gain_of(matrix) == pytest.approx(right, rel=0.002)


def test_noise_of_the_reads_moves_no_gain_on_average() -> None:
    """Fresh and slow noise of half the weights: the mean over 60 links is right within 3 standard errors."""
    noisy = replace(
        uniform_drift(0.05),
        fresh=ConstantCurve(0.1 * IDEAL.g_max_s),
        flicker=Flicker(ConstantCurve(0.05), read_s=1e-7, start_s=1.0),
    )
    weight = 0.3 * np.random.default_rng(0).choice([-1.0, 1.0], (12, 20))
    gains = []
    for seed in range(60):
        matrix = TiledMatrix(
            weight, Fabrication(noisy, replace(EXACT, encoding="balanced"), noise_seed=(seed, 1)), largest=1.0
        )
        matrix.age(990.0)
        matrix.compensate()
        gains.append(gain_of(matrix))
    error = np.std(gains) / np.sqrt(60)
    assert np.mean(gains) == pytest.approx(100**0.05, abs=3 * error)
    # the test has teeth: squares of single reads count their noise as signal
    assert error < 0.01
    read = np.stack([read_back(matrix.tiles[0], np.random.default_rng(seed)) for seed in range(20)])
    assert (read**2).sum() / (20 * (matrix.stored() ** 2).sum()) > 1.1
    np.testing.assert_allclose(read.mean(axis=0), matrix.stored(), atol=5 * read.std() / np.sqrt(20))


@pytest.mark.parametrize("name", DRIFTING)
def test_where_nothing_was_lost_nothing_is_scaled(name: str) -> None:
    """At once, exactly; and a link that does not stand out of the noise of its reads is left alone."""
    matrix = TiledMatrix(drawn("laplace", (9, 14)), Fabrication(preset(name), Design(rows=10)))
    matrix.age(0.0)
    matrix.compensate()
    assert gain_of(matrix) == 1.0
    silent = replace(preset(name).noisy(1.0), programming=ConstantCurve(0.0), retention=uniform_drift(0.0).retention)
    matrix = TiledMatrix(np.zeros((9, 14)), Fabrication(silent, Design(rows=10, encoding="balanced")))
    matrix.age(HOUR_S)
    matrix.compensate()
    assert gain_of(matrix) == 1.0


def test_a_gain_is_never_worse_than_none_by_more_than_its_noise() -> None:
    """Devices that lose nothing, and are read with as much noise as one weight in ten is large: 40 links."""
    noisy = replace(uniform_drift(0.0), fresh=ConstantCurve(0.1 * IDEAL.g_max_s))
    gains = []
    for seed in range(40):
        matrix = TiledMatrix(drawn("sparse", (16, 20)), Fabrication(noisy, EXACT, noise_seed=(seed, 1)))
        matrix.age(HOUR_S)
        matrix.compensate()
        gains.append(gain_of(matrix))
    # a read sees 20 weights of two devices each, a weight is the mean of 32 patterns and 16 reads, both then and now
    power = np.square(drawn("sparse", (16, 20))).sum()
    assert np.std(gains) == pytest.approx(np.sqrt(2 * (20 * 2 * 0.1**2 / 32 / 16) / power), rel=0.3)
    assert np.mean(gains) == pytest.approx(1.0, abs=4 * np.std(gains) / np.sqrt(40))


@pytest.mark.parametrize("bits", [4, 6, 8, None])
@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_converters_with_few_steps_and_offsets_of_their_own(encoding: str, bits: int | None) -> None:
    design = Design(
        rows=20,
        encoding=encoding,
        input_bits=None if bits is None else 1,
        adc_bits=bits,
        dac_gain_sigma=0.1,
        adc_gain_sigma=0.1,
        adc_offset_sigma=0.1,
    )
    matrix = TiledMatrix(drawn("laplace", (30, 50)), Fabrication(uniform_drift(0.05), design, noise_seed=(7,)))
    matrix.age(990.0)
    matrix.compensate()
    assert gain_of(matrix) == pytest.approx(100**0.05, rel=1e-5 if bits is None else 0.01)


def test_weights_in_slices_have_one_gain() -> None:
    design = replace(EXACT, weight_bits=5, cell_bits=2, rows=9)
    matrix = TiledMatrix(drawn("gauss", (6, 14)), Fabrication(preset("pcm-hermes-2023-1").noisy(0), design))
    once = matrix.stored()
    matrix.age(DAY_S)
    matrix.compensate()
    assert gain_of(matrix) == pytest.approx(best(once, matrix.stored()), rel=1e-5)


def stepped() -> tuple[TiledMatrix, NDArray[np.float64]]:
    """Columns of weights +-0.2 to +-1, whose devices drift with nu = 0.1 - 0.05 g / g_max, and their gains at 990 s."""
    law = PowerLawDrift(Polynomial((0.1, -0.05), reference_s=IDEAL.g_max_s), ConstantCurve(0.0), t0_s=10.0)
    sizes = np.array([0.2, 0.5, 0.7, 1.0])
    weight = sizes[:, None] * np.random.default_rng(1).choice([-1.0, 1.0], (4, 7))
    return TiledMatrix(weight, Fabrication(replace(IDEAL, retention=law), replace(EXACT, rows=4))), 100 ** (
        0.1 - 0.05 * sizes
    )


def test_every_column_can_have_its_own_gain() -> None:
    matrix, gains = stepped()
    weight, rng = matrix.stored(), np.random.default_rng(2)
    matrix.age(990.0)
    matrix.compensate(by_column=True)
    np.testing.assert_allclose(matrix.gain.total, gains, rtol=1e-5)
    below, above = (torch.as_tensor(rng.random((5, count)), dtype=torch.float32) for count in (7, 4))
    np.testing.assert_allclose(matrix.up(below)[0], below.numpy() @ weight.T, atol=1e-5)
    np.testing.assert_allclose(matrix.down(above)[0], above.numpy() @ weight, atol=1e-5)
    np.testing.assert_allclose(matrix.shown(), weight, atol=1e-6)
    matrix.compensate()  # least squares of all of them
    assert gain_of(matrix) == pytest.approx(best(weight, matrix.stored()), rel=1e-5)
    # what is written then is worth as much in every column
    matrix.compensate(by_column=True)
    RewritingWriter(Rewriting(0.0), matrix, rng).move(np.where(np.arange(4)[:, None] > 0, -0.1 * weight, 0.0))
    np.testing.assert_allclose(matrix.shown(), np.where(np.arange(4)[:, None] > 0, 0.9, 1.0) * weight, atol=1e-6)


def test_a_silent_column_has_the_gain_of_its_link() -> None:
    matrix = TiledMatrix(np.array([[0.5, -1.0], [0.0, 0.0]]), Fabrication(uniform_drift(0.05), EXACT))
    matrix.age(990.0)
    matrix.compensate(by_column=True)
    np.testing.assert_allclose(matrix.gain.total, [100**0.05] * 2, rtol=1e-6)
