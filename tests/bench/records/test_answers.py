"""What was answered to each image is kept beside the rows: whole, and no other's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import run
from bench.command_line import ConfigError
from bench.records.answers import ANSWERS, CLEAN, Answers, answers_file, read_answers
from bench.records.row import Row
from bench.records.rows_file import append_row, read_rows
from bench.records.statistics import difference
from models.data import load_data

ARGUMENTS = [
    "--backend",
    "crossbar",
    "--dies",
    "2",
    "--draws",
    "2",
    "--limit",
    "12",
    "--steps",
    "4",
    "--disturbances",
    "gaussian-0.1",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of torch float and two dies."""
    made = tmp_path_factory.mktemp("run")
    run.run(run.read(ARGUMENTS), made)
    return made


def test_every_figure_of_a_row_follows_from_the_answers(folder: Path) -> None:
    rows = [Row.from_json(row) for row in read_rows(folder / "rows.jsonl")]
    told = [read_answers(folder / ANSWERS, row.answers or "") for row in rows]
    labels = load_data("digits").test.at_most(12).labels.numpy()
    for row, answers, machines in zip(rows, told, ((1, 1), (2, 2)), strict=True):
        assert (answers.labels == labels).all()
        assert answers.scores[CLEAN].shape == (*machines, 12, 10)
        for name, share in {CLEAN: row.accuracy, **row.robust}.items():
            assert share == pytest.approx(float((answers.scores[name].argmax(axis=-1) == labels).mean()))
    by_die = (told[1].answered() == labels).mean(axis=(1, 2))
    assert rows[1].crossbar["accuracy_by_die"] == pytest.approx(by_die.tolist())
    change, interval = difference(told[1].right(), told[0].right())
    assert rows[0].against_float is None
    assert rows[1].against_float == {"difference": pytest.approx(change), "ci95": pytest.approx([*interval])}


def test_a_row_that_is_made_later_is_compared_with_the_answers_that_were_kept(folder: Path, tmp_path: Path) -> None:
    first, second = read_rows(folder / "rows.jsonl")
    again = tmp_path / "again"
    again.mkdir()
    append_row(again / "rows.jsonl", first)
    digest = read_answers(folder / ANSWERS, first["answers"]).keep(again / ANSWERS)
    assert digest == first["answers"]
    made = run.run(run.read(ARGUMENTS), again)[1]
    assert made.against_float == second["against_float"]
    assert made.answers == second["answers"]


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_run_does_not_go_on_with_answers_that_are_gone_or_others(folder: Path, tmp_path: Path, damage: str) -> None:
    row = read_rows(folder / "rows.jsonl")[0]
    append_row(tmp_path / "rows.jsonl", row)
    kept = read_answers(folder / ANSWERS, row["answers"])
    kept.keep(tmp_path / ANSWERS)
    file = answers_file(tmp_path / ANSWERS, row["answers"])
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        other = Answers(kept.labels, {CLEAN: kept.scores[CLEAN] + np.float32(1)})
        other.keep(tmp_path)
        answers_file(tmp_path, other.digest).replace(file)
    with pytest.raises(ConfigError, match=file.name):
        run.run(run.read(ARGUMENTS), tmp_path)


def test_a_row_with_answers_is_json(folder: Path) -> None:
    row = Row.from_json(read_rows(folder / "rows.jsonl")[1])
    assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row
    assert replace(row, answers=None) != row
