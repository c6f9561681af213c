"""Gains: drift, temperature and what was written, each against a closed form or least squares on what is computed."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, uniform_drift
from numpy.typing import NDArray

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Device, Flicker, Temperature
from hw.crossbar.devices.device_array import reprogram
from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.devices.retention import PowerLawDrift
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.gain import read_back
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.update import Outer
from hw.crossbar.updates.write_back import WriteBack

HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 365 * 86_400.0
DRIFTING = [name for name, device in PRESETS.items() if device.retention is not None and name != "ideal"]
COLD_K = 250.0
COLD = np.exp(-0.1 / 8.617333262e-5 * (1 / COLD_K - 1 / 300.0))
"""What 250 K leaves of conductances with 0.1 eV that were published at 300 K."""


def best(once: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The inverse of the slope of `now` against `once`, by a solver of its own."""
    slope = np.linalg.lstsq(once.reshape(-1, 1), now.ravel(), rcond=None)[0]
    return float(1 / slope[0])


def drawn(kind: str, shape: tuple[int, int] = (64, 64)) -> NDArray[np.float64]:
    """Weights up to 1 of many sizes, more small ones, or nine of ten 0."""
    rng = np.random.default_rng(5)
    weight = rng.laplace(size=shape) if kind == "laplace" else rng.normal(size=shape)
    if kind == "sparse":
        weight *= rng.random(shape) < 0.1
    return np.asarray(weight / np.abs(weight).max())


def gain_of(matrix: TiledMatrix) -> float:
    """Of a link that has one."""
    (gain,) = matrix.gain.total
    return float(gain)


def warm(device: Device) -> Device:
    return replace(device, temperature=Temperature(0.1, 300.0))


# drift


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
    """Within 1 % of least squares, and its own noise, an hour, a day and a year after programming.

    Every column shares the slow noise of one reference in "offset": what is read back of phase-change memory is then
    0.5 to 2 % off by itself, else less than 0.5 %.
    """
    device, shared = preset(name), name.startswith("pcm") and encoding == "offset"
    for kind in ("gauss", "laplace", "sparse"):
        matrix = TiledMatrix(drawn(kind), Fabrication(device, Design(encoding=encoding), seed=(3,), noise_seed=(4,)))
        once = matrix.stored()
        for seconds in (HOUR_S, DAY_S, YEAR_S):
            if seconds <= device.retention.longest_s:
                matrix.age(seconds)
                matrix.compensate()
                right = best(once, matrix.stored())
                assert gain_of(matrix) == pytest.approx(right, rel=0.04 if shared else 0.01), (kind, seconds)


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


# columns


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


# what was written


def test_what_was_written_is_no_drift() -> None:
    """All weights from 0.25 to 1 on perfect devices: 4 inputs of 1 give 4."""
    matrix = TiledMatrix(np.full((4, 4), 0.25), Fabrication(IDEAL, EXACT), largest=1.0)
    RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(0)).move(np.full((4, 4), 0.75))
    matrix.compensate()
    assert gain_of(matrix) == 1.0
    np.testing.assert_allclose(matrix @ torch.ones(4), [4.0] * 4, rtol=1e-6)
    # and so it is after some time, and if the tile was written by another hand
    matrix.age(DAY_S)
    (tile,) = matrix.tiles
    tile.write(reprogram(tile.array, tile.array.target_s / 2, np.ones((4, 8), bool), np.random.default_rng(0)))
    matrix.age(2 * DAY_S)
    matrix.compensate()
    assert gain_of(matrix) == pytest.approx(1.0)
    np.testing.assert_allclose(matrix.shown(), 0.5, rtol=1e-6)


def test_a_second_writer_begins_where_the_first_one_ended() -> None:
    """What a weight was last to be shown as, also if it was written under a gain."""
    weight = drawn("gauss", (5, 6)) / 2
    matrix = TiledMatrix(weight, Fabrication(uniform_drift(0.05), EXACT), largest=1.0)
    matrix.age(990.0)
    matrix.compensate()
    change = np.where(np.arange(6) < 3, 0.25, 0.0)[None] * np.ones((5, 1))
    RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(0)).move(change)
    np.testing.assert_allclose(matrix.shown(), weight + change, atol=1e-6)
    second = RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(1))
    np.testing.assert_allclose(second.aimed, weight + change, atol=1e-7)
    second.move(-change)
    np.testing.assert_allclose(matrix.shown(), weight, atol=1e-6)


# temperature


@pytest.mark.parametrize("encoding", ["pair", "balanced", "offset"])
def test_temperature_is_not_written_into_weights(encoding: str) -> None:
    """0.4 asked to become 0.5 on a cold die reads 0.5, and write and verify gets there too."""
    matrix = TiledMatrix(np.full((3, 4), 0.4), Fabrication(warm(IDEAL), replace(EXACT, encoding=encoding)), largest=1.0)
    matrix.age(0.0, COLD_K)
    np.testing.assert_allclose(matrix.shown(), 0.4 * COLD)
    matrix.compensate()
    assert (matrix.gain.drift, matrix.gain.thermal) == (pytest.approx(1.0), pytest.approx(1 / COLD))
    np.testing.assert_allclose(matrix.shown(), 0.4, rtol=1e-6)
    RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(0)).move(np.full((3, 4), 0.1))
    np.testing.assert_allclose(matrix.shown(), 0.5, rtol=1e-6)
    repair = WriteBack([matrix], [np.full((3, 4), 0.8)], 0, tolerance=0.01)
    assert repair.round(100).devices
    np.testing.assert_allclose(matrix.shown(), 0.8, rtol=1e-6)
    assert not repair.round(100).devices


@pytest.mark.parametrize("update", [StochasticPulses(), MixedPrecision()], ids=lambda update: type(update).__name__)
def test_pulses_on_a_cold_die_change_what_they_are_asked_to(update: StochasticPulses | MixedPrecision) -> None:
    steps = LinearStep(g_min_s=0.0, g_max_s=IDEAL.g_max_s, zero_s=IDEAL.g_max_s / 2, step_s=IDEAL.g_max_s / 4000)
    device = warm(replace(IDEAL, pulses=steps))
    matrix = TiledMatrix(
        drawn("gauss", (5, 7)) / 4, Fabrication(device, replace(EXACT, encoding="balanced")), largest=1.0
    )
    before = matrix.shown()
    matrix.age(0.0, COLD_K)
    matrix.compensate()
    np.testing.assert_allclose(matrix.shown(), before, atol=1e-6)
    writer, rng, wanted = update.writer(matrix, (0, 1)), np.random.default_rng(3), np.zeros((5, 7))
    for _ in range(150):
        below, above = (rng.uniform(-1, 1, (2, count)).astype(np.float32) for count in (7, 5))
        outer = Outer(below + 0.5 * below[:1], above + 0.5 * above[:1], 0.002)
        writer.write([outer])
        wanted += outer.total()
    slope = np.sum((matrix.shown() - before) * wanted) / np.sum(wanted**2)
    assert slope == pytest.approx(1.0, abs=0.03)


# orders

EVENTS = ("learn", "age", "compensate", "chill", "learn more")
CHANGES = {"learn": np.array([0.2, 0.2, 0.0, 0.0]), "learn more": np.array([0.0, -0.1, 0.3, 0.0])}


class ByHand:
    """Four weights on perfect devices that keep (1 + t / 10 s)**-0.05 of themselves, times COLD where it is cold."""

    def __init__(self) -> None:
        self.asked = np.array([0.4, 0.3, -0.2, 0.1])
        self.held, self.since = self.asked.copy(), np.zeros(4)
        self.now, self.cold = 0.0, 1.0
        self.drift, self.thermal = 1.0, 1.0
        self.remember()

    def remember(self) -> None:
        self.then, self.then_cold, self.then_gains = self.kept(), self.cold, (self.drift, self.thermal)

    def kept(self) -> NDArray[np.float64]:
        """Without temperature and gains."""
        return np.asarray(self.held * (1 + (self.now - self.since) / 10) ** -0.05)

    def do(self, event: str) -> None:
        if event == "age":
            self.now += 990.0
        elif event == "chill":
            self.cold = COLD
        elif event == "compensate":
            drift, thermal = self.then_gains
            self.drift = drift * (self.then @ self.then) / (self.then @ self.kept())
            self.thermal = thermal * self.then_cold / self.cold
        else:
            change = CHANGES[event]
            self.asked = self.asked + change
            self.held = np.where(change, self.asked / self.drift, self.held)
            self.since = np.where(change, self.now, self.since)
            self.remember()

    @property
    def shown(self) -> NDArray[np.float64]:
        return np.asarray(self.drift * self.thermal * self.cold * self.kept())


@pytest.mark.parametrize("order", list(permutations(EVENTS)), ids=", ".join)
def test_every_order_of_learning_time_temperature_and_compensation(order: tuple[str, ...]) -> None:
    """By hand, and in the end learnt, aged and compensated once more."""
    matrix, hand = (
        TiledMatrix(np.array([[0.4, 0.3], [-0.2, 0.1]]), Fabrication(warm(uniform_drift(0.05)), EXACT), largest=2.0),
        ByHand(),
    )
    writer = RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(0))
    for event in (*order, "learn", "age", "compensate"):
        hand.do(event)
        if event == "compensate":
            matrix.compensate()
        elif event in CHANGES:
            writer.move(CHANGES[event].reshape(2, 2))
        else:
            matrix.age(hand.now, COLD_K if hand.cold != 1.0 else None)
        np.testing.assert_allclose(matrix.gain.drift, hand.drift, rtol=1e-5, err_msg=event)
        assert matrix.gain.thermal == pytest.approx(hand.thermal, rel=1e-12), event
        np.testing.assert_allclose(matrix.shown().ravel(), hand.shown, rtol=1e-5, err_msg=event)
        np.testing.assert_allclose(matrix.aimed().ravel(), hand.asked, rtol=1e-6, err_msg=event)


@pytest.mark.parametrize("later", [1, 3])
def test_compensation_right_after_learning_changes_nothing(later: int) -> None:
    """Whatever came before: what was learnt is what a link is brought back to."""
    matrix = TiledMatrix(drawn("gauss", (5, 6)) / 2, Fabrication(warm(uniform_drift(0.05)), EXACT), largest=1.0)
    writer = RewritingWriter(Rewriting(0.0), matrix, np.random.default_rng(0))
    for step in range(later):
        matrix.age(990.0 * step, COLD_K if step else None)
        writer.move(np.full((5, 6), 0.1))
    shown = matrix.shown()
    matrix.compensate()
    np.testing.assert_allclose(matrix.shown(), shown, rtol=1e-12)


def test_reads_of_a_compensation_leave_the_noise_of_all_others_alone() -> None:
    device = replace(preset("pcm-nandakumar-2019"), retention=uniform_drift(0.0).retention)
    one, other = (TiledMatrix(drawn("gauss", (9, 14)), Fabrication(device, replace(EXACT, rows=10))) for _ in range(2))
    one.reference()
    x = torch.rand(3, 14, generator=torch.Generator().manual_seed(0))
    for matrix in (one, other):
        matrix.begin(np.random.default_rng(1))
    one._read_back()
    assert torch.equal(one.up(x)[0], other.up(x)[0])
