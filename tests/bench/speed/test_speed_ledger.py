"""`python -m bench.speed ledger`: on every machine counting takes a fraction of settling, and is all that is timed."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from bench.speed import counting
from bench.speed.counting import BRIAN, CROSSBAR, RESISTIVE, TORCH, session_s, shares, watched
from bench.speed.ledger import count_all, speed_ledger
from hw.crossbar.tiles.layout import DenseLayout
from hw.digital.dynamics import Dynamics
from hw.events.messages import COLUMNS
from mapping.machines import to_digital
from models.zoo import load_model


def spin(seconds: float) -> None:
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


class Work:
    """Counts for so long within a settle."""

    def settle(self) -> None:
        spin(0.03)
        self.outer()

    def outer(self) -> None:
        spin(0.01)
        self.inner()

    def inner(self) -> None:
        spin(0.02)


def test_a_count_within_a_count_is_timed_once_and_everything_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "import_module", lambda _: Work)
    before = (Work.outer, Work.inner)
    settling, spent = shares(Work().settle, [("here", "outer"), ("here", "inner")], repeats=2)
    assert spent == pytest.approx(0.03, rel=0.2)
    assert settling == pytest.approx(0.06, rel=0.2)
    assert (Work.outer, Work.inner) == before


def test_everything_that_is_watched_is_there() -> None:
    with watched((*TORCH, *CROSSBAR, *RESISTIVE, *BRIAN)):
        assert Dynamics.count.__wrapped__ is not None  # type: ignore[attr-defined]
        assert DenseLayout.heat.__wrapped__ is not None  # type: ignore[attr-defined]
    assert not hasattr(Dynamics.count, "__wrapped__")


def test_time_of_a_session_is_that_of_its_processes() -> None:
    before = session_s(os.getsid(0))
    spin(0.1)
    assert session_s(os.getsid(0)) - before >= 0.08
    assert session_s(2**22 + 1) == 0, "there is no such session"


def test_what_is_timed_of_lava_is_the_count_of_a_step() -> None:
    """As the ledger of the digital machine has it: images of which each unit sends, times what that causes."""
    machine = to_digital(load_model("digits"), steps=3, batch_size=4)
    settled = machine.settle(np.random.default_rng(0).random((4, 1, 8, 8)).astype(np.float32))
    settled.states[0][:] = np.arange(settled.states[0].size).reshape(settled.states[0].shape) % 3
    events = count_all(machine, settled, 2)()
    for state, table, found in zip(settled.states, machine.circuit.traffic[1:], events, strict=True):
        whole = state.astype(np.int16).reshape(4, -1)
        np.testing.assert_allclose(found[0, 1].T, (whole != 0) @ table)
        np.testing.assert_allclose(found[1, 1].T, (whole != whole // 2) @ table)
        assert found.shape == (2, 2, len(COLUMNS), 4)


@pytest.mark.slow
def test_counting_takes_less_than_a_tenth_of_settling_on_every_machine() -> None:
    speed = speed_ledger()
    assert {name.removesuffix("_overhead") for name in speed.ratios} >= {
        "digits",
        "cifar",
        "crossbar",
        "resistive",
        "brian",
        "lava_fixed",
        "lava_delta",
    }
    assert max(speed.ratios.values()) < 0.1, speed.ratios
