"""The contract of `python -m bench.compare`, on a processor alone."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from bench.compare import __main__ as compare
from bench.compare import table
from bench.compare.measured import per_image
from bench.compare.options import command_of
from bench.compare.report import main as redraw
from bench.compare.robust import with_robustness
from bench.compare.row import CompareRow
from hw.meters.window import Measured, Window

FEW = ["--backends", "torch", "--limit", "4", "--validation", "8", "--steps", "6", "--batches"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compare") / "run"
    compare.main([*FEW, "--output", str(made)])
    return made


def test_a_run_leaves_every_figure_and_picture(folder: Path) -> None:
    document = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    rows = document["rows"]
    assert {(row["network"], row["way"]) for row in rows} == {("digits", "settles"), ("digits-twin-0", "one pass")}
    rules = [row["rule"] for row in rows if row["network"] == "digits" and row["profile"] == "horowitz2014-45nm"]
    assert rules == ["all steps", "fixed steps", "residual", "confidence"]
    for row in rows:
        energy = row["energy_j"]
        assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
        assert row["correct_j"]["nominal"] == pytest.approx(energy["nominal"] / row["accuracy"])
        assert sum(row["breakdown_j"].values()) == pytest.approx(energy["nominal"])
        if row["latency_s"] is not None:
            assert row["energy_delay_js"]["high"] == pytest.approx(energy["high"] * row["latency_s"]["high"])
    assert {one["how"] for one in document["training"]} == {"equilibrium propagation", "backpropagation of the twin"}
    for name in (
        "report.md",
        "energy-latency.png",
        "energy-accuracy.png",
        "stopping-energy.png",
        "stopping-time.png",
        "physics.png",
        "env.json",
    ):
        assert (folder / name).stat().st_size > 0
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "python -m bench.compare --backends torch --limit 4" in report
    assert str(folder) not in report


def test_an_image_that_stops_early_costs_its_steps(folder: Path) -> None:
    rows = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"]
    own = [row for row in rows if row["network"] == "digits" and row["profile"] == "horowitz2014-45nm"]
    whole = next(row for row in own if row["rule"] == "all steps")
    fixed = next(row for row in own if row["rule"] == "fixed steps")
    steps = fixed["per_image"]["steps"]["median"]
    assert whole["per_image"]["steps"] == {"median": 6.0, "p95": 6.0}
    # arithmetic of the input drive and the readout once, of everything else at every step
    per_step = (whole["energy_j"]["nominal"] - fixed["energy_j"]["nominal"]) / (6 - steps)
    assert 0 < per_step < fixed["energy_j"]["nominal"] / steps


@pytest.mark.slow
def test_report_and_pictures_are_drawn_again_from_what_is_kept(folder: Path, tmp_path: Path) -> None:
    before = (folder / "report.md").read_bytes()
    (folder / "report.md").unlink()
    redraw([str(folder)])
    assert (folder / "report.md").read_bytes() == before
    with pytest.raises(SystemExit) as ended:
        redraw([str(tmp_path)])
    assert ended.value.code == 2


def test_measured_and_modelled_figures_never_share_a_column(folder: Path) -> None:
    modelled = {field.name for field in fields(CompareRow)}
    assert not [name for name in modelled if "measured" in name]
    found = Measured((Window(4, 4.0, 8.0), Window(2, 4.0, 8.0)), 1.0, "counter", "device", {}, None)
    told = per_image(found, batch=2)
    assert not set(told) & modelled
    assert (told["seconds"], told["gross_j"], told["net_j"]) == (0.75, 1.5, 0.75)
    row = {"network": "net", "device": "device", "batch": 2, **told}
    (line,) = table.measured_lines([row])
    assert line[table.MEASURED.index("joules measured")] == "1.5 J ± 707 mJ"
    for heading in (table.MODELLED, table.EARLY, table.PHYSICS, table.TRAINING):
        assert not set(heading) & set(table.MEASURED) - {"network"}
        assert not [name for name in heading if "measured" in name]
    assert not [name for name in table.MEASURED if "modelled" in name]
    document = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    assert document["measured"] == []


def test_what_no_counter_measured_is_none_and_says_why() -> None:
    found = Measured((Window(1, 3.0, None), Window(1, 3.0, None)), None, None, None, {}, "no powercap here")
    told = per_image(found, batch=3)
    assert (told["seconds"], told["gross_j"], told["net_j"], told["reason"]) == (1.0, None, None, "no powercap here")
    row = {"network": "net", "device": "device", "batch": 3, **told}
    assert table.measured_lines([row])[0][4:] == ["-", "-", "-", "none"]
    assert table.best([row, {**row, "batch": 1, "seconds": 9.0}]) == ["Least of an image of net: 1 s, 3 at once."]
    assert table.reasons([row, row]) == ["Joules were not measured: no powercap here."]


def test_robust_accuracy_comes_from_kept_rows_of_the_same_machine(folder: Path) -> None:
    rows = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"]
    row = CompareRow(**{**rows[0], "network": "hw-cifar10-small"})
    known, other = with_robustness([row, CompareRow(**{**rows[0], "network": "hw-cifar10-small", "backend": "lava"})])
    assert 0 < known.robust["L2 0.5"] < known.robust["L2 0.124"] < 1
    assert other.robust == {}


def test_the_command_says_where_nothing_lies() -> None:
    words = ["--data-dir", "/somewhere/data", "--output", "kept/here", "--quick"]
    assert command_of(words) == "python -m bench.compare --data-dir data --output kept/here --quick"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--backends", "tpu"], "--backends 'tpu' is unknown"),
        (["--backends", "torch", "torch"], "--backends ['torch', 'torch']: give each value once"),
        (["--model", "digit"], "--model 'digit' is unknown (nearest: digits)"),
        (["--twin", "no-twin"], "--twin 'no-twin' is unknown"),
        (["--backends", "torch", "--twin", "digits"], "--twin 'digits' has feedback"),
        (["--limit", "0"], "--limit is 0, must be at least 1"),
        (["--loss", "1.5"], "--loss is 1.5"),
        (["--steps", "0"], "--steps is 0"),
        (["--state-bits", "3"], "--state-bits is 3, choices are 4, 5, 6, 7, 8"),
        (["--window-s", "1"], "--window-s is 1.0, must be 3 s to an hour"),
        (["--repeats", "1"], "--repeats is 1, must be at least 2"),
        (["--batches", "0", "4"], "--batches is 0"),
        (["--data-dir", "/no/such/folder"], "--data-dir '/no/such/folder' is not a folder"),
        (["--backends", "torch", "--dies", "2"], "--dies is an option of crossbar"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_what_cannot_be_compared_is_named(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main([*options, "--output", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_every_platform_takes_part_and_stopping_saves_on_each(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    compare.main(["--quick", "--validation", "60", "--batches", "--output", str(folder)])
    rows = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"]
    machines = {(row["backend"], row["precision"], row["way"]) for row in rows}
    assert machines == {
        ("torch", "float", "settles"),
        ("lava", "fixed", "settles"),
        ("lava", "delta", "settles"),
        ("crossbar", "analog", "settles"),
        ("resistive", "analog", "settles"),
        ("torch", "float", "one pass"),
        ("lava", "delta", "one pass"),
        ("crossbar", "analog", "one pass"),
    }
    for whole in (row for row in rows if row["rule"] == "all steps" and row["way"] == "settles" and row["batch"] == 1):
        same = ("network", "platform", "profile")
        early = [row for row in rows if all(row[name] == whole[name] for name in same) and row["rule"] == "residual"]
        assert early[0]["energy_j"]["nominal"] < 0.8 * whole["energy_j"]["nominal"], whole["platform"]
    assert np.isfinite([row["accuracy"] for row in rows]).all()
