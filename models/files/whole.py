"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write through a temporary file beside `path`: a reader finds the old content or the new, never half of one.

    Raises:
        OSError: there is no room or no permission; names `path`, which is as it was.
    """
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            with part.open("r+b") as stream:
                os.fsync(stream.fileno())  # or a power cut could leave the new name with nothing behind it
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise at_file(error, path) from error


def at_file(error: OSError, path: Path) -> OSError:
    """The same error, naming `path`: what a full disk raises names no file."""
    if error.errno is None:
        return OSError(f"{path}: {error}")
    return OSError(error.errno, error.strerror, str(path))
