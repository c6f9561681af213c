"""What differs between two runs: matched by what rows are of, with the interval of a difference of proportions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import diff
from bench.records.answers import ANSWERS, Answers
from bench.records.row import Row
from bench.records.rows_file import append_row
from bench.records.statistics import accuracy_interval


def written(folder: Path, *rows: Row) -> str:
    folder.mkdir()
    for row in rows:
        append_row(folder / "rows.jsonl", row.to_json())
    return str(folder)


def row(right: int, images: int = 360, precision: str = "float", **values: Any) -> Row:
    share = {"accuracy": right / images, "accuracy_ci95": accuracy_interval(right, images)}
    return Row("lava", precision, "digits", "digits", 0, images=images, **share, **values)


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    if code:
        with pytest.raises(SystemExit) as ended:
            diff.main(arguments)
        assert ended.value.code == code
    else:
        diff.main(arguments)
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_a_difference_has_the_interval_that_newcombe_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Example (a) of his table II: 56 of 70 against 48 of 80, 0.2000, by method 10: 0.0524 to 0.3339."""
    after = row(56, 70)
    before = row(48, 80)
    same = {"images": None}
    a, b = (written(tmp_path / name, Row(**{**vars(one), **same})) for name, one in (("a", before), ("b", after)))
    (change,) = told(capsys, a, b)["changes"]
    assert change["after"] - change["before"] == pytest.approx(0.2)
    assert change["interval"] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    (back,) = told(capsys, b, a, code=1)["changes"]
    assert back["interval"] == pytest.approx([-0.3339, -0.0524], abs=5e-5)
    assert back["worse"]


def test_only_what_is_worse_for_certain_stops_a_ci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = written(tmp_path / "first", row(350), row(340, precision="fixed", energy_j={"nominal": 1.0}))
    noise = written(tmp_path / "noise", row(348), row(341, precision="fixed", energy_j={"nominal": 1.04}))
    worse = written(tmp_path / "worse", row(300), row(340, precision="fixed", energy_j={"nominal": 1.2}))
    less = written(tmp_path / "less", row(350))
    assert told(capsys, first, first) == {"worse": 0, "changes": []}
    assert told(capsys, first, noise)["worse"] == 0
    assert told(capsys, first, worse, code=1)["worse"] == 2
    assert told(capsys, first, worse, "--percent", "30", code=1)["worse"] == 1
    assert told(capsys, first, worse, "--percent", "30", "--points", "20")["worse"] == 0
    assert told(capsys, first, less, code=1)["changes"][-1]["figure"] == "row"
    assert told(capsys, less, first)["worse"] == 0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 4,000 pairs of draws, 95 % within three standard errors (and what a discrete law leaves)."""
    rng, inside, true = np.random.default_rng(0), 0, (0.85, 0.8)
    for _ in range(4000):
        old, new = (
            {"accuracy": right / 300, "accuracy_ci95": "{} {}".format(*accuracy_interval(int(right), 300))}
            for right in rng.binomial(300, true)
        )
        interval = diff._unpaired(old, new, "accuracy")
        assert interval is not None
        inside += interval[0] <= true[1] - true[0] <= interval[1]
    assert abs(inside / 4000 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 4000) + 0.005


def answered(folder: Path, right: Any) -> str:
    """A folder of one machine that gave these answers to so many images of class 1."""
    scores = np.stack([1.0 - np.asarray(right, np.float32), np.asarray(right, np.float32)], axis=-1)
    answers = Answers(np.ones(len(right), np.int64), {"clean": scores[None, None]})
    digest = answers.keep(folder / ANSWERS)
    right_ones = int(np.sum(right))
    made = Row("lava", "fixed", "digits", "digits", 0, images=len(right), accuracy=right_ones / len(right))
    interval = accuracy_interval(right_ones, len(right))
    append_row(folder / "rows.jsonl", replace(made, accuracy_ci95=interval, answers=digest).to_json())
    return str(folder)


def test_answers_to_the_same_images_are_compared_in_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newcombe, Stat. Med. 17:2635, 1998: 36 right in both, 12 and 2 in one of them: 0.2 (0.0569 to 0.3404)."""
    better = answered(tmp_path / "better", np.repeat([1, 1, 0], (36, 12, 2)))
    worse = answered(tmp_path / "worse", np.repeat([1, 0, 1], (36, 12, 2)))
    (change,) = told(capsys, better, worse, code=1)["changes"]
    assert change["paired"]
    assert change["interval"] == pytest.approx([-0.3404, -0.0569], abs=5e-5)
    (file,) = (tmp_path / "worse" / ANSWERS).glob("*.npz")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SystemExit) as ended:
        diff.main([better, worse])
    assert ended.value.code == 2
    assert file.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone", "gone"], "gone is no folder of a run or a sweep"),
        (["{a}", "{a}", "--points", "-1"], "--points is -1.0"),
        (["{a}", "{a}", "--percent", "nan"], "--percent is nan"),
        (["{twice}", "{a}"], "two rows of"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"a": written(tmp_path / "a", row(350)), "twice": written(tmp_path / "twice", row(350), row(350))}
    with pytest.raises(SystemExit) as ended:
        diff.main([argument.format(**places) for argument in arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
