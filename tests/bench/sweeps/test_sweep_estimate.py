"""How long a sweep will take: from rows that are there, else from a probe, and it says from which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.machines.backend import LearningKey
from bench.studies.run import StudyRun, Task
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


def test_a_study_of_learning_is_judged_by_images_learnt_from_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1 s, 0.01 s an image learnt from and 0.002 s an image shown, of every row and way."""
    now = [0.0]

    def tasks(study: StudyRun) -> list[Task]:
        def make(*_: object) -> dict[str, object]:
            learnt, shown = len(study.material.train.labels), len(study.material.test.labels)
            epochs = study.learning.epochs or 5
            now[0] += 1 + 0.01 * epochs * learnt + 0.002 * (epochs + 1) * shown
            return {}

        return [Task(LearningKey("crossbar", "analog"), 2 * (study.learning.epochs or 5), make)] * 3

    monkeypatch.setattr("bench.studies.run.tasks_of", tasks)
    monkeypatch.setattr("bench.sweeps.estimate.time.perf_counter", lambda: now[0])
    points = points_of(Grid("bench.learn repair", {"limit": 100}, {"seed": [0, 1]}))
    made = estimate.estimate(Place(tmp_path), points)
    assert made.seconds == pytest.approx(3 * (1 + 0.01 * 5 * 1257 + 0.002 * 6 * 100))
    assert made.judged_by == "a probe of 48 images of the first point"


def test_a_study_of_beta_is_judged_by_one_nudge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [0.0]

    def tasks(study: StudyRun) -> list[Task]:
        nudges = len(study.learning.beta)

        def make(*_: object) -> dict[str, object]:
            now[0] += 2.0 * nudges
            return {}

        return [Task(LearningKey("crossbar", "analog"), 4 * nudges, make)] * 5

    monkeypatch.setattr("bench.studies.run.tasks_of", tasks)
    monkeypatch.setattr("bench.sweeps.estimate.time.perf_counter", lambda: now[0])
    points = points_of(Grid("bench.learn beta", {"beta": [0.1, 0.2, 0.5]}, {"seed": [0]}))
    made = estimate.estimate(Place(tmp_path), points)
    assert (made.seconds, made.judged_by) == (pytest.approx(5 * 6.0), "a probe of one nudge of the first point")


def test_a_study_of_attacks_is_judged_from_an_image_per_class_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now, shown = [0.0], []

    def rows(config: Any, *_: Path) -> list[Any]:
        shown.append(config.run.limit)
        now[0] += 3.0 + 0.2 * config.run.limit
        return []

    monkeypatch.setitem(
        commands.COMMANDS, "bench.robustness", replace(commands.COMMANDS["bench.robustness"], rows=rows)
    )
    monkeypatch.setattr("bench.sweeps.estimate.time.perf_counter", lambda: now[0])
    points = points_of(Grid("bench.robustness", {"limit": 100}, {"seed": [0, 1]}))
    made = estimate.estimate(Place(tmp_path), points)
    assert shown == [10, 20]
    assert made.seconds == pytest.approx(3 + 0.2 * 100)


def test_what_runs_is_what_was_begun_in_this_start_and_has_not_ended(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    for key, session in (("a", "now"), ("b", "before"), ("c", "now")):
        place.begun(key, session)
    place.put("rows", "c", {"rows": []})
    assert place.running("now") == {"a"}
