"""The contrastive update by Lava's learning engine: exact in float, in fixed predicted bit by bit and right on average.

Every run of the engine takes seconds, most of them to start and end it, so there are few and they check much.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from hw.lava.process import LavaModelError
from hw.lava.three_factor.link import engine_update
from hw.lava.three_factor.rule import EngineRule, engine_rule, payloads, third_factors

CENTERED = (-1.0, 1.0)
"""c_k at beta = 1/2."""


def _phases(seed: int, images: int, below: int, above: int, phases: int = 2) -> tuple[NDArray[Any], NDArray[Any]]:
    """States of phases that differ by a little, with many silent units, some of which were active one phase before."""
    rng = np.random.default_rng(seed)

    def settled(units: int) -> NDArray[np.float64]:
        free = rng.normal(0.3, 0.4, (images, units))
        return np.clip(free + 0.1 * rng.normal(size=(phases, images, units)), 0, 1)

    low, high = settled(below), settled(above)
    low[0, :, 0], low[1, :, 0] = 0.8, 0.0  # falls silent in the second phase: the trace must not keep the first
    high[0, :, 0], high[1, :, 0] = 0.0, 0.9
    low[:, :, 1], high[:, :, 1] = 0.0, 0.0  # never says anything
    return low, high


def _exact(low: NDArray[Any], high: NDArray[Any], contrast: tuple[float, ...], rate: float) -> NDArray[np.float64]:
    update = np.zeros((high.shape[2], low.shape[2]))
    for weight, below, above in zip(contrast, low, high, strict=True):
        update += rate * weight * above.T @ below
    return update


def _codes(low: NDArray[Any]) -> NDArray[np.float64]:
    """(events, units): image after image through its phases, in 126ths."""
    return np.array([np.rint(126 * low[k, b]) for b in range(low.shape[1]) for k in range(len(low))])


def _sent(high: NDArray[Any], contrast: tuple[float, ...], rate: float, rule: EngineRule, seed: int) -> NDArray[Any]:
    """(events, units) third factors, in the same order."""
    states = np.array([high[k, b] for b in range(high.shape[1]) for k in range(len(high))])
    rates = np.array([rate * weight for _ in range(high.shape[1]) for weight in contrast])
    return third_factors(states, rates, rule, seed)


def _rounded(weight: NDArray[Any], random: Any) -> NDArray[Any]:
    return np.clip(np.floor(weight) + (random < weight % 1), -256, 255)


def test_float_is_the_contrastive_update() -> None:
    """Also with three phases, a rate far from a power of two and units that fall silent."""
    contrast = (-3.5, 4.0, -0.5)
    low, high = _phases(1, 5, 7, 6, phases=3)
    weight = np.random.default_rng(2).normal(size=(6, 7))
    exact = _exact(low, high, contrast, 0.037)
    learnt = engine_update(weight, low, high, contrast, 0.037, fixed=False)
    assert learnt.dtype == np.float64
    np.testing.assert_allclose(learnt - weight, exact, rtol=0, atol=1e-12 * np.abs(exact).max())
    fallen = 0.037 * contrast[0] * 0.8 * high[0].sum(0) + 0.037 * contrast[2] * high[2].T @ low[2, :, 0]
    np.testing.assert_allclose((learnt - weight)[:, 0], fallen, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(learnt[:, 1], weight[:, 1])
    np.testing.assert_array_equal(learnt[1], weight[1])


def test_fixed_is_what_its_arithmetic_says_in_every_bit() -> None:
    """Weights saturate, odd weights stay odd, and nothing is lost between accumulator and shift."""
    low, high = _phases(3, 6, 7, 6)
    rate, seed = 90.0, 11
    weight = np.random.default_rng(4).integers(-256, 256, (6, 7))
    rule = engine_rule(rate, fixed=True)
    generator = np.random.default_rng(seed)
    generator.random()  # Lava draws one number before the first step
    expected = weight.astype(np.float64)
    for codes, factors in zip(_codes(low), _sent(high, CENTERED, rate, rule, seed), strict=True):
        product = np.outer(factors, codes).astype(np.int64)
        accumulator = expected * 2**7 + (((4 * product) >> 3) << 1)
        assert rule.gain == 2.0**-7
        expected = _rounded(accumulator / 2**7, generator.random())
    assert (expected == 255).any()
    learnt = engine_update(weight, low, high, CENTERED, rate, fixed=True, seed=seed)
    assert learnt.dtype == np.int64
    np.testing.assert_array_equal(learnt, expected)
    np.testing.assert_array_equal(learnt[:, 1], weight[:, 1])
    np.testing.assert_array_equal(learnt[1], weight[1])


def test_fixed_follows_the_contrastive_update() -> None:
    """Measured where dW has a standard deviation of 12 weight steps: correlation 0.975 to 0.986, slope 1 +- 0.03."""
    low, high = _phases(5, 32, 24, 16)
    low, high = low[:, :, 2:], high[:, :, 2:]  # without the units that stand out: they would raise the correlation
    weight = np.random.default_rng(6).integers(-20, 21, (14, 22))
    events, rate = 64, 30.0
    exact = _exact(low, high, CENTERED, rate)
    moved = engine_update(weight, low, high, CENTERED, rate, fixed=True, seed=1) - weight
    error = moved - exact
    assert np.corrcoef(moved.ravel(), exact.ravel())[0, 1] > 0.965
    assert (moved * exact).sum() / (exact * exact).sum() == pytest.approx(1.0, abs=0.1)
    # at most 1/4 + 1/4 per event; far less here, since silent units round nothing
    assert error.std() < np.sqrt(0.5 * events)
    # one random number for all weights: their mean is off by as much as 1/12 per event allows
    assert abs(error.mean()) < 4 * np.sqrt(events / 12)


@pytest.mark.parametrize("rate", [2.0, 30.0, 200.0])
def test_roundings_of_fixed_have_no_bias(rate: float) -> None:
    """The arithmetic that the engine was shown to follow, over many random numbers, one for every weight."""
    low, high = _phases(7, 8, 6, 5)
    rule, runs, rng = engine_rule(rate, fixed=True), 4000, np.random.default_rng(8)
    codes = _codes(low)
    factors = np.array([_sent(high, CENTERED, rate, rule, seed) for seed in range(runs)])
    assert np.abs(factors).max() <= 126
    assert not (factors % 2).any()
    moved = np.zeros((runs, 5, 6))
    for event in range(len(codes)):
        change = factors[:, event, :, None] * codes[event] * rule.gain
        moved += np.floor(change) + (rng.random(moved.shape) < change % 1)
    exact, coded = _exact(low, high, CENTERED, rate), _exact(np.rint(126 * low) / 126, high, CENTERED, rate)
    spread = moved.std(0)
    variance = len(codes) * (1 + rule.step**2) / 4
    assert spread.max() < np.sqrt(variance)
    assert (np.abs(moved.mean(0) - coded) <= 5 * spread / np.sqrt(runs) + 1e-9).all()
    assert np.abs(coded - exact).max() <= rate * len(codes) * 0.5 / 126


def test_coding_fills_the_traces_and_is_never_silent() -> None:
    states = np.array([[0.0, 1.0, 0.5, 0.001]])
    np.testing.assert_array_equal(payloads(states, engine_rule(1.0, fixed=True)), [[2, 254, 128, 2]])
    np.testing.assert_array_equal(payloads(states, engine_rule(1.0, fixed=False)), 2 * (states + 1))
    for largest in (0.01, 62.0, 63.0, 252.0):
        rule = engine_rule(largest, fixed=True)
        factors = third_factors(np.ones((200, 1)), np.full(200, largest), rule, 0)
        assert factors.max() <= 126
        assert factors.mean() * 126 * rule.gain == pytest.approx(largest, rel=0.02 if largest > 1 else 1)
        assert (4 * 126 * factors.max() / 8) * 2 ** (np.log2(rule.gain) + 8) < 2**15, "the accumulator saturates"


def test_what_the_engine_cannot_learn_is_refused_before_anything_starts() -> None:
    low, high, weight = np.full((2, 3, 4), 0.5), np.full((2, 3, 5), 0.5), np.zeros((5, 4))

    def refused(
        message: str, *, rate: float = 1.0, fixed: bool = True, contrast: Any = CENTERED, **states: Any
    ) -> None:
        arrays = {"weight": weight, "below": low, "above": high, **states}
        with pytest.raises(ValueError, match=message):
            engine_update(**arrays, contrast_weights=contrast, rate=rate, fixed=fixed)

    wrong = high.copy()
    for value, said in ((1.5, "1.5"), (-0.1, "-0.1"), (np.nan, "nan")):
        wrong[1, 2, 3] = value
        refused(rf"above holds {said} at \(1, 2, 3\), states are 0 to 1", above=wrong)
    refused(r"below has shape \(3, 4\), expected \(phases, images, units\)", below=low[0])
    refused(r"above has shape \(2, 0, 5\)", above=high[:, :0])
    refused(r"below is of \(2, 2\) phases and images, above of \(2, 3\)", below=low[:, :2])
    refused(r"weight has shape \(4, 5\), the states ask for \(above, below\) = \(5, 4\)", weight=weight.T)
    refused("expected one for each of 2 phases", contrast=(1.0, -2.0, 1.0))
    refused("add up to 1, expected 0", contrast=(-1.0, 2.0))
    refused("and not all 0", contrast=(0.0, 0.0))
    for rate in (0.0, -1.0, np.inf, np.nan):
        refused(f"rate is {rate}, must be a positive number", rate=rate)
    for value in (-257, 256, 0.5):
        refused(f"weight holds {value}, the fixed engine has integers from -256 to 255", weight=weight + value)
    refused("weight holds a number that is not finite", weight=weight + np.inf, fixed=False)
    refused("by up to 300 .* by up to 252; choose a rate at most 0.84 times", rate=300.0)
    refused("less than one such factor would be sent; choose a rate at least 65.6 times", rate=1e-3)


def test_importing_the_engine_imports_no_lava_and_no_torch() -> None:
    script = (
        "import sys, hw.lava.three_factor.link\n"
        "print([name for name in ('lava', 'torch') if any(m.split('.')[0] == name for m in sys.modules)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_process_that_dies_ends_the_run_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = uuid4().hex
    monkeypatch.setenv("EP_TEST_SESSION", mark)
    caught: list[BaseException] = []

    def learn() -> None:
        low, high = np.ones((2, 20000, 2)), np.ones((2, 20000, 2))
        try:
            engine_update(np.zeros((2, 2)), low, high, CENTERED, 1.0, fixed=True)
        except LavaModelError as error:
            caught.append(error)

    thread = threading.Thread(target=learn)
    thread.start()
    deadline = time.monotonic() + 20
    while len(ours := _marked(mark)) < 6 and time.monotonic() < deadline:  # host, its helpers, service and processes
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(max(_marked(mark)), signal.SIGKILL)
    thread.join(30)
    assert ours
    assert not thread.is_alive()
    assert "died with exit code -9" in str(caught[0])
    assert _marked(mark) == []


def _marked(mark: str) -> list[int]:
    """Processes with the mark in their environment, which children inherit; a zombie has none any more."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return [process for process in found if process != os.getpid()]
