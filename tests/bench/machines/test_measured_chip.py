"""`--measured`: a chip in the place of simulated dies, on the command lines of the benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.run_calls import call, refused

from bench import learn as bench_learn
from bench import run as bench_run
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.files.cells import write_cells
from mapping.export.command import main as export
from mapping.export.crossbar.format import CrossbarFormat
from mapping.machines import to_crossbar
from mapping.measured.command import main as measure
from models.zoo import load_model

DEVICE = 'name = "mine"\nbase = "ideal"\nprogramming = {kind = "constant", value = 0.4e-6}\n'


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chip of a device of one's own, with digits on tiles of 128, three quarters of the readout torn off."""
    folder = tmp_path_factory.mktemp("chip")
    (folder / "mine.toml").write_text(DEVICE)
    kind = CrossbarFormat(device_preset=str(folder / "mine.toml"), tile_size=128)
    ask = ["digits", "--to", "crossbar", "--tile-size", "128", "--device-preset", kind.device_preset, "--no-pictures"]
    assert export([*ask, "--worst-ranges", "--output", str(folder / "out")]) == 0
    machine = to_crossbar(load_model("digits"), Fabrication(kind.device(), kind.design(), seed=(9,)), steps=1)
    write_cells(machine, folder / "cells")
    for name in ("readout-1", "readout-2", "readout-3"):
        file = folder / "cells" / f"{name}.csv"
        cells = np.zeros_like(np.loadtxt(file, delimiter=","))
        cells[0, 0], cells[1, 1] = 1e-6, np.nan
        np.savetxt(file, cells, delimiter=",")
    ask = [str(folder / "out"), str(folder / "cells"), "--missing", "off", "--no-pictures"]
    assert measure([*ask, "--output", str(folder / "die")]) == 0
    return folder / "die"


def test_a_chip_is_the_one_die_of_a_run(chip: Path, tmp_path: Path) -> None:
    ask = ["--backend", "crossbar", "--hours", "0", "--limit", "100", "--noise-aware", "False", "--disturbances"]
    document = call(bench_run, "--measured", chip, "--output", tmp_path / "run", *ask)
    row = next(row for row in document["rows"] if row["backend"] == "crossbar")
    assert row["point"]["tile_size"] == 128
    assert row["point"]["device"] == "mine"
    assert len(row["crossbar"]["accuracy_by_die"]) == 1
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert str(chip / "export.json") in config["device_sha256"]
    whole = call(
        bench_run, "--device-preset", chip / "device.toml", "--dies", "1", "--output", tmp_path / "other", *ask
    )
    sound = next(row for row in whole["rows"] if row["backend"] == "crossbar")
    assert row["accuracy"] < sound["accuracy"] - 0.1, "three quarters of the readout are gone"


def test_a_chip_learns_and_is_written_back(chip: Path, tmp_path: Path) -> None:
    document = call(bench_learn, "repair", "--measured", chip, "--hours", "0", "--quick", "--output", tmp_path / "run")
    (row,) = document["rows"]
    assert set(row["arms"]) == {"EP on the die", "write-verify"}, "no other network can be put on a chip that is given"
    for arm in row["arms"].values():
        assert len(arm["accuracy"]) == 2
        assert arm["written"][0]["devices"] > 0
    assert row["damage"] == {"stuck_on": 0.0, "stuck_off": 0.0, "transpose_terminals": None}


@pytest.mark.slow
def test_learning_repairs_a_chip(chip: Path, tmp_path: Path) -> None:
    ask = ["repair", "--measured", chip, "--hours", "0", "--epochs", "1", "--output", tmp_path / "run"]
    (row,) = call(bench_learn, *ask)["rows"]
    before, after = row["arms"]["EP on the die"]["accuracy"]
    assert after > before + 0.05


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tile-size", "64"], "--tile-size is (64,): the chip of --measured has (128,), leave it out"),
        (["--device-preset", "ideal"], "--device-preset is ('ideal',)"),
        (["--dies", "3"], "--dies is 3"),
        (["--stuck-on", "0.1"], "--stuck-on is 0.1"),
        (["--encoding", "offset"], "--encoding is offset"),
        (["--model", "digits-noise-aware"], "was programmed with digits, sha256"),
        (["--measured", "/nowhere"], "--measured: /nowhere is no export"),
    ],
)
def test_options_that_contradict_the_chip_are_refused(
    chip: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    ask = ["--backend", "crossbar", "--measured", str(chip), "--output", str(tmp_path / "run"), *options]
    assert says in refused(bench_run, *ask)
    assert not (tmp_path / "run").exists()


def test_nothing_is_learnt_from_scratch_on_a_chip(chip: Path) -> None:
    ask = ["scratch", "--backend", "crossbar", "--measured", str(chip)]
    assert "--measured with the study scratch" in refused(bench_learn, *ask)
    ask = ["repair", "--measured", str(chip), "--model", "mnist"]
    assert "was programmed with digits" in refused(bench_learn, *ask)
