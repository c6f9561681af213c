"""Rows survive a kill at any byte of the last line, and nothing that was changed in the file is taken for a row."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.command_line import ConfigError
from bench.records.row import SCHEMA
from bench.records.rows_file import append_row, finished_rows, read_rows

ROWS = [{"backend": "torch", "accuracy": 0.5}, {"backend": "lava", "accuracy": 1.0, "note": "zwölf"}]


def written(file: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    for row in rows:
        append_row(file, row)
    return file


def finished(file: Path) -> dict[str, Any]:
    """By backend; any is of this run but crossbars'."""

    def read(values: Mapping[str, Any]) -> dict[str, Any]:
        return {**values, "key": values["backend"]}

    def check(row: dict[str, Any]) -> None:
        if row["backend"] == "crossbar":
            raise ValueError("a row of crossbar")

    return finished_rows(file, read, lambda row: row["key"], check)


def test_rows_come_back_and_a_missing_file_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    assert read_rows(file) == []
    assert read_rows(written(file)) == ROWS


def test_a_cut_anywhere_in_the_last_row_drops_that_row_only(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl")
    content = file.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content)):
        file.write_bytes(content[:cut])
        assert read_rows(file) == ROWS[:1]
        assert file.read_bytes() == content[:first], "the half row must be gone, or the next would be glued to it"
    append_row(file, ROWS[1])
    assert read_rows(file) == ROWS


@pytest.mark.parametrize("line", ['{"backend": ', "null", "[]", "3", '"text"', "", "[" * 100_000])
def test_a_line_that_is_no_row_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"backend": "torch"}}\n{line}\n{{"backend": "lava"}}\n')
    with pytest.raises(ConfigError, match="line 2"):
        read_rows(file)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl")
    file.write_bytes(b"\xff\xfe" + file.read_bytes())
    with pytest.raises(ConfigError, match="line 1"):
        read_rows(file)


def test_no_changed_byte_of_a_row_goes_unseen(tmp_path: Path) -> None:
    """Every digit and letter of the first of two rows, one at a time."""
    file = written(tmp_path / "rows.jsonl", [{"schema": SCHEMA, "accuracy": 0.25, "point": {"hours": 1.0}}, ROWS[0]])
    content, expected, named = file.read_bytes(), read_rows(file), list[str]()
    for place in range(content.index(b"\n")):
        for other in (b"7", b"x", b" "):
            file.write_bytes(content[:place] + other + content[place + 1 :])
            try:
                rows = read_rows(file)
            except ConfigError as error:
                named.append(str(error))
            else:
                assert rows == expected  # another blank between two words, or the same byte
    assert len(named) > 200
    assert all("line 1" in said for said in named)


def test_a_row_of_this_version_without_its_digest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"schema": SCHEMA, "accuracy": 0.5}) + "\n")
    with pytest.raises(ConfigError, match="line 1: a row without its digest"):
        read_rows(file)


def test_doubled_rows_are_refused_with_both_lines(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", [*ROWS, ROWS[0]])
    with pytest.raises(ConfigError, match="line 3: the same row as in line 1"):
        finished(file)


def test_a_row_that_the_run_would_not_make_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", [*ROWS, {"backend": "crossbar"}])
    with pytest.raises(ConfigError, match="line 3: a row of crossbar"):
        finished(file)


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_row(tmp_path / "rows.jsonl", {"accuracy": float("nan")})
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_file_that_may_not_grow_is_named_and_keeps_what_is_finished(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
        with pytest.raises(OSError, match=r"rows\.jsonl"):
            append_row(file, ROWS[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_rows(file) == ROWS
