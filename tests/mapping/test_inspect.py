"""What is in the files of every format, and how two differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from helpers.exporting import exported
from helpers.random_nets import mixed_network, program_of

from mapping.diff import main as diff
from mapping.export.c.format import CFormat
from mapping.export.crossbar.format import CrossbarFormat
from mapping.export.formats import FORMATS
from mapping.export.loihi.format import LoihiFormat
from mapping.export.nir.format import NirFormat
from mapping.export.onnx.format import OnnxFormat
from mapping.export.program import ProgramFormat
from mapping.inspect.command import main as inspect
from mapping.inspect.contents import summary
from models.files.checkpoint import save_network

NETWORK = mixed_network()
PROGRAM = program_of(NETWORK, state_bits=8, seed=3)


def run(capsys: pytest.CaptureFixture[str], command: Any, *arguments: object) -> tuple[str, dict[str, Any]]:
    assert command([str(one) for one in arguments]) == 0
    out = capsys.readouterr().out
    return out, json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One export of each format."""
    made = {}
    for held, kind in (
        (PROGRAM, ProgramFormat()),
        (PROGRAM, CFormat()),
        (PROGRAM, LoihiFormat()),
        (PROGRAM, OnnxFormat(numbers="int8")),
        (NETWORK, NirFormat()),
        (NETWORK, CrossbarFormat(worst_ranges=True, pictures=False, tile_size=8)),
    ):
        folder = tmp_path_factory.mktemp(kind.name)
        exported(held, kind, folder)  # type: ignore[arg-type]
        made[kind.name] = folder / "out"
    return made


def test_integers_are_the_same_in_every_format_that_holds_them(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("c", "onnx", "loihi"):
        out, document = run(capsys, diff, folders["program"], folders[kind])
        assert document["same"], out
        assert sum(one["numbers"] for one in document["tensors"].values()) == sum(
            link.weight.size + link.bias.size for link in PROGRAM.named_links().values()
        )


def test_nir_is_the_network_and_says_its_links(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_network(NETWORK, tmp_path / "model.safetensors")
    _, document = run(capsys, diff, tmp_path / "model.safetensors", folders["nir"])
    assert document["same"]
    out, _ = run(capsys, inspect, folders["nir"])
    assert "link2: conv 2 x 2, stride 1, padding 1, average of 2 x 2" in out


def test_one_changed_number_is_found(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = PROGRAM.links[0].weight.copy()
    weight[0, 0, 0, 0] += 3 if weight[0, 0, 0, 0] < 100 else -3
    links = (replace(PROGRAM.links[0], weight=weight), *PROGRAM.links[1:])
    replace(PROGRAM, links=links).save(tmp_path / "b.safetensors")
    out, document = run(capsys, diff, folders["program"], tmp_path / "b.safetensors")
    assert not document["same"]
    changed = document["tensors"]["link1.weight"]
    assert (changed["differing"], changed["largest"]) == (1, 3.0)
    assert changed["rms"] == pytest.approx(3 / np.sqrt(weight.size))
    assert "link1.bias: 0 of 3 numbers differ, same" in out


def test_a_program_tells_bits_ranges_and_cores(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, document = run(capsys, inspect, folders["program"], "--picture", tmp_path / "all.png")
    weight = PROGRAM.links[0].weight
    told = document["tensors"]["link1.weight"]
    assert (told["least"], told["greatest"]) == (weight.min(), weight.max())
    assert told["bits"] == min(b for b in range(1, 9) if -(2 ** (b - 1)) <= weight.min() <= weight.max() < 2 ** (b - 1))
    assert document["cores"] == [1, 1, 1, 1, 1][: len(PROGRAM.links) + 1]
    assert "accumulator of layer1: at most" in out
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_a_chip_tells_tiles_and_how_full_they_are(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out, document = run(capsys, inspect, folders["crossbar"])
    assert document["tiles"] == len(document["utilisation"])
    layout = json.loads((folders["crossbar"] / "layout.json").read_text())
    first = layout["tiles"][0]
    share = first["rows"] * first["columns"] / (layout["tile"]["rows"] * layout["tile"]["columns"])
    assert document["utilisation"]["link1-1"] == share
    assert "device pcm-nandakumar-2019, 0 S to 2.5e-05 S" in out


def test_a_network_for_loihi_tells_synapses_cores_and_what_learns(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out, document = run(capsys, inspect, folders["loihi"])
    assert document["cores"] == [1] * (len(PROGRAM.links) + 1)
    assert document["chips"] == 1
    assert "link1: conv [2, 7, 6] to [3, 4, 4]" in out
    assert "layer 0: 1 cores, 8%" in out
    assert "link3 learns by 4 * 2^-7 * u0 * (x1 - 1) * y1" in out
    assert "link1 does not learn: synapses that share a weight" in out


def test_summaries_of_integers_count_bits_of_twos_complement() -> None:
    for values, bits in (([-128, 127], 8), ([-129], 9), ([128], 9), ([0], 1), ([-1], 1), ([1], 2)):
        assert summary(np.array(values)).bits == bits


@pytest.mark.parametrize("kind", [name for name in FORMATS if name != "resistive"])  # no network of these tests fits it
def test_an_export_with_damaged_files_is_told_by_the_file(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Whatever file is cut, replaced or gone: told of, or refused with its name in one line."""
    for file in sorted(one.relative_to(folders[kind]) for one in folders[kind].rglob("*") if one.is_file()):
        if file.name == "export.json":
            continue  # a chip without it is one that was measured
        for damage, content in (("cut", None), ("replaced", b"{}"), ("gone", None)):
            copy = tmp_path / f"{damage} {file.name}"
            copytree(folders[kind], copy)
            if damage == "gone":
                (copy / file).unlink()
            else:
                (copy / file).write_bytes(content or (copy / file).read_bytes()[:40])
            code = inspect([str(copy)])
            out, error = capsys.readouterr()
            assert file.name in (out.splitlines()[1] if code == 0 else error), (damage, file)
            assert code == 0 or (code, len(error.splitlines())) == (2, 1)
        if file.parts[0] == "tiles":
            break  # all of them are read alike


def test_what_cannot_be_read_is_named(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.onnx").write_text("x" * 30)
    (tmp_path / "x.safetensors").write_text("x")
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    monkeypatch.setattr("mapping.export.packages.find_spec", lambda name: None if name == "nir" else name)
    for name, words in (
        (tmp_path / "none", "no file, no folder and no network of the zoo (digits"),
        (tmp_path / "x.txt", "ends in .txt, expected one of .safetensors, .onnx, .nir, .npz, or a folder"),
        (tmp_path / "x.onnx", "not an ONNX model"),
        (tmp_path / "x.safetensors", "x.safetensors"),
        (tmp_path, "is no export: it holds no export.json"),
        (folders["nir"], "needs nir, which is not installed: pip install 'ep-hardware[export]'"),
    ):
        assert inspect([str(name)]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
    assert diff([str(tmp_path / "x.npz"), str(folders["program"])]) == 2
    assert "have no name in common" in capsys.readouterr().err
