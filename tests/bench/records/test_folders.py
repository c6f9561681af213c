"""Run folders: one run at a time, nothing overwritten, whole or absent, and what is damaged is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.command_line import ConfigError
from bench.records import folders
from bench.records.folders import begin, environment_of, open_folder

ROOT = Path(__file__).parents[3]
IDENTITY = {"steps": 4, "seed": 0}
HOLD = """
import sys, time
from pathlib import Path
from bench.records.folders import begin, open_folder
with open_folder(Path(sys.argv[1]), False, {"steps": 4, "seed": 0}, "x") as folder:
    begin(folder, {"steps": 4, "seed": 0}, "cpu")
    print("held", flush=True)
    time.sleep(60)
"""


def begun(folder: Path) -> Path:
    with open_folder(folder, False, IDENTITY, "x") as opened:
        begin(opened, IDENTITY, "cpu")
    return folder


def refused(output: Path | None, resume: bool = False) -> str:
    with pytest.raises(ConfigError) as error, open_folder(output, resume, IDENTITY, "x"):
        pytest.fail("it was opened")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_in_which_another_run_is_at_work_is_refused_until_that_run_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], env=environment, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        for resume in (False, True):
            assert f"--output {str(folder)!r}: another run is at work" in refused(folder, resume)
    finally:
        other.send_signal(signal.SIGKILL)  # which gives it no chance to unlock anything
        other.communicate()
    with open_folder(folder, True, IDENTITY, "x") as opened:
        assert opened == folder


def test_two_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "RESULTS", tmp_path / "results")
    with open_folder(None, False, IDENTITY, "x") as one, open_folder(None, False, IDENTITY, "x") as two:
        assert one != two
        assert one.parent == two.parent == tmp_path / "results"


def test_a_refused_run_leaves_no_folder_and_takes_away_nothing_that_was_there(tmp_path: Path) -> None:
    with open_folder(tmp_path / "a" / "b", False, IDENTITY, "x"):
        pass
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with open_folder(tmp_path / "mine" / "run", False, IDENTITY, "x"):
        pass
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("file", ["config.json", "rows.jsonl"])
def test_finished_work_is_not_overwritten(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("{}")
    assert f"already holds a run ({file})" in refused(tmp_path)
    assert (tmp_path / file).read_text() == "{}"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"3", b'{"steps": 4', b"\xff\xfe{}", b"[" * 100_000, b'{"steps": NaN}']
)
def test_a_damaged_config_is_named(content: bytes, tmp_path: Path) -> None:
    (begun(tmp_path) / "config.json").write_bytes(content)
    assert str(tmp_path / "config.json") in refused(tmp_path, resume=True) or content == b'{"steps": NaN}'


def test_another_option_is_named(tmp_path: Path) -> None:
    (begun(tmp_path) / "config.json").write_text(json.dumps({**IDENTITY, "steps": 5}))
    assert "has steps = 5, not 4" in refused(tmp_path, resume=True)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"date": 3}', b"\xff", b'{"date": "x", "device": "y"'])
def test_a_damaged_environment_is_named_before_work(content: bytes | None, tmp_path: Path) -> None:
    file = begun(tmp_path) / "env.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert str(file) in refused(tmp_path, resume=True)


def test_what_a_report_says_of_where_it_was_made_comes_back(tmp_path: Path) -> None:
    environment = environment_of(begun(tmp_path))
    assert environment.device == "cpu"
    assert environment.words.startswith(environment.date)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/below", "file"])
def test_a_place_that_cannot_be_written_to_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = refused(tmp_path / name)
    assert "cannot be made" in said
    assert "--output" in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    refused(tmp_path / name, resume=True)


def test_a_full_disk_leaves_a_folder_that_can_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any write of the two files."""
    write = folders.write_atomically
    for number in range(2):
        written: list[Path] = []

        def fail(path: Path, content: bytes, number: int = number, written: list[Path] = written) -> None:
            if len(written) == number:
                raise OSError(28, "No space left on device", str(path))
            written.append(path)
            write(path, content)

        monkeypatch.setattr(folders, "write_atomically", fail)
        with (
            pytest.raises(ConfigError, match="No space left on device"),
            open_folder(tmp_path / "run", False, IDENTITY, "x") as opened,
        ):
            begin(opened, IDENTITY, "cpu")
    monkeypatch.undo()
    begun(tmp_path / "run")


def test_an_environment_that_was_changed_is_named(tmp_path: Path) -> None:
    file = begun(tmp_path) / "env.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "commit": "another"}))
    assert "not what was written" in refused(tmp_path, resume=True)
