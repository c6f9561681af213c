"""What a machine starts, and what it leaves behind.

Processes of a session are found by a mark in their environment, which children inherit. Others may run machines on this
computer: a shared memory segment counts as left behind if no process that lives has mapped it.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

SHARED = Path("/dev/shm")
PATIENCE_S = 60.0
"""On a busy computer; what goes well takes a second."""
MARK = "EP_TEST_SESSION"


class Session:
    """The processes, shared memory and temporary files of everything started while its mark is in the environment."""

    def __init__(self, mark: str, folder: Path) -> None:
        self.mark, self.folder = f"{MARK}={mark}".encode(), folder
        self.before = _segments()
        self.segments: set[str] = set()

    def processes(self) -> list[int]:
        """Living processes with the mark, not this one; a zombie has no environment any more."""
        members = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                    members.append(int(folder.name))
            except OSError:
                continue
        return sorted(members)

    def remember(self) -> int:
        """Take down what the session has mapped; the number of its processes."""
        processes = self.processes()
        for process in processes:
            self.segments |= _mapped(process)
        return len(processes)

    def left_over(self) -> list[str]:
        """Processes that still live, temporary files, and segments and semaphores of nobody."""
        left = [f"process {process}" for process in self.processes()]
        left += [str(path) for path in self.folder.iterdir()]
        everywhere = set()
        for folder in Path("/proc").glob("[0-9]*"):
            everywhere |= _mapped(int(folder.name))
        orphans = _segments() - self.before - everywhere
        return left + sorted(orphans | {name for name in self.segments if (SHARED / name).exists()})

    def assert_nothing_left(self) -> None:
        """Within some seconds, not at once: the processes end on their own."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := self.left_over()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left


def _segments() -> set[str]:
    return {path.name for path in SHARED.iterdir()}


def _mapped(process: int) -> set[str]:
    try:
        lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {Path(line.split()[5]).name for line in lines if f"{SHARED}/" in line and not line.endswith("(deleted)")}


@contextmanager
def watched_session() -> Iterator[Session]:
    """Everything started in here is seen; what a failed test left is killed."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        mark = uuid4().hex
        patch.setenv(MARK, mark)
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        session = Session(mark, Path(folder))
        try:
            yield session
        finally:
            session.remember()
            for process in session.processes():
                os.kill(process, signal.SIGKILL)
            for name in session.segments:
                (SHARED / name).unlink(missing_ok=True)
