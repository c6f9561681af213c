"""How a speed is measured: all cases in one run, interleaved, the fastest of several calls of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

REPEATS = 7


@dataclass(frozen=True)
class Speed:
    """Seconds of every case, and the ratios that are promised."""

    seconds: dict[str, float]
    unit: str
    ratios: dict[str, float]
    others: dict[str, float | None] = field(default_factory=dict)
    """What shows that the same was computed, and how much; None where it cannot be known here."""
    device: str = "cpu"
    """Where torch computed."""


def fastest(
    cases: Mapping[str, Callable[[], object]], repeats: int = REPEATS, warm_ups: int = 1, device: str = "cpu"
) -> dict[str, float]:
    """Seconds of the fastest of `repeats` calls of every case, after some that warm up; a call ends when `device` has
    done what it was given."""

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    for work in [*cases.values()] * warm_ups:
        work()
    finish()
    seconds = dict.fromkeys(cases, float("inf"))
    for _ in range(repeats):
        for name, work in cases.items():
            start = time.perf_counter()
            work()
            finish()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds
