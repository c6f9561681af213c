"""How long a sweep will take: from rows that are there, else from a probe, and it says from which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.sweeps import commands, estimate
from bench.sweeps.grid import Grid
from bench.sweeps.place import Place
from bench.sweeps.points import points_of

POINTS = points_of(Grid("bench.run", {"disturbances": []}, {"seed": [0, 1, 2]}))


def test_a_probe_follows_the_line_through_few_and_more_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now, shown = [0.0], []

    def rows(config: Any, *_: Path) -> list[Any]:
        shown.append(config.run.limit)
        now[0] += 2.0 + 0.5 * config.run.limit + (10 if len(shown) == 1 else 0)
        return []

    monkeypatch.setitem(commands.COMMANDS, "bench.run", replace(commands.COMMANDS["bench.run"], rows=rows))
    monkeypatch.setattr("bench.sweeps.estimate.time.perf_counter", lambda: now[0])
    made = estimate.estimate(Place(tmp_path), POINTS)
    assert shown == [8, 8, 32]
    assert made.seconds == pytest.approx(2 + 0.5 * 360)
    assert made.words(3, 2) == "about 364 s with 2 processes, judged by a probe of 8 and 32 images of the first point"


def test_finished_rows_are_believed_before_a_probe(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    for point, seconds in zip(POINTS, (1.0, 5.0), strict=False):
        place.put("rows", point.key, {"seconds": seconds, "rows": []})
    assert estimate.estimate(place, POINTS).words(1, 2) == "about 3 s with 2 processes, judged by 2 finished rows"


def test_a_study_is_not_probed(tmp_path: Path) -> None:
    points = points_of(Grid("bench.learn repair", {"limit": 2}, {"dies": [1, 2]}))
    words = estimate.estimate(Place(tmp_path), points).words(2, 1)
    assert words == "no row is finished to judge by, and bench.learn repair cannot be tried on few images"


def test_what_runs_is_what_was_begun_in_this_start_and_has_not_ended(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    for key, session in (("a", "now"), ("b", "before"), ("c", "now")):
        place.begun(key, session)
    place.put("rows", "c", {"rows": []})
    assert place.running("now") == {"a"}
