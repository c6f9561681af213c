"""How a speed is measured: all cases in one run, interleaved, the fastest of several calls of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from models.command_line import ConfigError

REPEATS = 7
Clock = Literal["wall", "processor"]
"""Wall time counts what other programs of the computer do meanwhile: 49 times was told on a loaded machine where
processor time said 13.5. Processor time is that of all threads of this process: right for work that one thread does,
too long for work that several share, and blind to other processes and to a GPU."""


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
    clock: Clock = "wall"
    """Whose seconds they are."""


def check_counts(**counts: int) -> None:
    """Refuse a count below 1; `ConfigError` names the option."""
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {count}, must be at least 1")


def fastest(
    cases: Mapping[str, Callable[[], object]],
    repeats: int = REPEATS,
    warm_ups: int = 1,
    device: str = "cpu",
    clock: Clock = "wall",
) -> dict[str, float]:
    """Seconds of the fastest of `repeats` calls of every case, after some that warm up; a call ends when `device` has
    done what it was given. ValueError for processor time of another device."""
    if clock == "processor" and device != "cpu":
        raise ValueError(f"clock 'processor' does not see what {device} does, choose wall")
    now = time.perf_counter if clock == "wall" else time.process_time

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    for work in [*cases.values()] * warm_ups:
        work()
    finish()
    seconds = dict.fromkeys(cases, float("inf"))
    for _ in range(repeats):
        for name, work in cases.items():
            start = now()
            work()
            finish()
            seconds[name] = min(seconds[name], now() - start)
    return seconds
