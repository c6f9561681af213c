"""The contract of `python -m bench.compare`, on a processor alone."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare import __main__ as compare
from bench.compare import table
from bench.compare.measured import per_image
from bench.compare.options import command_of
from bench.compare.places import place_of
from bench.compare.report import main as redraw
from bench.compare.robust import kept_rows, with_robustness
from bench.compare.row import CompareRow
from bench.machines.crossbar_dies import Point
from hw.cost.constants import TABLE
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
    lava = replace(row, backend="lava", precision="fixed")
    known, chip, exact, rough = (
        *with_robustness([row, lava, replace(lava, precision="delta")], kept_rows(), exact_changes=True),
        *with_robustness([replace(lava, precision="delta")], kept_rows()),
    )
    # everything was tried on 500 images of the network; at the middle radii 200 of its attack were shown to the chip,
    # at the others 100
    assert (known.robust["L2 0.309"], known.robust["Linf 0.01"]) == (0.49, 0.416)
    assert (chip.robust["L2 0.309 of the network"], chip.robust["Linf 0.01 of the network"]) == (0.53, 0.385)
    assert chip.robust["L2 0.124 of the network"] == 0.75
    assert set(chip.robust) == {f"{ball} of the network" for ball in known.robust}
    assert exact.robust == chip.robust
    assert rough.robust == {}, "changes that are rounded have not been attacked"


def test_dies_have_the_robust_accuracy_of_dies_of_their_device(folder: Path) -> None:
    rows = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"]
    row = CompareRow(**{**rows[0], "network": "hw-cifar10-small", "backend": "crossbar", "precision": "analog"})
    kept = kept_rows()
    pcm, reram = (
        Point(device, noise_scale=1.0, hours=1.0, adc_bits=8, tile_size=256)
        for device in ("pcm-nandakumar-2019", "reram-wan-2022-aihwkit")
    )
    left = [with_robustness([row], kept, point)[0].robust for point in (pcm, reram, replace(pcm, hours=24.0), None)]
    for found, point in zip(left[:2], (pcm, reram), strict=True):
        of_dies = [one for one in kept if (one.model, one.point) == ("hw-cifar10-small", vars(point))]
        assert found["Linf 0.01 of the network"] == [one.accuracy for one in of_dies if one.eps == 0.01][-1]
    assert left[0] != left[1]
    assert left[2:] == [{}, {}]


def test_the_report_says_where_networks_sit_and_where_there_is_no_latency(folder: Path) -> None:
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "- processor, 45 nm: no time of its operations is published" in report
    assert "- torch fixed: integers on a processor stop where those of Lava do" in report


def test_places_in_words() -> None:
    layer = {"units": 64, "cores": 2, "first": 0, "busiest": 1.0, "full": {"units": 0.1, "axons_in": 0.925}}
    placed = {"chip": "loihi1", "layers": [layer, {**layer, "cores": 200, "full": {"bytes": 0.5}}]}
    assert place_of({"placement": placed}) == {
        "takes": "202 cores of loihi1, 2 chips",
        "fullest": "axons in of input, 92 %",
    }
    tiles = {"tiles": [1, 2], "links": ["link1", "readout"], "network": "mesh", "buffer_bytes": [32768, 100]}
    assert place_of({"tiles": tiles}) == {
        "takes": "3 tiles on a mesh, 1 chip",
        "fullest": "buffer of link1, 32,768 of 65,536 bytes, 50 %",
    }
    assert place_of({"tiles": {**tiles, "buffer_bytes": []}})["fullest"] == "no buffer: ideal converters"
    circuit = {"dies": [{"resistors": 1200, "nodes": 30}]}
    assert place_of(circuit) == {"takes": "1,200 resistors between 30 nodes", "fullest": "-"}
    assert place_of(None) is None


def test_curves_of_stopping_have_intervals(folder: Path) -> None:
    document = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    for point in document["curves"]:
        low, high = point["accuracy_ci95"]
        right, images = round(point["accuracy"] * 4), 4
        # Wilson's, worked out here: (p + z2/2n -+ z sqrt(p q / n + z2/4n2)) / (1 + z2/n)
        z2 = 1.959964**2
        middle, half = right / images + z2 / 8, 1.959964 * (right / 4 * (1 - right / 4) / 4 + z2 / 64) ** 0.5
        assert (low, high) == pytest.approx(((middle - half) / (1 + z2 / 4), (middle + half) / (1 + z2 / 4)), abs=1e-5)


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


MINE = """
[my-board]
like = "hermes2023"
[my-board.conversion_one_phase_energy]
nominal = {joules}
unit = "J"
source = "our own board, report of March 2026, page 4"
"""


def test_constants_of_ones_own_are_priced_and_drawn_beside_the_published(tmp_path: Path) -> None:
    published = TABLE["hermes2023"]["conversion_one_phase_energy"].nominal
    (tmp_path / "mine.toml").write_text(MINE.format(joules=2 * published), encoding="utf-8")
    few = ["--backends", "crossbar", "--twin", "none", "--limit", "2", "--validation", "4", "--steps", "4", "--batches"]
    compare.main([*few, "--constants", str(tmp_path / "mine.toml"), "--output", str(tmp_path / "run")])
    rows = json.loads((tmp_path / "run" / "compare.json").read_text(encoding="utf-8"))["rows"]
    hermes, own = (
        next(row["breakdown_j"] for row in rows if row["profile"] == name) for name in ("hermes-14nm", "my-board")
    )
    assert own == {**hermes, "adc": pytest.approx(2 * hermes["adc"])}
    assert "my-board" in (tmp_path / "run" / "energy-latency.svg").read_text(encoding="utf-8")
    assert str(tmp_path) not in (tmp_path / "run" / "config.json").read_text(encoding="utf-8")


def test_constants_without_a_source_are_refused_before_anything_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = MINE.format(joules=1e-12).replace("source =", "note =")
    (tmp_path / "mine.toml").write_text(lacking, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        compare.main(["--constants", str(tmp_path / "mine.toml"), "--output", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "my-board.conversion_one_phase_energy" in capsys.readouterr().err
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
