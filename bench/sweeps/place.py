"""The folder of a sweep: a file per finished row, so that many processes can write at once and a kill costs one row.

rows/KEY.json      what a point gave; written whole, with a digest; KEY is a digest of all that determines it
failed/KEY.json    the traceback of a point that could not be run; gone once it could
claims/KEY.lock    held by the process that runs a point, and by nobody once it is dead
logs/KEY.log       what a point printed
kept/              attacked images, and what was learnt
answers/           what was answered to every image, by the digest that a row holds
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.command_line import ConfigError
from bench.records.answers import ANSWERS, answers_file
from bench.records.folders import ROWS
from bench.records.rows_file import DIGEST
from models.files.whole import at_file, write_atomically

SCHEMA = 2
MOST_DEATHS = 2
"""So often a point may take its worker with it before it counts as failed."""


@dataclass(frozen=True)
class Place:
    """A folder of a sweep."""

    folder: Path

    def make(self) -> None:
        """Make the folder; ConfigError where it cannot be written to, or holds a run."""
        if (self.folder / ROWS).exists():
            raise ConfigError(f"--output {str(self.folder)!r} holds a single run ({ROWS}): name another folder")
        try:
            for name in ("rows", "failed", "claims", "logs", "kept"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / "rows" / ".written", b"")
        except OSError as error:
            raise ConfigError(f"--output: {at_file(error, self.folder)}") from error

    @property
    def answers(self) -> Path:
        """Folder of what was answered to every image."""
        return self.folder / ANSWERS

    def check_answers(self, keys: Iterable[str]) -> None:
        """ConfigError where a finished point has lost what it answered."""
        for key in keys:
            for row in self.get("rows", key)["rows"]:
                digest = row.get("answers")
                # rows of attacks hold their answers themselves
                if (
                    digest is not None
                    and "threat" not in row
                    and not (file := answers_file(self.answers, digest)).is_file()
                ):
                    row_file = self.file("rows", key)
                    raise ConfigError(f"{file} is gone: delete {row_file} to have its row and its answers made again")

    def file(self, kind: str, key: str) -> Path:
        """Of a point."""
        return self.folder / kind / f"{key}{'.lock' if kind == 'claims' else '.log' if kind == 'logs' else '.json'}"

    def keys(self, kind: str) -> set[str]:
        """Of the points that have a file of this kind."""
        return {path.stem for path in (self.folder / kind).glob("*.json")}

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether the point is ours now; while another process has it, it is not."""
        lock = FileLock(self.file("claims", key), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def put(self, kind: str, key: str, values: dict[str, Any]) -> None:
        """Write the file of a point, whole, as JSON whose last entry is the digest of all text before it."""
        text = json.dumps({"schema": SCHEMA, **values}, allow_nan=False).encode()[:-1]
        write_atomically(self.file(kind, key), text + _seal(text))

    def get(self, kind: str, key: str) -> dict[str, Any]:
        """What `put` wrote; ConfigError names a file that is damaged, or of another version."""
        file = self.file(kind, key)
        try:
            content = file.read_bytes()
            # the text as it stands, and not what it says: reading ten thousand rows takes long enough
            text = content[: -len(_seal(b""))]
            if content[len(text) :] != _seal(text):
                raise ValueError("not what was written, its digest differs: delete it to have the row made again")
            values = json.loads(content)
            if values["schema"] != SCHEMA:
                raise ValueError(f"has schema {values['schema']}, this program reads {SCHEMA}")
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{file}: {error}") from error
        del values[DIGEST]
        return dict(values)

    def running(self, session: str) -> set[str]:
        """Points that were begun within a session and have not ended."""
        ended = self.keys("rows") | self.keys("failed")
        begun = {path for path in (self.folder / "claims").glob("*.begun") if path.stem not in ended}
        return {path.stem for path in begun if _words_of(path)[:1] == [session]}

    def begun(self, key: str, session: str) -> int:
        """Count one more beginning of a point within a session; how many there were before, which all died."""
        file = self.folder / "claims" / f"{key}.begun"
        words = _words_of(file)
        before = int(words[1]) if len(words) == 2 and words[0] == session and words[1].isdigit() else 0
        write_atomically(file, f"{session} {before + 1}".encode())
        return before


def _words_of(file: Path) -> list[str]:
    """Session and count, or nothing."""
    try:
        return file.read_text(encoding="utf-8").rsplit(maxsplit=1)
    except OSError:
        return []


def _seal(text: bytes) -> bytes:
    """How a file ends whose text is this so far."""
    return f', "{DIGEST}": "{hashlib.sha256(text).hexdigest()[:16]}"}}'.encode()
