"""Run folders: one run at a time in each, config.json and env.json when work begins, and nothing of another run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, with_config

from bench.command_line import ConfigError
from bench.records.environment import environment
from bench.records.rows_file import DIGEST, digest_of
from models.files.typed import read_json, read_text
from models.files.whole import at_file, write_atomically

RESULTS = Path("results")
CONFIG, ENVIRONMENT, ROWS, LOCK = "config.json", "env.json", "rows.jsonl", ".lock"


@with_config(strict=True)
@dataclass(frozen=True)
class Environment:
    """What a report says of env.json; the file holds more."""

    date: str
    commit: str | None
    cpu: str | None
    device: str

    @property
    def words(self) -> str:
        """As a report begins."""
        return f"{self.date}, commit {self.commit}, {self.cpu}, {self.device}."


@contextmanager
def open_folder(output: Path | None, resume: bool, identity: Mapping[str, object], name: str) -> Iterator[Path]:
    """A folder without a run, by default results/DATE-`name`, or the one to go on with; no other run's meanwhile.

    `identity` is what a run that goes on must have been begun with. A folder in which nothing was begun is removed.

    Raises:
        ConfigError: the folder cannot be written to, another run is at work in it, or it holds another run, or none.
    """
    made: list[Path] = []
    if resume:
        folder = _begun(output or _newest())
    elif output is None:
        folder, made = _fresh(RESULTS / f"{datetime.now():%Y%m%d-%H%M%S}-{name}")
    else:
        folder, made = output, _made(output)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"--output {str(folder)!r}: another run is at work in this folder") from None
    except OSError as error:
        raise ConfigError(f"--output {str(folder)!r} cannot be written to: {error.strerror}") from error
    try:
        if resume:
            _check_same(folder, identity)
        elif held := [file for file in (CONFIG, ROWS) if (folder / file).exists()]:
            raise ConfigError(f"--output {str(folder)!r} already holds a run ({held[0]}): use --resume or another one")
        yield folder
    finally:
        if made and not (folder / CONFIG).exists():
            _remove_empty(folder, made)
        lock.release()


def begin(folder: Path, identity: Mapping[str, object], device: str) -> None:
    """Write down what is about to be run and where, once everything it needs has been loaded.

    config.json comes last and whole: a folder without it holds no run.
    """
    if (folder / CONFIG).exists():
        return
    try:
        made = environment(device)
        for name, values in ((ENVIRONMENT, {**made, DIGEST: digest_of(made)}), (CONFIG, identity)):
            write_atomically(folder / name, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise ConfigError(str(error)) from error


def environment_of(folder: Path) -> Environment:
    """Where and when a run was begun; ConfigError names env.json where it is missing or damaged."""
    file = folder / ENVIRONMENT
    try:
        content = read_text(file)
        values = read_json(TypeAdapter(dict[str, Any]), content)
        digest = values.pop(DIGEST, None)
        if digest is not None and digest != digest_of(values):
            raise ValueError(f"not what was written: its digest is {digest_of(values)}, not {digest!r}")
        return read_json(TypeAdapter(Environment), content)
    except ValueError as error:
        raise ConfigError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error


def _check_same(folder: Path, identity: Mapping[str, object]) -> None:
    """Refuse to go on with a run of other options, or of which nobody can say what they were."""
    file = folder / CONFIG
    try:
        before = read_json(TypeAdapter(dict[str, Any]), read_text(file))
    except ValueError as error:
        raise ConfigError(f"--resume: {file}: {str(error).removeprefix(f'{file}: ')}") from error
    now = json.loads(json.dumps(identity))
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"--resume: the run in {str(folder)!r} has {key} = {before.get(key)!r}, not {now.get(key)!r}"
            )
    environment_of(folder)


def _made(folder: Path) -> list[Path]:
    """Make a folder; those that were not there, innermost first."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--output {str(folder)!r} cannot be made: {why}") from error
    return missing


def _remove_empty(folder: Path, made: list[Path]) -> None:
    """Take away what was made for a run that was then refused."""
    with suppress(OSError):
        (folder / LOCK).unlink(missing_ok=True)
        for path in made:
            path.rmdir()  # only if it is empty


def _fresh(folder: Path) -> tuple[Path, list[Path]]:
    """The folder, or the first numbered one beside it that is not taken, made at once: two runs may start together.

    As `_made`, what was made comes with it.
    """
    number, free = 2, folder
    while True:
        try:
            free.parent.mkdir(parents=True, exist_ok=True)
            free.mkdir()
        except FileExistsError:
            free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
        except OSError as error:
            raise ConfigError(f"--output: {at_file(error, free)}") from error
        else:
            return free, [free]


def _begun(folder: Path) -> Path:
    """The folder, if a run was begun in it."""
    try:
        begun = (folder / CONFIG).is_file()
    except (OSError, ValueError) as error:  # a name too long, a zero byte in it
        raise ConfigError(f"--resume: {str(folder)!r} cannot be read: {error}") from error
    if not begun:
        raise ConfigError(f"--resume: {str(folder)!r} holds no run ({CONFIG} is missing)")
    return folder


def _newest() -> Path:
    runs = sorted(RESULTS.glob(f"*/{CONFIG}"), key=lambda file: file.stat().st_mtime)
    if not runs:
        raise ConfigError(f"--resume: there is no run in {str(RESULTS)!r}; name one with --output")
    return runs[-1].parent
