"""Learning runs as a user calls them: rows, files and resume, and what is kept when one has to stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.learning_studies import SHORT, fresh, furthest
from helpers.run_calls import call, refused

from bench import learn as bench_learn
from bench import options as run_options
from bench import run as bench_run
from bench.records.answers import read_answers
from bench.studies import beta
from bench.studies import run as learning_run
from bench.studies.defaults import SCRATCH
from bench.studies.options import LearnOptions, schedule_of
from bench.studies.repair import ARMS
from mapping.machines import to_digital
from mapping.program import Program
from mapping.training import train_on_machine
from models.data import load_data
from models.files.checkpoint import load_network

REPAIR = ["repair", *SHORT]
LEARNT, REWRITTEN, LEFT = ARMS[0], ARMS[1], ARMS[2]


@pytest.fixture(autouse=True)
def _few_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two updates instead of eight, few to calibrate with: nobody here asks how well a die learns."""
    monkeypatch.setattr(run_options, "DIE_CALIBRATION_IMAGES", 8)
    monkeypatch.setattr(learning_run, "QUICK_TRAINING", 32)


def _undated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By die, without when they were made and how the file seals them."""
    kept = [{name: value for name, value in row.items() if name not in ("date", "digest")} for row in rows]
    return sorted(kept, key=lambda row: row["die"])


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _check_curve(curve: dict[str, Any], epochs: int) -> None:
    assert len(curve["accuracy"]) == epochs + 1
    assert len(curve["train_accuracy"]) == len(curve["written"]) == len(curve["agreement"]) == epochs
    assert all(0 <= value <= 1 for value in (*curve["accuracy"], *curve["train_accuracy"]))
    assert curve["stopped"] is None
    for events, energy in zip(curve["written"], curve["energy_j"], strict=True):
        assert set(events) == {"devices", "pulses", "verify_reads", "energy_j", "given_up"}
        assert events["devices"] > 0
        assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
    assert 0 < curve["writes_per_device"]["mean"] <= curve["writes_per_device"]["max"]


def test_a_repair_has_a_row_per_die_and_goes_on_where_it_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    whole = call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder))
    assert whole["folder"] == str(folder)
    rows = sorted(whole["rows"], key=lambda row: row["die"])
    assert [row["die"] for row in rows] == [1, 2]
    for row in rows:
        described = {name: row[name] for name in ("learn", "backend", "precision", "update", "model", "images", "seed")}
        assert described == {
            "learn": "repair", "backend": "crossbar", "precision": "analog", "update": "rewrite", "model": "digits",
            "images": 8, "seed": 0,
        }  # fmt: skip
        assert row["point"]["device"] == "pcm-nandakumar-2019"
        assert 0 <= row["float_accuracy"] <= 1
        assert row["damage"] == {"stuck_on": 0.025, "stuck_off": 0.025, "transpose_terminals": "opposite"}
        assert tuple(row["arms"]) == ARMS
        answers = read_answers(folder / "answers", row["answers"])
        for arm in ARMS:
            for when, place in (("before", 0), ("after", -1)):
                assert answers.right(f"{arm}, {when}").mean() == row["arms"][arm]["accuracy"][place]
        _check_curve(row["arms"][LEARNT], 1)
        _check_curve(row["arms"][ARMS[3]], 1)
        assert list(row["arms"][LEFT]) == ["accuracy"]
        assert len(row["arms"][LEFT]["accuracy"]) == 1
        # write-verify may spend what learning wrote; a weight whose sign turns over takes two writes
        spent, budget = (row["arms"][arm]["written"][0]["devices"] for arm in (REWRITTEN, LEARNT))
        assert 0 < spent < 2 * budget
        assert row["arms"][REWRITTEN]["written"][0]["verify_reads"] > 0
        # what was written is what devices of this die have had
        assert row["arms"][REWRITTEN]["writes_per_device"]["max"] >= 1
    assert rows[0]["arms"] != rows[1]["arms"]
    assert {file.name for file in folder.iterdir()} >= {
        "config.json", "env.json", "rows.jsonl", "report.md", "learning.png",
    }  # fmt: skip
    report = (folder / "report.md").read_text()
    for arm in ARMS:
        assert f"| {arm} |" in report
    assert "2.5 % of the devices stuck on, 2.5 % stuck off" in report

    file = folder / "rows.jsonl"
    kept = _rows(file)
    file.write_text(json.dumps(kept[0]) + "\n" + json.dumps(kept[1])[:200])  # killed while it wrote the second
    made: list[int] = []
    repair = learning_run.repair_die
    monkeypatch.setattr(
        learning_run, "repair_die", lambda *arguments: made.append(arguments[2] + 1) or repair(*arguments)
    )
    again = call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder), "--resume")["rows"]
    assert made == [kept[1]["die"]]
    # a die is its seed: the one made anew is the one that was lost
    assert _undated(again) == _undated(_rows(file)) == _undated(rows)
    # nothing is left to do
    made.clear()
    assert call(bench_learn, *REPAIR, "--dies", "2", "--output", str(folder), "--resume")["rows"] == again
    assert not made
    other = ["--dies", "2", "--epochs", "2", "--output", str(folder), "--resume"]
    said = refused(bench_learn, *REPAIR, *other)
    assert "epochs = None, not 2" in said


def test_machines_that_learn_from_scratch_have_a_curve_each(tmp_path: Path) -> None:
    options = ["scratch", "--backend", "torch", "crossbar", "--device-preset", "li-ecram-2018"]
    options += ["--update", "pulses", "mixed", "--dies", "2", *SHORT]
    rows = call(bench_learn, *options, "--output", str(tmp_path / "run"))["rows"]
    keys = [(row["backend"], row["precision"], row["update"], row["die"]) for row in rows]
    dies = [("crossbar", "analog", update, die) for update in ("pulses", "mixed") for die in (1, 2)]
    assert sorted(map(str, keys)) == sorted(
        map(str, [("torch", "float", None, None), ("torch", "fixed", None, None), *dies])
    )
    for row in rows:
        curve = row["curve"]
        if row["backend"] == "torch":
            assert len(curve["accuracy"]) == 2
            assert "written" not in curve
        else:
            _check_curve(curve, 1)
            # its response to pulses is published, and the voltage of one is not
            assert curve["written"][0]["pulses"] > 0
            assert curve["written"][0]["energy_j"] is None
            assert all(0 < value <= 1 for value in curve["agreement"][0])
    assert (tmp_path / "run" / "learning.png").exists()


def test_a_beta_sweep_has_a_cosine_for_every_beta_and_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["beta", "--beta", "0.2", "0.5", "--noise-scale", "0", "--hours", "0"]
    options += ["--adc-bits", "None", *SHORT, "--free-steps", "2", "--nudged-steps", "1"]
    monkeypatch.setattr(beta, "BATCH", 8)
    rows = call(bench_learn, *options, "--output", str(tmp_path / "run"))["rows"]
    for row in rows:
        assert [entry["beta"] for entry in row["cosines"]] == [0.2, 0.5] * (len(row["cosines"]) // 2)
        assert len({(entry["remedy"], entry["beta"]) for entry in row["cosines"]}) == len(row["cosines"])
        for entry in row["cosines"]:
            assert set(entry["cosine"]) == {"link1", "link2", "readout"}
            assert all(-1 <= value <= 1 + 1e-9 for value in entry["cosine"].values())


@pytest.mark.parametrize(
    ("device", "rates", "says", "learnt"),
    [
        ("endurance = 1.0", "0.1", " writes, worn stands 1: stopped", True),
        ("", "1e6", "an update of link1 would change a weight by", False),
    ],
    ids=["worn", "overdriven"],
)
def test_a_run_that_has_to_stop_says_why_and_keeps_what_was_learnt(
    tmp_path: Path,
    device: str,
    rates: str,
    says: str,
    learnt: bool,
) -> None:
    """As a user meets it: a row with the curve so far and the reason, a line in the report, and the weights."""
    own = tmp_path / "worn.toml"
    own.write_text(f'base = "li-ecram-2018"\nname = "worn"\n{device}\n')
    options = ["scratch", "--backend", "crossbar", "--device-preset", str(own), "--update", "mixed", *SHORT]
    options += ["--learning-rates", rates, rates, "--output", str(tmp_path / "run")]
    rows = call(bench_learn, *options)["rows"]
    for row in rows:
        curve = row["curve"]
        assert says in curve["stopped"]
        assert len(curve["accuracy"]) == 2
        assert curve["train_accuracy"] == []  # no epoch was whole
        assert len(curve["written"]) == learnt
        assert (curve["writes_per_device"]["max"] >= 1) == learnt
        network = load_network(tmp_path / "run" / row["learnt"])
        start = fresh(row["seed"] + row["die"] - 1)
        assert (furthest(network, start) > 1e-3) or not learnt
    assert f"- Stopped: {rows[0]['curve']['stopped']}" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize("seed", range(3))
def test_no_output_of_the_network_of_dies_falls_silent_for_good(seed: int) -> None:
    """At beta 0.5 three of the ten outputs of the last seed do, and no nudge wakes them again."""
    data = load_data("digits")
    network = fresh(seed)
    schedule = replace(schedule_of(LearnOptions("scratch"), SCRATCH["dies"], quick=False), epochs=3)
    machine = to_digital(network, steps=40)
    for _ in train_on_machine(
        machine, network, data.train.floats().numpy(), data.train.labels.numpy(), schedule, seed=seed
    ):
        pass
    assert (machine.settle(data.validation.floats().numpy()).states[-1].max(axis=0) > 0.1).all()


def test_what_was_learnt_can_be_used(tmp_path: Path) -> None:
    """Floats as a checkpoint, integers as a program: both give the accuracy that the row reports."""
    options = ["scratch", "--backend", "torch", *SHORT, "--output", str(tmp_path / "run")]
    rows = call(bench_learn, *options)["rows"]
    test = load_data("digits").test.first(8)
    for row in rows:
        file = tmp_path / "run" / row["learnt"]
        source = load_network(file) if row["precision"] == "float" else Program.load(file)
        settled = to_digital(source, steps=4).settle(test.floats().numpy())
        right = float((settled.logits.argmax(axis=1) == test.labels.numpy()).mean())
        assert right == row["curve"]["accuracy"][-1]


@pytest.mark.parametrize(("command", "options"), [(bench_run, ["--list"]), (bench_learn, ["repair", "--list"])])
def test_list_names_what_can_be_learnt_and_how(command: ModuleType, options: list[str]) -> None:
    document = call(command, *options)
    assert document["studies"] == ["repair", "scratch", "beta"]
    assert document["updates"] == ["rewrite", "pulses", "mixed", "two-arrays"]
    assert document["estimators"] == ["one_sided", "centered", "n_point"]
