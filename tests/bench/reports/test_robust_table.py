"""The table of several studies, from rows written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.records.robust_row import RobustRow
from bench.records.rows_file import append_row
from bench.reports import robust_table
from bench.reports.robust_machines import machines_table
from bench.reports.robust_networks import feedback_share
from bench.reports.robust_table import balls_of, differences, smoothness
from bench.reports.studied import Studied, read_study
from models.zoo.manifests import manifest_of


def study(folder: Path, model: str, answers: str, reach: float) -> Path:
    """A run of one attack on four images, all of them right before."""
    folder.mkdir()
    right = answers.count("X") / len(answers)
    for attack, share, letters in (("none", 1.0, "XXXX"), ("worst of all", right, answers)):
        row = RobustRow(
            model, "digits", 0, "torch", "float", attack, "white box", 4, share, (0.0, 1.0), 1.0, True,
            norm=None if attack == "none" else "L2", eps=None if attack == "none" else 0.5, answers=letters,
        )  # fmt: skip
        append_row(folder / "rows.jsonl", row.to_json())
    kept = {"checks": [], "reach": {"l2": reach, "linf": reach, "slope_l2": 1.0}}
    (folder / "checks.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def test_networks_are_compared_image_by_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"one": "XX00", "two": "XXX0", "three": "X000", "four": "XXXX"}
    reaches = {"one": 0.2, "two": 0.3, "three": 0.1, "four": 0.4}
    folders = [study(tmp_path / name, name, answers[name], reaches[name]) for name in answers]
    studies = [read_study(folder) for folder in folders]
    assert balls_of(studies) == [("L2", 0.5)]
    # two is right once more than one, and the intervals of 4 images are wide
    assert differences(studies)[2].startswith("| two - one | +25.0 (")
    assert smoothness(studies) == ["L2 0.5: 1.00"]
    robust_table.main([str(folder) for folder in folders])
    printed = capsys.readouterr().out
    assert "| three | 100.0 (0.0-100.0) | 25.0 (0.0-100.0) | - | 0.100 |" in printed
    assert "L2 0.5: 1.00" in printed


def test_the_picture_has_every_network_and_the_feedback_of_those_that_were_measured(tmp_path: Path) -> None:
    folders = [
        study(tmp_path / str(number), name, "XX00", 0.2) for number, name in enumerate(("feedback-strong", "mine"))
    ]
    robust_table.main([*map(str, folders), "--picture", str(tmp_path / "networks.png")])
    assert (tmp_path / "networks.png").read_bytes().startswith(b"\x89PNG")
    known, unknown = map(read_study, folders)
    assert feedback_share(known) == max(manifest_of("feedback-strong")["feedback"]["share"]) > 0.35
    assert feedback_share(unknown) is None
    assert feedback_share(Studied([replace(known.rows[0], feedback=False)], known.reach)) == 0


def test_a_folder_without_a_study_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        robust_table.main([str(tmp_path)])
    assert ended.value.code == 2
    assert "holds no finished run of bench.robustness" in capsys.readouterr().err


def test_machines_stand_below_their_float_network_and_attacks_beside_transfers_of_the_same_images() -> None:
    def row(backend: str, precision: str, attack: str, threat: str, answers: str, **others: Any) -> RobustRow:
        right = answers.count("X") / len(answers)
        ball = {} if attack == "none" else {"norm": "L2", "eps": 0.5}
        return RobustRow(
            "net", "digits", 0, backend, precision, attack, threat, len(answers), right, (0.0, 1.0), 1.0, True,
            answers=answers, **ball, **others,
        )  # fmt: skip

    point = {"device": "pcm", "hours": 1.0}
    rows = [
        row("torch", "float", "none", "natural", "XXXX"),
        row("torch", "float", "PGD to the end", "white box", "X000"),
        row("crossbar", "analog", "none", "natural", "XXX0", dies=3, point=point),
        row("crossbar", "analog", "PGD to the end", "digital twin", "X0X0", dies=3, point=point),
        row("crossbar", "analog", "PGD", "hardware in the loop", "XX", dies=1, point=point, gradient="mean of 1"),
        row("crossbar", "analog", "PGD", "hardware in the loop", "00", dies=1, point=point, gradient="mean of 4"),
    ]
    table = machines_table([Studied(rows, {}), Studied(rows[:2], {})])
    assert table[0] == "| network | machine | clean % | L2 0.5 | in the loop / transferred | corrupted % |"
    assert table[2:] == [
        "| net | torch float | 100.0 (0.0-100.0) | 25.0 (0.0-100.0) | - | - |",
        "| net | 3 dies of pcm, 1 h | 75.0 (0.0-100.0) | 50.0 (0.0-100.0) | 0 / 50 | - |",
    ]
