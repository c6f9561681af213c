"""How a speed is measured: all cases in one run, interleaved, the fastest of several calls of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

REPEATS = 7


@dataclass(frozen=True)
class Speed:
    """Seconds of every case, and the ratios that are promised."""

    seconds: dict[str, float]
    unit: str
    ratios: dict[str, float]
    others: dict[str, float] = field(default_factory=dict)
    """What shows that the same was computed."""


def fastest(cases: Mapping[str, Callable[[], object]], repeats: int = REPEATS, warm_ups: int = 1) -> dict[str, float]:
    """Seconds of the fastest of `repeats` calls of every case, after some that warm up."""
    for work in [*cases.values()] * warm_ups:
        work()
    seconds = dict.fromkeys(cases, float("inf"))
    for _ in range(repeats):
        for name, work in cases.items():
            start = time.perf_counter()
            work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds
