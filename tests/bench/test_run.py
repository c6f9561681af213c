"""The main job as a user calls it: contract of the last line, files, bad options, kill and resume."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from helpers.run_calls import call, refused, stopped

from bench import evaluate as bench_evaluate
from bench import run as bench_run
from bench.machines.registry import BACKENDS, row_keys
from bench.options import machines_of
from bench.robustness.names import DISTURBANCES, disturbances_of
from mapping.machines import to_digital
from models.data import load_data
from models.zoo import load_model

SHORT = ["--limit", "12", "--steps", "6"]


def test_lava_alone_brings_the_reference_and_every_precision(tmp_path):
    folder = tmp_path / "run"
    document = call(bench_run, "--backend", "lava", *SHORT, "--output", str(folder))
    assert document["folder"] == str(folder)
    rows = document["rows"]
    assert [(row["backend"], row["precision"]) for row in rows] == [
        ("torch", "float"),
        ("lava", "float"),
        ("lava", "fixed"),
        ("lava", "delta"),
    ]
    for row in rows:
        assert (row["model"], row["data"], row["images"], row["steps"]) == ("digits", "digits", 12, 6)
        low, high = row["accuracy_ci95"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        assert set(row["robust"]) == set(disturbances_of(1))
        assert set(row["synops"]) == {"dense", "zero_skip", "delta"}
        assert row["synops"]["dense"] >= row["synops"]["zero_skip"] > 0
        assert set(row["energy_j"]) == {"low", "nominal", "high", "profile"}
        assert row["wall_s_per_image"] > 0
    torch_row, lava_float, fixed, delta = rows
    assert torch_row["latency_s"]["measured"] > 0
    assert lava_float["energy_j"]["nominal"] is None, "no chip computes in floating point"
    assert fixed["energy_j"]["low"] <= fixed["energy_j"]["nominal"] <= fixed["energy_j"]["high"]
    assert fixed["latency_s"]["measured"] is None, "a simulation's clock is not the chip's"
    assert set(fixed["robust"]) == set(disturbances_of(1))
    assert fixed["robust"] == delta["robust"], "delta is exact at threshold 1"
    assert fixed["synops"] == delta["synops"]
    assert delta["energy_j"]["nominal"] < fixed["energy_j"]["nominal"]
    # the same images through the same network in the same arithmetic
    assert torch_row["accuracy"] == lava_float["accuracy"]
    for name in ("config.json", "env.json", "rows.jsonl", "summary.csv", "report.md", "settling.png", "energy.png"):
        assert (folder / name).stat().st_size > 0
    with (folder / "summary.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [float(line["accuracy"]) for line in table] == [row["accuracy"] for row in rows]
    assert "![" in (folder / "report.md").read_text()


def test_killed_run_resumes_and_repeats_no_finished_row(monkeypatch, tmp_path):
    folder = tmp_path / "run"
    options = ["--backend", "torch", "--precision", "float", "fixed", *SHORT, "--output", str(folder)]
    whole = call(bench_run, *options)["rows"]
    file = folder / "rows.jsonl"
    first, second = file.read_text().splitlines(keepends=True)
    file.write_text(first + second[: len(second) // 2])  # killed while it wrote the second row
    made = []
    evaluate = bench_evaluate.evaluate
    monkeypatch.setattr(
        bench_evaluate, "evaluate", lambda *arguments: made.append(arguments[1].key) or evaluate(*arguments)
    )
    again = call(bench_run, *options, "--resume")["rows"]
    assert made == ["torch fixed"]
    timed = ("wall_s_per_image", "latency_s", "energy_measured_j", "date")
    assert [{k: v for k, v in row.items() if k not in timed} for row in again] == [
        {k: v for k, v in row.items() if k not in timed} for row in whole
    ]
    assert len(file.read_text().splitlines()) == 2
    made.clear()
    call(bench_run, *options, "--resume")
    assert made == []


def test_resume_refuses_other_options_and_folders_without_a_run(tmp_path):
    folder = tmp_path / "run"
    call(bench_run, "--backend", "torch", *SHORT, "--output", str(folder))
    said = refused(bench_run, "--backend", "torch", "--limit", "12", "--output", str(folder), "--resume")
    assert "steps = 6, not 40" in said
    said = refused(bench_run, "--backend", "torch", *SHORT, "--output", str(folder))
    assert "already holds a run" in said
    said = refused(bench_run, "--backend", "torch", "--output", str(tmp_path / "none"), "--resume")
    assert "holds no run" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "loihi9"], ["--backend", "'loihi9'", "torch", "lava"]),
        (["--backend", "lava", "--precision", "double"], ["--precision", "'double'", "float", "fixed", "delta"]),
        (["--backend", "torch", "--precision", "delta"], ["--precision delta", "torch: float, fixed"]),
        (["--model", "no-such-net"], ["--model", "'no-such-net'", "digits"]),
        (["--data", "imagenet"], ["--data", "'imagenet'", "digits", "mnist", "cifar10", "cifar100"]),
        (["--data-dir", "no/such/folder"], ["--data-dir", "no/such/folder"]),
        (["--disturbances", "fog"], ["--disturbances", "'fog'", *DISTURBANCES]),
        (["--limit", "0"], ["--limit is 0", "at least 1"]),
        (["--batch-size", "-3"], ["--batch-size is -3"]),
        (["--steps", "0"], ["--steps is 0"]),
        (["--steps", "many"], ["steps", "many"]),
        (["--seed", "-1"], ["--seed is -1"]),
        (["--tolerance", "-0.1"], ["--tolerance is -0.1"]),
        (["--tolerance", "nan"], ["--tolerance is nan"]),
        (["--state-bits", "9"], ["--state-bits is 9", "4, 5, 6, 7, 8"]),
        (["--backend", "lava", "--delta-threshold", "0"], ["--delta-threshold is 0", "at least 1"]),
        (["--backend", "lava", "--delta-threshold", "256"], ["--delta-threshold is 256", "255"]),
        (["--device", "tpu"], ["--device is 'tpu'", "cpu"]),
        (["--frobnicate", "1"], ["frobnicate"]),
        (["--output", ""], ["--output is ''"]),
        (["--steps", "100001"], ["--steps is 100001", "at most 100,000"]),
        (["--state-bits", "6"], ["--state-bits changes nothing", "--precision fixed or delta"]),
        (["--backend", "lava", "--precision", "fixed", "--delta-threshold", "2"], ["--delta-threshold", "needs"]),
        (["--backend", "crossbar", "--verify-tolerance", "0.1"], ["--verify-tolerance", "write-verify"]),
        (["--backend", "crossbar", "--cell-bits", "4"], ["--cell-bits", "--weight-bits"]),
        (["--disturbances", "gaussian-0.1", "gaussian-0.1"], ["--disturbances", "once"]),
        (["--epochs", "3"], ["--epochs"]),
        (["--learn", "repair"], ["--learn"]),
    ],
)
def test_bad_options_exit_2_and_name_value_and_choices(options, words):
    said = refused(bench_run, *options)
    for word in words:
        assert word in said


def test_damaged_checkpoint_is_refused_before_a_folder_is_made(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes((Path(bench_run.__file__).parents[1] / "models/zoo/digits.safetensors").read_bytes()[:1000])
    folder = tmp_path / "run"
    said = stopped(bench_run, "--model", broken, "--data", "digits", "--output", folder)
    assert "broken.safetensors" in said
    assert not folder.exists()


def test_list_names_what_there_is():
    document = call(bench_run, "--list")
    assert document["backends"] == {name: list(entry.precisions) for name, entry in BACKENDS.items()}
    assert "digits" in document["models"]


def test_tolerance_and_thresholds_reach_the_machines(tmp_path):
    settings = ["--limit", "12", "--steps", "40", "--tolerance", "0.05", "--output", str(tmp_path / "run")]
    (row, fixed) = call(bench_run, "--backend", "torch", "--precision", "float", "fixed", *settings)["rows"]
    assert row["steps"] < 40
    assert fixed["steps"] < 40
    assert row["residual"]["max"] <= 0.05


def test_settling_in_portions_changes_nothing_but_the_memory_it_takes(monkeypatch):
    network, images = load_model("digits"), load_data("digits").test.first(23).floats().numpy()
    with to_digital(network, steps=5, batch_size=4) as machine:
        whole = machine.settle(images)
        monkeypatch.setattr(bench_evaluate, "AT_ONCE", 10)
        answer = bench_evaluate.settle(machine, images)
    np.testing.assert_allclose(answer.logits_by_step, whole.logits_by_step, atol=1e-5)
    np.testing.assert_allclose(answer.residual, whole.residual, atol=1e-6)
    np.testing.assert_array_equal(answer.ledger.messages.dense, whole.ledger.messages.dense)
    assert (answer.ledger.images, answer.states) == (23, ())


def test_disturbances_are_those_asked_for_and_none_without_a_name(tmp_path):
    options = ["--backend", "torch", *SHORT]
    (few,) = call(
        bench_run,
        *options,
        "--disturbances",
        "gaussian-0.2",
        "pgd-linf-0.1",
        "--output",
        str(tmp_path / "few"),
    )["rows"]
    (every,) = call(bench_run, *options, "--output", str(tmp_path / "every"))["rows"]
    assert few["robust"] == {name: every["robust"][name] for name in ("gaussian-0.2", "pgd-linf-0.1")}
    assert not (tmp_path / "few" / "pgd-linf-0.03.safetensors").exists()
    folder = tmp_path / "none"
    dies = [
        "--backend",
        "crossbar",
        *SHORT,
        "--dies",
        "1",
        "--hours",
        "0",
        "1",
        "--disturbances",
        "--output",
        str(folder),
    ]
    reference, *rows = call(bench_run, *dies)["rows"]
    assert reference["robust"] == rows[0]["robust"] == {}
    # the table has the reference and the first point, the sweep both
    report = (folder / "report.md").read_text()
    assert "| per image | torch float | crossbar analog |" in report
    assert (folder / "sweep-hours.png").exists()


def test_where_data_lie_is_not_written_down_and_may_change(tmp_path):
    folder = tmp_path / "run"
    options = ["--backend", "torch", *SHORT, "--output", str(folder)]
    call(bench_run, *options, "--data-dir", str(tmp_path))
    call(bench_run, *options, "--resume")
    for name in ("config.json", "env.json", "rows.jsonl", "report.md", "summary.csv"):
        assert str(tmp_path) not in (folder / name).read_text()


def test_rows_start_with_the_reference_and_repeat_nothing():
    machines = machines_of(None)
    assert [row.key for row in row_keys(("torch",), (), machines)] == ["torch float"]
    assert [row.key for row in row_keys(("torch",), ("float", "fixed"), machines)] == ["torch float", "torch fixed"]
    both = row_keys(("lava", "torch"), ("fixed",), machines)
    assert [row.key for row in both] == ["torch float", "lava fixed", "torch fixed"]
