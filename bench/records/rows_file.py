"""The file of a run's rows: one line each, appended so that it survives a kill at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Write one row as one line and see it to the disk before going on."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Finished rows; a half-written last line is cut off the file, so that the row is made again.

    Raises ValueError naming the line if anything but the last line is damaged: that is no interrupted run.
    """
    if not file.exists():
        return []
    lines = file.read_bytes().split(b"\n")
    whole, rest = lines[:-1], lines[-1]
    rows = []
    for number, line in enumerate(whole, start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(whole) or rest:
                raise ValueError(f"{file}, line {number}: not a row ({error})") from error
            rest = line + b"\n"
    if rest:
        kept = sum(len(line) + 1 for line in whole[: len(rows)])
        with file.open("r+b") as stream:
            stream.truncate(kept)
    return rows
