"""Windows of repeated work, in a time that the test moves."""

from __future__ import annotations

import pytest

from hw.meters import CounterError, Missing, Plan, measure
from hw.meters.window import Clock


class World:
    """Time, and a counter that draws `idle_w` always and `work_j` more for each piece of work of `work_s`."""

    name, device = "counter", "device"

    def __init__(self, idle_w: float, work_j: float, work_s: float) -> None:
        self.idle_w, self.work_j, self.work_s = idle_w, work_j, work_s
        self.seconds, self.joules, self.calls = 0.0, 0.0, 0

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.joules += self.idle_w * seconds

    def work(self) -> None:
        self.pass_(self.work_s)
        self.joules += self.work_j
        self.calls += 1

    def read(self) -> float:
        return self.joules

    def clocks_hz(self) -> dict[str, float]:
        return {"cpu": 1e9}

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.pass_)


def test_joules_are_those_of_a_call_gross_and_above_idling() -> None:
    world = World(idle_w=10.0, work_j=2.0, work_s=0.5)
    found = measure(world.work, world, Plan(window_s=4.0, repeats=3, idle_s=3.0, warm_s=1.0), world.clock)
    assert found.idle_w == pytest.approx(10.0)
    assert [(window.calls, window.seconds) for window in found.windows] == [(8, 4.0)] * 3
    assert world.calls == 3 * 8 + 2  # two to warm up, which nobody counts
    assert found.gross_j == pytest.approx(2.0 + 10.0 * 0.5)
    assert found.net_j == pytest.approx(2.0)
    assert (found.gross_sd_j, found.seconds_sd) == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))
    assert (found.seconds, found.counter, found.device, found.reason) == (0.5, "counter", "device", None)
    assert found.clocks_hz == {"cpu": 1e9}


def test_the_spread_is_that_of_windows() -> None:
    world = World(idle_w=0.0, work_j=1.0, work_s=3.0)
    takes = iter((1.0, 2.0, 3.0, 4.0))  # the first warms up

    def work() -> None:
        world.work_j = next(takes)
        world.work()

    found = measure(work, world, Plan(warm_s=0.0), world.clock)
    assert (found.gross_j, found.gross_sd_j) == (3.0, 1.0)


def test_without_a_counter_there_are_seconds_and_a_reason() -> None:
    world = World(10.0, 2.0, 0.5)
    found = measure(world.work, Missing("none here"), Plan(), world.clock)
    assert (found.seconds, found.reason) == (0.5, "none here")
    assert (found.gross_j, found.gross_sd_j, found.net_j, found.idle_w, found.counter) == (None,) * 5


@pytest.mark.parametrize(("joules", "says"), [(-1.0, "went backwards"), (0.0, "stood still")])
def test_a_counter_that_moves_wrongly_is_named(joules: float, says: str) -> None:
    world = World(0.0, joules, 1.0)
    with pytest.raises(CounterError, match=f"counter {says}"):
        measure(world.work, world, Plan(), world.clock)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window_s": 2.9}, "window_s is 2.9, must be 3 s to an hour"),
        ({"idle_s": 0.0}, "idle_s is 0.0"),
        ({"repeats": 1}, "repeats is 1, must be at least 2"),
        ({"warm_s": -1.0}, "warm_s is -1.0"),
    ],
)
def test_windows_that_say_nothing_are_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Plan(**options)  # type: ignore[arg-type]
