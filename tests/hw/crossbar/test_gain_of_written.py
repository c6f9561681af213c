"""Gains of links that were written since: what was written is neither drift nor temperature, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, uniform_drift
from helpers.gain_examples import COLD, COLD_K, DAY_S, drawn, gain_of, warm
from numpy.typing import NDArray

from hw.crossbar.devices.device_array import reprogram
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting, RewritingWriter
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.update import Outer
from hw.crossbar.updates.write_back import WriteBack


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
