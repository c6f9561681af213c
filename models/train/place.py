"""Where a training writes: nobody else's meanwhile, and nothing that is finished is written over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from models.command_line import ConfigError
from models.files.checkpoint import manifest_path
from models.train.options import CheckpointOptions


@contextmanager
def claimed(options: CheckpointOptions) -> Iterator[None]:
    """The checkpoint, its manifest and its state are this training's alone. Of a team, the leader claims them for all.

    Raises:
        ConfigError: the place cannot be written to, another training is at work there, or it holds finished work, or
            what a stopped training left, or nothing to go on with.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    checkpoint = options.checkpoint
    lock = FileLock(checkpoint.with_name(f".{checkpoint.name}.lock"), timeout=0)
    try:
        made = [folder for folder in checkpoint.parents if not folder.exists()]
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(f"--output {str(checkpoint)!r}: another training is at work there") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--output {str(checkpoint)!r} cannot be written to: {why}") from error
    try:
        check_place(options)
        yield
    finally:
        if not options.state.exists():  # nothing to go on with: finished, and refused to others, or never begun
            with suppress(OSError):
                Path(lock.lock_file).unlink()
                for folder in made:
                    folder.rmdir()  # only if it is empty
        lock.release()


def check_place(options: CheckpointOptions) -> None:
    """Refuse a place with finished work, with what a stopped training left, or with nothing to go on with."""
    state = options.state
    if options.resume and not state.is_file():
        raise ConfigError(f"--resume has nothing to continue: there is no {state}")
    if options.resume:
        return  # a checkpoint beside a state was written by a run that was stopped before its manifest
    if state.exists():
        raise ConfigError(f"{state} is left of a run that was stopped: continue it with --resume, or delete it")
    check_free(options.checkpoint)


def check_free(checkpoint: Path) -> None:
    """Refuse to write over a checkpoint, or over what lies where its manifest would."""
    for file in (checkpoint, manifest_path(checkpoint)):
        if file.exists():
            raise ConfigError(f"--output: {str(file)!r} is there already: give another name, or delete it")
