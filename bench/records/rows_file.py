"""The file of a run's rows: one line each, appended so that it survives a kill at any moment, checked when read.

Every line carries a digest of its row: a figure that was changed in the file is not taken for one that was measured.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bench.command_line import ConfigError
from models.files.whole import at_file

RowT = TypeVar("RowT")
DIGEST = "digest"
SEALED_FROM = 3
"""Version of rows from which on every line has a digest."""


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Write one row as one line and see it to the disk before going on; OSError names the file."""
    line = json.dumps({**row, DIGEST: digest_of(row)}, allow_nan=False) + "\n"
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise at_file(error, file) from error


def finished_rows(
    file: Path, read: Callable[[Mapping[str, Any]], RowT], key: Callable[[RowT], str], check: Callable[[RowT], None]
) -> dict[str, RowT]:
    """The rows of a run that goes on, by key.

    Args:
        file: rows.jsonl of its folder.
        read: makes a row of JSON types; ValueError says what is wrong.
        key: of a row; no two may be the same.
        check: raises ValueError for a row that this run would not have made.

    Raises:
        ConfigError: names the line, and what is wrong there.
    """
    done: dict[str, RowT] = {}
    lines: dict[str, int] = {}
    for number, values in enumerate(read_rows(file), start=1):
        try:
            row = read(values)
            check(row)
            if key(row) in done:
                raise ValueError(f"the same row as in line {lines[key(row)]}: two runs wrote here, delete one of them")
        except ValueError as error:
            raise ConfigError(f"{file}, line {number}: {error}") from error
        done[key(row)], lines[key(row)] = row, number
    return done


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Finished rows; a half-written last line is cut off the file, so that the row is made again.

    Raises:
        ConfigError: names the line if anything but the last line is damaged, for that is no interrupted run, or if any
            is no row, or not the one that was written.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    lines = content.split(b"\n")
    whole, rest = lines[:-1], lines[-1]
    rows = []
    for number, line in enumerate(whole, start=1):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError too
            if number < len(whole) or rest:
                raise ConfigError(f"{file}, line {number}: not a row ({error})") from error
            rest = line + b"\n"
            break
        try:
            rows.append(_opened(values))
        except ValueError as error:
            raise ConfigError(f"{file}, line {number}: {error}") from error
    if rest:
        kept = sum(len(line) + 1 for line in whole[: len(rows)])
        try:
            with file.open("r+b") as stream:
                stream.truncate(kept)
        except OSError as error:
            raise ConfigError(f"{file}: its half-written last line cannot be cut off: {error.strerror}") from error
    return rows


def digest_of(values: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of the sha256 of JSON types, whatever the order of keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _opened(values: Any) -> dict[str, Any]:
    """The row without its digest, which is checked; ValueError says what is wrong."""
    if not isinstance(values, dict):
        raise ValueError(f"not a row but {json.dumps(values)[:60]}")
    row = dict(values)
    digest, version = row.pop(DIGEST, None), row.get("schema", 1)
    if digest is None and isinstance(version, int) and version >= SEALED_FROM:
        raise ValueError("a row without its digest")
    if digest is not None and digest != digest_of(row):
        raise ValueError(f"not the row that was written: its digest is {digest_of(row)}, not {digest!r}")
    return row
