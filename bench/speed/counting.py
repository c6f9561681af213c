"""Processor time that a machine spends on its ledger while it settles."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

Place = tuple[str, str]
"""Where a function is looked up: "module" or "module:Class", and its name there."""

TORCH: tuple[Place, ...] = (("hw.digital.dynamics:Dynamics", "count"), ("hw.digital.dynamics:Dynamics", "ledger"))
CROSSBAR: tuple[Place, ...] = (
    *TORCH,
    *(
        (f"hw.crossbar.tiles.layout:{kind}", way)
        for kind in ("DenseLayout", "ConvLayout")
        for way in ("heat", "heat_down")
    ),
    ("hw.crossbar.tiles.matrix", "heating_of"),
    ("hw.crossbar.tiles.converters", "clipped_of"),
    ("hw.crossbar.machine", "settle_events"),
)
RESISTIVE: tuple[Place, ...] = (("hw.resistive.track:Track", "events"),)
BRIAN: tuple[Place, ...] = (("hw.brian.recording:Counter", "count"), ("hw.brian.recording:Counter", "ledger"))
"""Everything that a machine does for its ledger alone."""

PROC = Path("/proc")
SESSION, USER, SYSTEM = 3, 11, 12
"""Fields of /proc/PID/stat behind the name of the program: its session, and ticks of its processor time."""


@contextmanager
def watched(places: Sequence[Place]) -> Iterator[list[float]]:
    """Add up the processor seconds of these functions, of one within another once, in the list's only number."""
    spent, inside = [0.0], [False]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            if inside[0]:
                return function(*given, **named)
            inside[0], start = True, time.process_time()
            try:
                return function(*given, **named)
            finally:
                spent[0] += time.process_time() - start
                inside[0] = False

        return call

    kept = []
    try:
        for where, name in places:
            module, _, kind = where.partition(":")
            owner = import_module(module)
            owner = getattr(owner, kind) if kind else owner
            kept.append((owner, name, getattr(owner, name)))
            setattr(owner, name, timed(kept[-1][2]))
        yield spent
    finally:
        for owner, name, function in reversed(kept):
            setattr(owner, name, function)


def shares(work: Callable[[], object], places: Sequence[Place], repeats: int) -> tuple[float, float]:
    """Processor seconds of work and of the counting in it: of the fastest of `repeats` calls, after one to warm up."""
    work()
    found = []
    with watched(places) as spent:
        for _ in range(repeats):
            spent[0], start = 0.0, time.process_time()
            work()
            found.append((time.process_time() - start, spent[0]))
    return min(found)


def session_s(session: int) -> float:
    """Processor seconds of all processes of a session that are there, as Linux counts them, in ticks of 10 ms."""
    ticks = 0
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(told[SESSION]) == session:
                ticks += int(told[USER]) + int(told[SYSTEM])
    return ticks / os.sysconf("SC_CLK_TCK")
