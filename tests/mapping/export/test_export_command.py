"""`python -m mapping.export`: what it writes, what it refuses, and what is left when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.exporting import called
from helpers.random_nets import restless_winners

from mapping.export import formats
from mapping.export.folder import check_folder, read_manifest, whole_folder
from mapping.export.program import ProgramFormat
from models.ep.links import ConvLink
from models.ep.network import Conv, Span, build_network
from models.files.checkpoint import save_network
from models.zoo.manifests import fingerprint


def test_the_folder_says_what_it_is_and_every_file_by_its_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep" / "out"
    code, document, _ = called(capsys, "digits", "--to", "program", "--output", folder, "--state-bits", 6)
    assert code == 0
    manifest = json.loads((folder / "export.json").read_text())
    assert document == {"folder": str(folder), **manifest} == {"folder": str(folder), **read_manifest(folder)}
    assert (manifest["format"], manifest["model"]) == ("program", "digits")
    assert manifest["model_sha256"] == fingerprint("digits")
    assert manifest["calibration"]["state_bits"] == 6
    assert manifest["command"].startswith("python -m mapping.export digits --to program")
    files = {path.name for path in folder.iterdir()} - {"export.json"}
    assert manifest["files"] == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    assert [path.name for path in folder.parent.iterdir()] == ["out"], "nothing else is left"


def test_an_existing_folder_is_replaced_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ("digits", "--to", "program", "--output", tmp_path / "out")
    assert called(capsys, *ask)[0] == 0
    (tmp_path / "out" / "stale").write_text("of before")
    code, _, error = called(capsys, *ask)
    assert (code, error.count("\n")) == (2, 1)
    assert "--force" in error
    assert (tmp_path / "out" / "stale").is_file()
    assert called(capsys, *ask, "--force")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "export.json",
        "program.json",
        "program.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_an_export_is_replaced_even_with_force(tmp_path: Path) -> None:
    mine, file = tmp_path / "mine", tmp_path / "file"
    mine.mkdir()
    check_folder(mine, force=True)  # empty
    (mine / "thesis.txt").write_text("years of work")
    file.write_text("a file")
    for path, says in ((mine, "holds no export.json"), (file, "is not a folder")):
        with pytest.raises(ValueError, match=says):
            check_folder(path, force=True)


def test_a_folder_that_cannot_be_made_is_refused_before_work_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match=r"cannot be made: .*file is no folder that may be written to"):
        check_folder(tmp_path / "file" / "deep" / "out", force=True)
    check_folder(tmp_path / "deep" / "out", force=False)


def test_a_model_that_is_no_safetensors_file_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"x" * 100):
        (tmp_path / "bad.safetensors").write_bytes(content)
        code, _, error = called(capsys, tmp_path / "bad.safetensors", "--to", "c", "--output", tmp_path / "out")
        assert (code, error.count("\n")) == (2, 1)
        assert "bad.safetensors: truncated or not a safetensors file" in error


def test_an_export_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("as it was")

    def fail() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("a part")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["out", "out/old"]


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("as it was")
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if ".part" in self.name:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OSError, match="no"), whole_folder(tmp_path / "out"):
        pass
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["out", "out/old"]


def test_a_program_is_exported_as_it_is_and_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    called(capsys, "digits", "--to", "program", "--output", first)
    code, document, _ = called(
        capsys, first / "program.safetensors", "--to", "program", "--output", second, "--data", "nothing"
    )
    assert code == 0
    assert document["calibration"] is None
    assert (first / "program.safetensors").read_bytes() == (second / "program.safetensors").read_bytes()
    assert document["model_sha256"] == hashlib.sha256((first / "program.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("digits", "--to", "progam"), "--to 'progam' is unknown (nearest: program), choices are program"),
        (("digit", "--to", "program"), "neither in the zoo (digits, "),
        (("digits", "--to", "program", "--state-bits", "3"), "--state-bits is 3, choices are 4, 5, 6, 7, 8"),
        (("digits", "--to", "crossbar", "--tile-size", "7"), "--tile-size is 7, must be at least 8"),
        (("digits", "--to", "program", "--images", "0"), "--images is 0, must be at least 1"),
        (("digits", "--to", "program", "--data-dir", "/nowhere"), "--data-dir is '/nowhere', expected a folder"),
        ((__file__, "--to", "program"), "does not end in .safetensors"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    code, _, error = called(capsys, *options, "--output", tmp_path / "out")
    assert code == 2
    assert says in error
    assert (error.startswith("error: "), error.count("\n")) == (True, 1)
    assert not (tmp_path / "out").exists()


def test_a_network_that_integers_cannot_hold_is_refused_with_the_link_the_reason_and_what_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = torch.Generator().manual_seed(0)
    skipping = build_network((1, 4, 4), (Conv(2),) * 4, 3, generator, (Span(1, 4),))
    for name, network, says in (
        ("max", restless_winners(), r"link2 (conv 3 x 3, stride 1, padding 1, max of 2 x 2"),
        ("skip", skipping, "skip1 joins layer 1 to layer 4"),
    ):
        save_network(network, tmp_path / f"{name}.safetensors")
        code, _, error = called(
            capsys, tmp_path / f"{name}.safetensors", "--to", "program", "--output", tmp_path / "out"
        )
        assert code == 2
        assert f"--to program: {says}" in error
        assert "formats that hold it: " in error


def test_what_comes_out_while_writing_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network((1, 8, 8), (Conv(2),), 10, torch.Generator().manual_seed(0))
    link = network.links[0]
    assert isinstance(link, ConvLink)
    save_network(network.map_parameters(lambda tensor: tensor * 1e4), tmp_path / "large.safetensors")
    ask = (tmp_path / "large.safetensors", "--to", "program", "--output", tmp_path / "out")
    code, _, error = called(capsys, *ask, "--data", "digits")
    assert code == 1
    assert "link1 holds the weight" in error
    code, _, error = called(capsys, *ask)
    assert code == 1
    assert "no manifest" in error

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgramFormat, "write", stop)
    code, _, error = called(capsys, "digits", "--to", "program", "--output", tmp_path / "out")
    assert code == 130
    assert error == "\nstopped: nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["large.safetensors"]


def test_a_manifest_of_a_newer_version_or_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    for content, says in (
        ('{"schema": "ep-hardware export", "version": 2}', r"export\.json: version 2 is newer than 1"),
        ('{"schema": "ep-hardware export"}', r"export\.json: version is None"),
        ('{"schema": "npm"}', "not the list of an export"),
        ("[]", "not the list of an export"),
        ("{", "not JSON"),
    ):
        (tmp_path / "export.json").write_text(content)
        with pytest.raises(ValueError, match=says):
            read_manifest(tmp_path)
    with pytest.raises(ValueError, match=r"is no export: it holds no export\.json"):
        read_manifest(tmp_path / "none")


def test_help_lists_every_format_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from mapping.export.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
    )
    *lines, modules = done.stdout.rstrip().splitlines()
    assert set(modules.split()) & {"torch", "matplotlib", "lava", "scipy", "onnx", "nir"} == set()
    assert max(map(len, lines)) <= 100
    for name, kind in formats.FORMATS.items():
        assert any(line.strip().startswith(name) and kind.purpose[:20] in line for line in lines)


def test_every_format_has_options_of_its_own_name() -> None:
    """No option of two formats, or of the command, is called alike: each flag means one thing."""
    from dataclasses import fields

    from mapping.export.command import ExportOptions
    from mapping.export.options import Calibration

    named = [option.name for kind in (ExportOptions, Calibration, *formats.FORMATS.values()) for option in fields(kind)]
    assert len(named) == len(set(named))
