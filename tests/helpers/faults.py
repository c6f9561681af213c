"""Command lines tried in processes of their own: how they end, what they say, how long and how large they become."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import multiprocessing.util
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

import matplotlib.figure
import pytest

MOST_S, MOST_BYTES = 60, 2**30
"""Seconds of the processor that a call may take, and by how much its process may grow."""
PATIENCE_S = 600
"""By the clock, on a busy computer: for what hangs."""
PRELOADED = [
    "helpers.faults", "sklearn.datasets", "art.attacks.evasion", "art.estimators.classification", "bench.evaluate",
    "bench.reports.run_report", "bench.machines.crossbar_dies", "bench.robustness.disturbances", "models.train.command",
]  # fmt: skip
COMMANDS = {
    "bench.run": "bench.run",
    "bench.learn": "bench.learn",
    "bench.zoo": "bench.zoo.__main__",
    "bench.speed": "bench.speed.__main__",
    "models.train": "models.train.command",
    "models.twin": "models.twin.command",
}


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    code: int
    """Below zero: the signal that ended it."""
    out: str
    said: str
    """On standard error."""
    seconds: float = 0.0
    grown: int = 0
    """Bytes by which the process reached further than ever before."""
    traceback: str = ""

    @property
    def wrong(self) -> str:
        """What no command line may do; nothing where all is well."""
        told = self.said.strip().splitlines()
        last = told[-1] if told else ""
        by_parser = self.code == 2 and "For full helptext" in self.said
        if self.traceback or self.code < 0:
            return self.traceback or f"ended by signal {-self.code}"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}: {self.said[-300:]}"
        if self.code and not by_parser and (not last.startswith("error: ") or last == "error: "):
            return f"exit code {self.code} with {last!r}"
        if self.seconds > MOST_S:
            return f"took {self.seconds:.0f} s"
        return f"grew by {self.grown / 2**20:.0f} MiB" if self.grown > MOST_BYTES else ""


def attempt(command: str, arguments: Sequence[str]) -> Outcome:
    """Call a command in this process."""
    main = import_module(COMMANDS[command]).main
    out, said = io.StringIO(), io.StringIO()
    before, start, code, told = _peak(), time.process_time(), 0, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said), _alarm():
            code = main(list(arguments)) or 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        code, told = 1, traceback.format_exc()
    seconds = time.process_time() - start
    return Outcome(code, out.getvalue(), said.getvalue(), seconds, _peak() - before, told)


class TooSlowError(BaseException):
    """Not to be taken for an error of the command's own."""


@contextlib.contextmanager
def _alarm():
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Worker:
    """A process in which command lines are tried; one that dies is told of, and replaced. A context manager.

    Pictures are not drawn there: they take longer than all else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = server()
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()

    def attempt(self, command: str, arguments: Sequence[object]) -> Outcome:
        """Call a command there."""
        try:
            self.pipe.send((command, [str(argument) for argument in arguments]))
            outcome: Outcome = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            outcome = Outcome(self.process.exitcode or -1, "", "")
            self._start()
        return outcome

    def _start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_serve, args=(theirs, str(self.folder)), daemon=False)
        self.process.start()
        theirs.close()


def server() -> multiprocessing.context.ForkServerContext:
    """Processes that begin with all libraries loaded."""
    with pytest.MonkeyPatch.context() as patch:
        # what it keeps until this interpreter ends would be taken for something that a test left behind
        patch.setattr(tempfile, "tempdir", os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        multiprocessing.util.get_temp_dir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextlib.contextmanager
def here(folder: Path) -> Iterator[Callable[[str, Sequence[object]], Outcome]]:
    """The same in this process, for a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(matplotlib.figure.Figure, "savefig", lambda *_arguments, **_options: None)
        yield lambda command, arguments: attempt(command, [str(argument) for argument in arguments])


def _serve(pipe: Connection, folder: str) -> None:
    matplotlib.figure.Figure.savefig = lambda *_arguments, **_options: None
    os.chdir(folder)
    here = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + 4 * MOST_BYTES, resource.RLIM_INFINITY))
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(command, arguments))


def run_until_killed(command: str, arguments: Sequence[object], folder: Path, after_s: float) -> int:
    """Call a command in a process of its own and SIGKILL it after so many seconds; its exit code."""
    process = server().Process(target=alone, args=(command, [str(one) for one in arguments], str(folder)))
    process.start()
    process.join(after_s)
    process.kill()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def alone(command: str, arguments: list[str], folder: str) -> None:
    """What a process of its own does: its exit code is the command's, or 70 where that ended as none may."""
    os.chdir(folder)
    outcome = attempt(command, arguments)
    raise SystemExit(outcome.code if not outcome.wrong else 70)
