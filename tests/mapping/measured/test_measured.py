"""Measured conductances come back onto a die exactly, and what cannot be this chip is refused by name."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.exporting import exported
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.files.cells import read_cells, write_cells
from hw.crossbar.files.layout import named_tiles
from hw.crossbar.machine import Crossbar
from mapping.export.crossbar.format import CrossbarFormat
from mapping.export.program import ProgramFormat
from mapping.machines import to_crossbar
from mapping.measured.chip import load_chip, put_on
from mapping.measured.command import main
from models.ep.network import EPNetwork

KIND = CrossbarFormat(worst_ranges=True, pictures=False)


def die(network: EPNetwork, kind: CrossbarFormat, seed: int) -> Crossbar:
    fabrication = Fabrication(kind.device(), kind.design(), seed=(seed,), noise_seed=(4,))
    return to_crossbar(network, fabrication, steps=5)


def measured(folder: Path, *options: str) -> Path:
    """Cells in `folder`/cells of the export in `folder`/out, brought back to `folder`/chip."""
    chip = folder / "chip"
    assert main([str(folder / "out"), str(folder / "cells"), "--output", str(chip), *options]) == 0
    return chip


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    networks(pooling=("none", "average", "max"), layers=2, largest=5),
    st.sampled_from(["pair", "balanced", "offset"]),
    st.sampled_from([None, 5]),
    st.integers(6, 12),
)
def test_a_measured_die_is_the_die_it_came_from(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, encoding: str, weight_bits: int | None, tile_size: int
) -> None:
    """Conductances bit for bit, and then the settled states: the other die was programmed with another seed."""
    folder = tmp_path_factory.mktemp("measured")
    kind = replace(KIND, adc_bits=None, encoding=encoding, weight_bits=weight_bits, tile_size=tile_size)
    exported(network, kind, folder)
    first, second = die(network, kind, 1), die(network, kind, 2)
    write_cells(first, folder / "cells")
    put_on(second, load_chip(measured(folder, "--no-pictures")))
    for (_, _, _, ours), (_, _, _, theirs) in zip(named_tiles(first), named_tiles(second), strict=True):
        np.testing.assert_array_equal(ours.tile.array.conductance_s(), theirs.tile.array.conductance_s())
    images = random_images(network.input_shape, 3, 1)
    answers = []
    for machine in (first, second):
        answers.append(machine.settle(images))
    np.testing.assert_array_equal(answers[0].logits_by_step, answers[1].logits_by_step)


@pytest.fixture
def rehearsal(tmp_path: Path) -> tuple[Path, Crossbar]:
    """An export in out, cells of die 1 in cells."""
    exported(mixed_network(), KIND, tmp_path)
    machine = die(mixed_network(), KIND, 1)
    write_cells(machine, tmp_path / "cells")
    return tmp_path, machine


def cells_of(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.loadtxt(path, delimiter=",", ndmin=2) for path in (folder / "cells").glob("*.csv")}


def test_matrices_tables_and_npz_in_any_unit_are_one_chip(rehearsal: tuple[Path, Crossbar]) -> None:
    folder, _ = rehearsal
    cells = cells_of(folder)
    np.savez(folder / "cells" / "link1-1.npz", measured=cells["link1-1"] * 1e6)
    (folder / "cells" / "link1-1.csv").unlink()
    for name in ("link2-1", "link3-1", "readout-1"):
        lines = [f"{row},{column},{cells[name][row, column] * 1e6!r}" for row, column in np.ndindex(cells[name].shape)]
        (folder / "cells" / f"{name}.csv").write_text("\n".join(["row,column,measured", *reversed(lines)]))
    chip = load_chip(measured(folder, "--unit", "uS"))
    for name, values in cells.items():
        np.testing.assert_allclose(chip.cells_s[name], values, rtol=1e-15)


@pytest.mark.parametrize("missing", ["off", "target"])
def test_cells_that_were_not_measured_are_what_the_user_says(rehearsal: tuple[Path, Crossbar], missing: str) -> None:
    folder, machine = rehearsal
    text = (folder / "cells" / "link1-1.csv").read_text().splitlines()
    fields = text[3].split(",")
    fields[2], fields[4] = "", "nan"
    (folder / "cells" / "link1-1.csv").write_text("\n".join([*text[:3], ",".join(fields), *text[4:]]))
    chip = load_chip(measured(folder, "--missing", missing, "--no-pictures"))
    other = die(mixed_network(), KIND, 2)
    put_on(other, chip)
    ours, theirs = (next(named_tiles(each))[3].tile.array for each in (machine, other))
    expected = ours.conductance_s().copy()
    expected[3, [2, 4]] = 0.0 if missing == "off" else ours.target_s[3, [2, 4]]
    np.testing.assert_array_equal(theirs.conductance_s(), expected)
    assert np.isnan(theirs.stuck_s).sum() == theirs.stuck_s.size - (2 if missing == "off" else 0)


def test_the_folder_says_how_far_the_cells_are_from_their_targets(
    rehearsal: tuple[Path, Crossbar], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, machine = rehearsal
    chip = measured(folder)
    manifest = json.loads((chip / "export.json").read_text())
    array = machine.links[0].matrix.placed[0].tile.array
    device = preset("pcm-nandakumar-2019")
    error = 100 * (array.conductance_s() - array.target_s) / (device.g_max_s - device.g_min_s)
    told = manifest["links"]["link1"]
    assert (told["cells"], told["missing"]) == (error.size, 0)
    assert told["mean_percent"] == pytest.approx(error.mean())
    assert told["sd_percent"] == pytest.approx(error.std())
    assert capsys.readouterr().out.startswith(f"link1: {error.size} cells, 0 not measured, error ")
    assert (chip / "link1-1.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("\n", "\n-1e-6,", 1), "line 2 has 7 fields, the first has 6"),
        (
            lambda text: "-1e-6" + text[text.index(",") :],
            "row 0, column 0 is -1e-06 S: a conductance is a",
        ),
        (lambda text: "inf" + text[text.index(",") :], "row 0, column 0 is inf S"),
        (
            lambda text: "" + text[text.index(",") :],
            "1 cells of tile link1-1 were not measured",
        ),
        (lambda text: "dead" + text[text.index(",") :], "line 1 holds 'dead', expected a number"),
        (lambda text: text.split("\n", 1)[1], r"has the shape \(11, 6\), the tile has 12 rows and 6 columns"),
        (lambda _: "row,column,measured\n0,0,1e-6\n", "has no line of row 0, column 1"),
        (lambda _: "row,column,measured\n0,0,1e-6\n0,0,1e-6\n", "line 3 is of row 0, column 0, as a line before"),
        (lambda _: "row,column,measured\n12,0,1e-6\n", "line 2 is of row 12, column 0; the tile has 12 rows"),
        (lambda _: "row,column,measured\na,0,1e-6\n", "line 2 is of cell"),
        (lambda _: "row,column,measured\n0,0\n", "line 2 has 2 fields"),
        (lambda _: "", "is empty"),
    ],
)
def test_a_file_that_cannot_be_this_tile_is_refused(
    rehearsal: tuple[Path, Crossbar], capsys: pytest.CaptureFixture[str], change: object, says: str
) -> None:
    folder, _ = rehearsal
    file = folder / "cells" / "link1-1.csv"
    file.write_text(change(file.read_text()))  # type: ignore[operator]
    _refused(folder, capsys, says)


def test_wrong_units_folders_and_files_are_refused(
    rehearsal: tuple[Path, Crossbar], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = rehearsal
    _refused(folder, capsys, r"as nS, the cells conduct .* times what they were to: with --unit S", "--unit", "nS")
    file = folder / "cells" / "link1-1.csv"
    np.savez(file.with_suffix(".npz"), measured=np.zeros((12, 6)))
    _refused(folder, capsys, "both are there")
    file.unlink()
    for array, says in (
        ({"other": np.zeros(3)}, "holds other, expected an array 'measured'"),
        ({"measured": np.array(["a"])}, "expected numbers"),
        ({"measured": np.zeros((2, 2))}, r"has the shape \(2, 2\)"),
    ):
        np.savez(file.with_suffix(".npz"), **array)
        _refused(folder, capsys, says)
    file.with_suffix(".npz").write_text("no zip")
    _refused(folder, capsys, "is no NPZ file")
    file.with_suffix(".npz").unlink()
    _refused(folder, capsys, "neither is there")
    for name in cells_of(folder):
        (folder / "cells" / f"{name}.csv").write_text("nothing")
    assert main([str(folder / "cells"), str(folder / "cells"), "--output", str(folder / "chip")]) == 2
    assert "is no export" in capsys.readouterr().err
    assert main([str(folder / "out"), str(folder / "none"), "--output", str(folder / "chip")]) == 2
    assert "expected a folder" in capsys.readouterr().err


def test_a_chip_of_other_tiles_is_not_put_on_a_die(rehearsal: tuple[Path, Crossbar]) -> None:
    folder, _ = rehearsal
    chip = load_chip(measured(folder))
    with pytest.raises(ValueError, match=r"has the tile link1-1 as \(12, 6\), this network on this chip as \(5, 6\)"):
        put_on(die(mixed_network(), replace(KIND, tile_size=5), 1), chip)
    with pytest.raises(ValueError, match="is an export to 'crossbar'"):
        load_chip(folder / "out")


def test_reading_a_tile_gives_the_bits_that_were_written(rehearsal: tuple[Path, Crossbar]) -> None:
    folder, machine = rehearsal
    for name, _, _, placed in named_tiles(machine):
        g_s = placed.tile.array.conductance_s()
        np.testing.assert_array_equal(read_cells(folder / "cells", name, g_s.shape, "S"), g_s)


def test_cells_of_an_export_to_something_else_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported(program_of(mixed_network(), state_bits=8, seed=1), ProgramFormat(), tmp_path)
    (tmp_path / "cells").mkdir()
    _refused(tmp_path, capsys, "is an export to 'program', expected one --to crossbar")


def _refused(folder: Path, capsys: pytest.CaptureFixture[str], says: str, *options: str) -> None:
    capsys.readouterr()
    code = main([str(folder / "out"), str(folder / "cells"), "--output", str(folder / "chip"), *options])
    error = capsys.readouterr().err
    assert (code, error.count("\n"), error[:7]) == (2, 1, "error: ")
    assert re.search(says, error), error
    assert not (folder / "chip").exists()
