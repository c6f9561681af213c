"""A sweep in one folder: what is finished is never run again, what fails costs its row only, nothing is done twice."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from bench import run
from bench.command_line import ConfigError
from bench.records.answers import answers_file
from bench.records.folders import begin
from bench.sweeps import commands, rows
from bench.sweeps.grid import Grid
from bench.sweeps.place import MOST_DEATHS, SCHEMA, Place, _seal
from bench.sweeps.points import Point, points_of
from bench.sweeps.report import MOST_LINES, write_report
from bench.sweeps.running import run_points
from bench.sweeps.work import work
from models.files.whole import write_atomically

GRID = Grid("bench.run", {"limit": 4, "disturbances": ["gaussian-0.1"]}, {"steps": [2, 3, 4], "seed": [0, 1]})


def here(call: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
    """An executor without processes."""
    return [call(argument) for argument in arguments]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "sweep")
    made.make()
    return made


def counted(monkeypatch: pytest.MonkeyPatch, fail: Callable[[Point], bool] = lambda _: False) -> list[int]:
    """How often runs were begun, in a list of one number; those that `fail` says do."""
    begun, plain = [0], commands.COMMANDS["bench.run"]

    def made(config: Any, kept: Path, answers: Path) -> Any:
        begun[0] += 1
        if fail(config):
            raise FloatingPointError(f"seed {config.run.seed} went wrong")
        return plain.rows(config, kept, answers)

    monkeypatch.setitem(commands.COMMANDS, "bench.run", replace(plain, rows=made))
    return begun


def test_rows_are_those_of_single_runs_and_are_made_once(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, points = counted(monkeypatch), points_of(GRID)
    run_points(place, points, here)
    assert begun == [6]
    run_points(place, points, here)
    assert begun == [6]
    grown = points_of(Grid(GRID.command, GRID.options, {**GRID.grid, "seed": [0, 1, 2]}))
    run_points(place, grown, here)
    assert begun == [9]
    assert len(rows(place.folder)) == 9
    at = next(point for point in points if point.coordinates == {"steps": 3, "seed": 1})
    (single,) = run.run(at.config, tmp_path)
    (found,) = [row for row in rows(place.folder) if (row["steps"], row["seed"]) == (3, 1)]
    assert found["accuracy"] == single.accuracy
    assert found["robust.gaussian-0.1"] == single.robust["gaussian-0.1"]
    assert found["synops.dense"] == (single.synops or {})["dense"]


def test_a_point_that_fails_costs_its_own_row_and_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [1]
    begun, points = counted(monkeypatch, lambda config: config.run.seed in bad), points_of(GRID)
    run_points(place, points, here)
    assert begun == [6]
    assert len(place.keys("rows")) == len(place.keys("failed")) == 3
    failed = place.get("failed", next(iter(place.keys("failed"))))
    assert failed["error"] == "FloatingPointError: seed 1 went wrong"
    assert "in made" in failed["traceback"]
    bad.clear()
    run_points(place, points, here)
    assert begun == [9]
    assert len(place.keys("rows")) == 6
    assert not place.keys("failed")


def test_what_another_process_is_at_is_left_to_it(place: Place) -> None:
    point = points_of(GRID)[0]
    with place.claim(point.key) as ours:
        assert ours
        assert work(Place(place.folder), point, "session") == "elsewhere"
    assert work(place, point, "session") == "done"


def test_a_point_that_kills_its_workers_counts_as_failed(place: Place) -> None:
    point = points_of(GRID)[0]
    for _ in range(MOST_DEATHS):
        place.begun(point.key, "this start")
    assert work(place, point, "this start") == "failed"
    assert f"died {MOST_DEATHS} times" in place.get("failed", point.key)["error"]
    assert work(place, point, "the next start") == "done"


@pytest.mark.parametrize("damage", [b"", b"{}", b"null", b"[" * 100_000, b"\xff", None])
def test_a_damaged_row_is_named(place: Place, damage: bytes | None) -> None:
    point = points_of(GRID)[0]
    work(place, point, "session")
    file = place.file("rows", point.key)
    changed = file.read_bytes().replace(b'"images": 4', b'"images": 5') if damage is None else damage
    file.write_bytes(changed)
    with pytest.raises(ConfigError, match=point.key):
        rows(place.folder)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="--output"):
        Place(tmp_path / "file" / "sweep").make()


def test_a_folder_of_a_run_is_no_folder_of_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(ConfigError, match="holds a single run"):
        Place(tmp_path).make()


def test_a_row_of_another_version_and_answers_that_are_gone_are_named_before_work(place: Place) -> None:
    first, second = points_of(GRID)[:2]
    for point in (first, second):
        work(place, point, "session")
    digest = place.get("rows", second.key)["rows"][0]["answers"]
    place.check_answers([first.key, second.key])
    answers_file(place.answers, digest).unlink()
    with pytest.raises(ConfigError, match=f"{digest[:16]}.npz is gone: delete .*{second.key}"):
        place.check_answers([first.key, second.key])
    text = b'{"schema": 1, "rows": []'
    place.file("rows", first.key).write_bytes(text + _seal(text))
    with pytest.raises(ConfigError, match=f"{first.key}.json: has schema 1, this program reads {SCHEMA}"):
        place.check_answers([first.key])


def test_a_disk_that_is_full_costs_the_row_that_did_not_fit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    points = points_of(GRID)
    full, plain = place.file("rows", points[2].key), write_atomically

    def write(path: Path, content: bytes) -> None:
        if path == full:
            raise OSError(ENOSPC, "No space left on device", str(path))
        plain(path, content)

    monkeypatch.setattr("bench.sweeps.place.write_atomically", write)
    run_points(place, points, here)
    assert place.keys("failed") == {points[2].key}
    assert f"No space left on device: '{full}'" in place.get("failed", points[2].key)["error"]
    assert len(rows(place.folder)) == 5


def test_more_rows_than_a_report_shows_are_in_its_table(place: Place) -> None:
    points = points_of(GRID)[:1]
    work(place, points[0], "session")
    begin(place.folder, {"command": "the command"}, "cpu")
    made = place.get("rows", points[0].key)
    many = [replace(points[0], key=f"{number:016x}") for number in range(1200)]
    for number, point in enumerate(many):
        values = {name: value for name, value in made.items() if name != "schema"}
        place.put("rows", point.key, {**values, "coordinates": {"steps": number, "seed": 0}})
    write_report(place, GRID, many, "the command")
    report = (place.folder / "report.md").read_text(encoding="utf-8")
    assert f"{1200 - MOST_LINES} more rows are in summary.csv" in report
    assert "    the command" in report
    with (place.folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 1200
    assert {line["accuracy"] for line in lines} == {str(made["rows"][0]["accuracy"])}
