"""The interpreter that hosts a Lava graph, seen from the side that starts it and clears up after it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
MARGIN_S, STARTING_S = 15.0, 120.0
"""How much longer than a stall a host may say nothing: while it works between runs, and while it builds its graph."""
SHARED_MEMORY, PROCESSES = Path("/dev/shm"), Path("/proc")


class LavaError(RuntimeError):
    """A Lava run ended early."""


class LavaStalledError(LavaError):
    """No process moved any more; the message names each process and the port it waits on."""


class LavaModelError(LavaError):
    """A process model raised, or its process died; the message names it and carries its traceback."""


_ERRORS = {"stalled": LavaStalledError, "model": LavaModelError, "died": LavaModelError}


class HostProcess:
    """The parent's end of a module that runs Lava. Everything it forks is in one session, which `close` ends.

    `python -m MODULE FD FOLDER` talks over the connection FD: it is sent a job, then requests, and tells ("progress",
    done, total) while it works and (anything else, answer), or ("failed", kind, message) when it is through. FOLDER is
    for its temporary files: whichever of the two ends last removes it. ("beat",) says every second of a run that it is
    there, and ("segments", names) which shared memory is left if all of it is killed. With `stall_s` a host that says
    nothing for so long is a stall; without, it is waited for.
    """

    def __init__(self, module: str, job: Any, stall_s: float | None = None) -> None:
        ours, theirs = socket.socketpair()
        folder = tempfile.mkdtemp(prefix="lava-")
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end
        environment = dict(os.environ)
        # every process of the graph is one thread: the graph itself is what runs in parallel
        environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno()), folder],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        self.connection = Connection(ours.detach())
        self.stall_s = stall_s
        self.segments: list[str] = []
        self._finalizer = weakref.finalize(
            self, _end, os.getpid(), self.process, self.connection, self.log, folder, self.segments
        )
        try:
            self._send(job)
            self.started = self._receive(None, None if stall_s is None else stall_s + STARTING_S)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Any, progress: Callable[[int, int], None] | None = None) -> Any:
        """The answer to a request; raises what went wrong over there."""
        self._send(request)
        return self._receive(progress, None if self.stall_s is None else self.stall_s + MARGIN_S)

    def close(self) -> None:
        """Hang up, and end all that is left."""
        self._finalizer()

    def _send(self, message: Any) -> None:
        try:
            self.connection.send(message)
        except OSError as error:
            raise LavaError(f"the Lava host is gone: {self._last_words()}") from error

    def _receive(self, progress: Callable[[int, int], None] | None, patience_s: float | None) -> Any:
        while True:
            try:
                if not self.connection.poll(patience_s):
                    raise LavaStalledError(
                        f"the Lava run stalled: its host, process {self.process.pid}, has said nothing for "
                        f"{patience_s:.0f} s: it is stopped, or the computer is overloaded"
                    )
                kind, *content = self.connection.recv()
            except (EOFError, OSError) as error:
                raise LavaError(f"the Lava host is gone: {self._last_words()}") from error
            if kind == "failed":
                raise _ERRORS.get(content[0], LavaError)(content[1])
            if kind == "segments":
                self.segments.extend(content[0])
            elif kind not in ("progress", "beat"):
                return content[0] if content else None
            elif kind == "progress" and progress is not None:
                progress(*content)

    def _last_words(self) -> str:
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace").strip() or "it said nothing"


def _end(
    owner: int,
    process: subprocess.Popen[bytes],
    connection: Connection,
    log: IO[bytes],
    folder: str,
    segments: list[str],
) -> None:
    """Close the connection, give the host a moment to end its graph, then end whatever of its session is left.

    Only the process that started the host does: one that it forked has inherited all this, and may end before it.
    """
    if os.getpid() != owner:
        return
    connection.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    # SIGTERM spares only the resource tracker, which then removes the shared memory of the others and ends by itself; a
    # stopped process gets it once it is continued
    for numbers, patience_s in (((signal.SIGTERM, signal.SIGCONT), 3.0), ((signal.SIGKILL,), 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            for number in numbers:
                os.killpg(process.pid, number)
            _await_group(process, patience_s)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    log.close()
    for name in segments:  # gone, unless everything was killed from outside, the resource tracker too
        (SHARED_MEMORY / name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # the host has removed it, unless it was killed


def _await_group(host: subprocess.Popen[bytes], patience_s: float) -> None:
    """Return early when nothing of the host's session runs any more."""
    deadline = time.monotonic() + patience_s
    host.poll()  # reaps it, or it would be left as a zombie of ours
    while _runs(host.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
        host.poll()


def _runs(group: int) -> bool:
    """Whether any process of the group does. The dead do not count that process 1 has not reaped yet: in a container it
    may do so late, or never."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    if not PROCESSES.is_dir():  # not Linux
        return True
    for file in PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            # "number (name) state parent group ..", and a name may hold spaces and brackets
            state, _, its_group = file.read_bytes().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False
