"""A Lava graph that runs: fed and emptied over its pipes, and watched.

One that failed, died or stands still ends the run with an error that says which process and where.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Process
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGBUS
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.run_conditions import RunSteps
from numpy.typing import NDArray

from hw.lava.board import snapshot
from hw.lava.graph import CHANNEL_SLOTS, Graph, pipe
from hw.lava.process import SHARED_MEMORY

POLL_S = 0.0005
"""How often the host looks at its pipes; a time step takes one to several milliseconds."""
BEAT_S = 1.0
"""How often it tells the other end that it is there."""
ENDING_S = 2.0
"""How long a process that ended without an error may wait for what another one has raised: Lava ends it for that."""
WATCH_S = 0.2
"""How often it looks after its processes."""


class RunError(Exception):
    """A Lava run that cannot go on; `kind` tells the machine which error to raise."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Host:
    """A started graph. A process stands still when none has moved for `stall_s`."""

    def __init__(self, graph: Graph, connection: Connection, stall_s: float) -> None:
        self.graph, self.connection, self.stall_s = graph, connection, stall_s
        self.first = graph.processes[0]
        try:
            self.first.create_runtime(run_cfg=graph.run_config, compile_config={"pypy_channel_size": CHANNEL_SLOTS})
        except Exception as error:
            trace = getattr(error, "trace", None)  # Lava hangs it on what a process model raised while it was made
            if trace is None:
                raise
            raise RunError("model", f"a process model could not be made: {error!r}\n{trace}") from error
        self.runtime = self.first.runtime
        executable = self.runtime._executable
        actors = self.runtime._messaging_infrastructure.actors
        names = [process.name for process in executable.proc_builders]
        # what comes after the processes of the graph is Lava's own, and a graph without it stands still for ever
        names += [f"Lava's runtime service {number}" for number in range(1, len(actors) - len(names) + 1)]
        self.actors = dict(zip(names, actors, strict=False))

    def run(
        self,
        time_steps: int,
        sent: Mapping[InPort, Sequence[NDArray[Any]]],
        expected: Mapping[OutPort, int],
    ) -> dict[OutPort, list[NDArray[Any]]]:
        """One Lava run: feed what is sent, in its order, as the graph takes it; collect what is expected.

        Messages of the first port in `expected` are reported to the other end as progress.
        """
        waiting = {port: deque(messages) for port, messages in sent.items()}
        received: dict[OutPort, list[NDArray[Any]]] = {port: [] for port in expected}
        counted = next(iter(expected))
        self.first.run(RunSteps(time_steps, blocking=False))
        watch, beaten = _Watch(self), time.monotonic()
        while (
            any(len(received[port]) < count for port, count in expected.items())
            or not self.runtime.service_to_runtime[0].probe()
        ):
            moved = False
            if time.monotonic() - beaten > BEAT_S:
                beaten = time.monotonic()
                self.connection.send(("beat",))
            for port, messages in waiting.items():
                if messages and pipe(port).probe():
                    pipe(port).send(messages.popleft())
                    moved = True
            for port, answers in received.items():
                while pipe(port).probe():
                    answers.append(pipe(port).recv())
                    moved = True
                    if port is counted:
                        self.connection.send(("progress", len(answers), expected[port]))
            if not moved:
                watch.look()
                time.sleep(POLL_S)
        self.first.wait()
        return received

    def segments(self) -> list[str]:
        """Names of the shared memory of the graph: nobody else knows them once everything here was killed."""
        names = set()
        for process in ("self", *(str(actor.pid) for actor in self.actors.values())):
            with suppress(OSError):  # one that has ended has none
                maps = Path("/proc", process, "maps").read_text(encoding="utf-8")
                names |= set(re.findall(r" /dev/shm/(psm_\w+)$", maps, flags=re.MULTILINE))
        return sorted(names)

    def reserve(self) -> None:
        """Take the shared memory now: a process that writes where none is left would die of a bus error later."""
        for name in self.segments():
            descriptor = os.open(SHARED_MEMORY / name, os.O_RDWR)
            try:
                os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
            except OSError as error:
                raise RunError("memory", f"{SHARED_MEMORY} has no room for channels of the graph: {error}") from None
            finally:
                os.close(descriptor)

    def kill(self) -> None:
        """End every process of the graph now, even one that is stopped or blocked."""
        actors = self.runtime._messaging_infrastructure.actors
        for actor in actors:
            with suppress(Exception):
                actor.kill()
        for actor in actors:
            with suppress(Exception):
                Process.join(actor, timeout=1.0)  # reaped at once: it does not linger
        with suppress(Exception):
            self.runtime._messaging_infrastructure._smm.shutdown()


class _Watch:
    """Looks after the processes of a running graph."""

    def __init__(self, host: Host) -> None:
        self.host, self.last, self.since, self.looked = host, b"", time.monotonic(), 0.0
        self.ended: float | None = None

    def look(self) -> None:
        """Raise RunError if a process failed, died or if none has moved for the stall time."""
        now = time.monotonic()
        if now - self.looked < WATCH_S:
            return
        self.looked = now
        host = self.host
        if host.connection.poll():
            raise EOFError  # nothing is sent to us during a run: the other end has gone
        self._check()
        board = snapshot(len(host.graph.rows))
        if board != self.last:
            self.last, self.since = board, now
        elif now - self.since > host.stall_s:
            raise RunError("stalled", self._stalled(now - self.since))

    def _check(self) -> None:
        # Lava ends the other processes when one has raised: what it raised is there before any of them has ended, and
        # is the reason to give
        ended = {name: code for name, actor in self.host.actors.items() if (code := _exit_code(actor)) is not None}
        for name, actor in self.host.actors.items():
            if (failure := actor.exception) is not None:
                error, trace = failure
                step = next((place.step for place in self.host.graph.rows if place.name == name), 0)
                raise RunError("model", f"process {name!r} failed in time step {step}: {error!r}\n{trace}")
        if ended and not any(ended.values()):
            self.ended = self.ended or time.monotonic()
            if time.monotonic() - self.ended < ENDING_S:
                return
        for name, code in ended.items():
            why = f": a bus error, {SHARED_MEMORY} is full" if code == -SIGBUS else ""
            raise RunError("died", f"process {name!r} died with exit code {code}{why}")

    def _stalled(self, seconds: float) -> str:
        graph = self.host.graph
        lines = []
        for place in graph.rows:
            port = place.waits_on
            if port is None:
                lines.append(f"  {place.name} (time step {place.step}) waits on no port: it is busy or stopped")
            else:
                partners = graph.feeds.get((place.name, port), ())
                hint = f" from {', '.join(partners)}" if partners else ""
                lines.append(f"  {place.name} (time step {place.step}) waits on port {port}{hint}")
        return "\n".join([f"the Lava run stalled: no process has moved for {seconds:.0f} s", *lines])


def _exit_code(actor: Any) -> int | None:
    """Of an actor that has ended and was not reaped yet."""
    with suppress(ValueError):  # a process that was reaped has no exit code to ask for any more
        return None if actor.is_alive() else actor.exitcode
    return None
