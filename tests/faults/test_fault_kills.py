"""Runs and trainings that are killed at random moments, again and again, and two at once in one place."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from helpers.faults import alone, run_until_killed, server

RUN = [
    "--backend", "torch", "crossbar", "--precision", "float", "fixed", "analog", "--dies", "2", "--noise-scale", "0",
    "1", "2", "--limit", "8", "--steps", "4", "--disturbances", "gaussian-0.1", "pgd-linf-0.03",
]  # fmt: skip
TRAINING = ["digits", "--epochs", "6", "--images", "200", "--batch-size", "50"]
TIMED = ("date", "made_by", "latency_s", "wall_s_per_image", "energy_measured_j", "digest", "costs", "energy_j")


def figures(folder: Path) -> dict[str, dict[str, Any]]:
    """Rows by key, without what another moment changes; fails where one is doubled."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    by_key = {json.dumps([row["backend"], row["precision"], row["point"]]): row for row in rows}
    assert len(by_key) == len(rows), "a row is doubled"
    return {key: {name: row[name] for name in row if name not in TIMED} for key, row in by_key.items()}


def kill(count: int, seed: int, begin: Callable[[float, int], int], last_s: float) -> int:
    """Begin, kill and go on until so many were killed in work; the number of the run that is then to be left alone.

    `begin(after_s, number)` goes on with a run for so many seconds; one that ends before it is killed is followed by
    a fresh one.
    """
    random_, killed, number = random.Random(seed), 0, 0
    while killed < count:
        code = begin(random_.uniform(0.05, 1.0) * last_s, number)
        assert code in (0, -9), f"exit code {code}"
        killed += code == -9
        number += code == 0
    return number


def runs(count: int, seed: int, folder: Path) -> None:
    """Kill runs so often; every one ends with the rows of one that was left alone."""
    run_until_killed("bench.run", ["--version"], folder, 600)  # libraries are loaded
    start = monotonic()
    assert run_until_killed("bench.run", [*RUN, "--output", folder / "whole"], folder, 600) == 0
    last_s, expected = monotonic() - start, figures(folder / "whole")

    def begin(after_s: float, number: int) -> int:
        place = folder / f"run-{number}"
        again = ["--resume"] if (place / "config.json").exists() else []
        code = run_until_killed("bench.run", [*RUN, "--output", place, *again], folder, after_s)
        if code == 0:
            assert figures(place) == expected
        return code

    number = kill(count, seed, begin, last_s)
    assert begin(600, number) == 0


def trainings(count: int, seed: int, folder: Path) -> None:
    """Kill trainings so often; every one ends with the bytes of one that was left alone."""
    run_until_killed("bench.run", ["--version"], folder, 600)  # libraries are loaded
    start, whole = monotonic(), folder / "whole.safetensors"
    assert run_until_killed("models.train", [*TRAINING, "--output", whole], folder, 600) == 0
    last_s = monotonic() - start

    def begin(after_s: float, number: int) -> int:
        place = folder / f"net-{number}.safetensors"
        again = ["--resume"] if place.with_name(f"{place.name}.training").exists() else []
        code = run_until_killed("models.train", [*TRAINING, "--output", place, *again], folder, after_s)
        if code == 0:
            assert place.read_bytes() == whole.read_bytes()
            assert not place.with_name(f"{place.name}.training").exists()
        return code

    number = kill(count, seed, begin, last_s)
    assert begin(600, number) == 0


@pytest.mark.slow
def test_fifty_kills_of_runs_lose_and_double_nothing(tmp_path: Path) -> None:
    runs(50, 1, tmp_path)


@pytest.mark.slow
def test_twenty_kills_of_trainings_change_no_bit(tmp_path: Path) -> None:
    trainings(20, 1, tmp_path)


@pytest.mark.slow
def test_of_two_runs_at_once_in_one_folder_one_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "run"
    both = [
        server().Process(target=alone, args=("bench.run", [*RUN, "--output", str(place)], str(tmp_path)))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sorted(process.exitcode or 0 for process in both) == [0, 2]
    assert len(figures(place)) == 5
