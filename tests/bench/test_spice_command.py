"""`python -m bench.spice`, and the backend of resistors on the command lines of the benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.resistive_examples import needs_ngspice
from helpers.run_calls import call, refused

from bench import learn as bench_learn
from bench import resistive, spice
from bench import run as bench_run
from bench.speed import __main__ as speed
from bench.studies import resistive as study
from hw.resistive import spice as runner
from models.train.command import main as train_command


@needs_ngspice
def test_ours_stands_beside_that_of_spice(capsys, tmp_path: Path) -> None:
    netlist = tmp_path / "net.cir"
    assert spice.main(["drn-digits", "--image", "3", "--netlist", str(netlist)]) == 0
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert document["largest_gap_v"] <= 1e-9
    assert document["power_w"] == pytest.approx(document["spice_power_w"], rel=1e-9)
    assert max(range(10), key=document["ours_v"].__getitem__) == document["label"] == 7
    assert netlist.read_text().startswith("* deep resistive network")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drn-digits", "--image", "360"], "--image is 360, there are test images 0 to 359"),
        (["drn-digit"], "'drn-digit' is neither in the zoo"),
        (["digits"], "resistors express less than 1"),
        (["drn-digits", "--transient", "--diode", "silicon"], "--transient follows ideal diodes only"),
        (["drn-digits", "--supply-v", "0"], "input_v is 0.0 V"),
    ],
)
def test_what_cannot_be_compared_exits_2(arguments: list[str], says: str, capsys) -> None:
    assert spice.main(arguments) == 2
    assert says in capsys.readouterr().err


def test_without_ngspice_the_command_says_which_package(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(runner, "PROGRAM", "ngspice-that-is-not-there")
    assert spice.main(["drn-digits"]) == 2
    assert "apt-get install ngspice" in capsys.readouterr().err


def test_a_resistive_network_runs_beside_the_reference(tmp_path: Path) -> None:
    options = ["--model", "drn-digits", "--backend", "resistive", "--limit", 8, "--disturbances"]
    sweep = ["--resistor", "ideal", "--offset-mv", 0, 5, "--resistive-dies", 2, "--output", tmp_path / "run"]
    reference, *rows = call(bench_run, *options, *sweep)["rows"]
    assert [row["point"]["offset_mv"] for row in rows] == [0.0, 5.0]
    assert rows[0]["accuracy"] == reference["accuracy"]
    assert rows[0]["rest_s"] > 0
    assert len(rows[1]["resistive"]["accuracy_by_die"]) == 2
    assert "settling-circuit" in rows[0]["costs"]
    assert "resistive analog, resistor ideal" in (tmp_path / "run" / "report.md").read_text()


def test_resistors_learn_from_scratch(tmp_path: Path) -> None:
    options = [
        "scratch",
        "--backend",
        "resistive",
        "--quick",
        "--epochs",
        1,
        "--limit",
        8,
        "--output",
        tmp_path / "run",
    ]
    (row,) = call(bench_learn, *options)["rows"]
    assert (row["backend"], row["precision"], row["die"]) == ("resistive", "analog", None)
    assert (tmp_path / "run" / row["learnt"]).is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resistor", "pcm"], ["--resistor 'pcm' is unknown", "pcm-nandakumar-2019"]),
        (["--supply-v", "0"], ["--supply-v is 0.0, must be above 0"]),
        (["--offset-mv", "-1"], ["--offset-mv is -1.0, must be 0 to"]),
        (["--resistor", "reram-wan-2022-aihwkit", "--resistor-hours", "1e8"], ["published for 0 s"]),
        (["--resistor-noise", "2"], ["--resistor-noise", "--resistor NAME of a device"]),
    ],
)
def test_options_of_resistors_are_refused_by_name(options: list[str], words: list[str]) -> None:
    said = refused(bench_run, "--model", "drn-digits", "--backend", "resistive", *options)
    for word in words:
        assert word in said


@pytest.mark.parametrize("beside", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_study_of_resistors_writes_its_report(
    beside: bool, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the machines beside it only where there is time to start them."""
    if not beside:
        monkeypatch.setattr(study, "others", lambda *_: [])
    options = ["drn-digits", "--limit", "12", "--dies", "1", "--noise", "2", "--offset-mv", "0"]
    assert resistive.main([*options, "--output", str(tmp_path / "run")]) == 0
    results = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert [row["noise"] for row in results["noise"]] == [1.0, 2.0]
    assert results["offset"][0]["accuracy"] == [results["exact"]["accuracy"]]
    energy = results["energy"]
    machines = {one["name"]: one for one in energy["machines"]}
    nominal = machines["resistors"]["energy_j"]["nominal"]
    assert sum(energy["breakdown_j"].values()) == pytest.approx(nominal)
    assert [one["energy_j"] for one in energy["varied"] if one["capacity"] == one["drivers"] == 1.0] == [nominal]
    assert len(machines) == (6 if beside else 2)
    if beside:
        assert machines["resistors"]["accuracy"] == machines["NVIDIA H200 at its roofline"]["accuracy"]
    for name in ("report.md", "results.json", "noise.png", "energy.png", "settling.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert resistive.main(["digits"]) == 2
    assert "no resistive network: train one with python -m models.resistive" in capsys.readouterr().err
    assert resistive.main(["drn-digits", "--dies", "0"]) == 2
    assert "--dies is 0, must be at least 1" in capsys.readouterr().err


@needs_ngspice
def test_ours_is_timed_beside_spice(capsys) -> None:
    speed.main(["resistive", "--inputs", "6", "--hidden", "5", "--images", "4"])
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    seconds, ratios = document["seconds"], document["ratios"]
    assert ratios["spice_over_resistive"] == pytest.approx(seconds["spice"] / seconds["batch"])
    assert document["others"]["gap_v"] <= 1e-9
    assert document["others"]["gap_v_32"] <= 1e-9


def test_a_recipe_of_resistors_is_not_trained_as_another(capsys) -> None:
    assert train_command(["drn-digits"]) == 2
    assert "makes a network of resistors: python -m models.resistive drn-digits" in capsys.readouterr().err
