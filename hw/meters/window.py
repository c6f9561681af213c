"""Joules and seconds of repeated work, in windows long enough for slow counters.

Counters tick slowly (NVML every 20 to 100 ms, powercap about every millisecond), so work is repeated inside windows of
seconds and divided: a counter that ticks every 100 ms errs by 3 % in 3 s. What the board or package takes while it does
nothing is measured apart, before the work:

    gross = joules of a window / calls,     net = gross - idle watts * seconds of a call

Gross holds whatever else the device does meanwhile. Windows must not overlap: measure one thing at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev

from hw.meters.meter import CounterError, Meter, Missing

SHORTEST_S = 3.0
"""A window below that is mostly the tick of its counter."""


@dataclass(frozen=True)
class Plan:
    """How long is measured."""

    window_s: float = SHORTEST_S
    """Least length of a window."""
    repeats: int = 3
    """Windows, from which the spread comes."""
    idle_s: float = SHORTEST_S
    """Of the window in which nothing is done."""
    warm_s: float = 1.0
    """Of work that is not counted, before the windows."""

    def __post_init__(self) -> None:
        for name in ("window_s", "idle_s"):
            if not SHORTEST_S <= getattr(self, name) < 3600:
                raise ValueError(f"{name} is {getattr(self, name)}, must be {SHORTEST_S:g} s to an hour")
        if self.repeats < 2:
            raise ValueError(f"repeats is {self.repeats}, must be at least 2: one window has no spread")
        if not 0 <= self.warm_s < 3600:
            raise ValueError(f"warm_s is {self.warm_s}, must be from 0 to an hour")


@dataclass(frozen=True)
class Clock:
    """Time as it passes here."""

    now: Callable[[], float] = field(default=time.perf_counter)
    sleep: Callable[[float], None] = field(default=time.sleep)


@dataclass(frozen=True)
class Window:
    """One window."""

    calls: int
    seconds: float
    joules: float | None
    """None without a counter."""


@dataclass(frozen=True)
class Measured:
    """What calls of the same work took. Joules are None without a counter, and `reason` says why there is none."""

    windows: tuple[Window, ...]
    idle_w: float | None
    counter: str | None
    device: str | None
    clocks_hz: Mapping[str, float]
    reason: str | None

    @property
    def seconds(self) -> float:
        """Of one call, mean over windows."""
        return fmean(window.seconds / window.calls for window in self.windows)

    @property
    def seconds_sd(self) -> float:
        """Standard deviation over windows."""
        return stdev(window.seconds / window.calls for window in self.windows)

    @property
    def gross_j(self) -> float | None:
        """Joules of one call, mean over windows."""
        return None if (each := self._each_j()) is None else fmean(each)

    @property
    def gross_sd_j(self) -> float | None:
        """Standard deviation over windows."""
        return None if (each := self._each_j()) is None else stdev(each)

    @property
    def net_j(self) -> float | None:
        """Joules of one call above what idling takes."""
        gross, idle = self.gross_j, self.idle_w
        return None if gross is None or idle is None else gross - idle * self.seconds

    def _each_j(self) -> list[float] | None:
        each = [window.joules / window.calls for window in self.windows if window.joules is not None]
        return each or None


def measure(
    work: Callable[[], object],
    meter: Meter | Missing,
    plan: Plan = Plan(),
    clock: Clock = Clock(),
) -> Measured:
    """Idle, warm up, then repeat work in windows.

    Work on a GPU must wait for it to finish (`torch.cuda.synchronize`).

    Raises:
        CounterError: the counter failed, went backwards, or stood still while work was done.
    """
    counter = None if isinstance(meter, Missing) else meter
    idle_w = None if counter is None else _idle_w(counter, plan, clock)
    start = clock.now()
    work()
    while clock.now() - start < plan.warm_s:
        work()
    windows = tuple(_window(work, counter, plan, clock) for _ in range(plan.repeats))
    return Measured(
        windows,
        idle_w,
        None if counter is None else counter.name,
        None if counter is None else counter.device,
        {} if counter is None else counter.clocks_hz(),
        meter.reason if isinstance(meter, Missing) else None,
    )


def _idle_w(counter: Meter, plan: Plan, clock: Clock) -> float:
    before, start = counter.read(), clock.now()
    clock.sleep(plan.idle_s)
    after, seconds = counter.read(), clock.now() - start
    if after < before:
        raise CounterError(f"{counter.name} went backwards, from {before} J to {after} J")
    return (after - before) / seconds


def _window(work: Callable[[], object], counter: Meter | None, plan: Plan, clock: Clock) -> Window:
    before = None if counter is None else counter.read()
    start, calls = clock.now(), 0
    while calls == 0 or clock.now() - start < plan.window_s:
        work()
        calls += 1
    after, seconds = None if counter is None else counter.read(), clock.now() - start
    if counter is None or before is None or after is None:
        return Window(calls, seconds, None)
    if after < before:
        raise CounterError(f"{counter.name} went backwards, from {before} J to {after} J")
    if after == before:
        raise CounterError(f"{counter.name} stood still at {after} J for {seconds:.1f} s: what runs takes energy")
    return Window(calls, seconds, after - before)
