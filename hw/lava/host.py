"""The interpreter that hosts one Lava graph: `python -m hw.lava.host FD`, started by `hw.lava.machine`.

It receives a `Job`, builds and starts the graph once, then settles whatever codes it is sent, all batches of a call in
one run of Lava. It watches its processes while they run: one that failed, died or stands still ends the run with an
error that says which and where. It ends when the other end of its connection closes, and leaves no process behind.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from multiprocessing import Process
from multiprocessing.connection import Connection
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from numpy.typing import NDArray

from hw.lava.board import snapshot
from hw.lava.graph import CHANNEL_SLOTS, Graph, build_graph, pipe
from hw.lava.messages import Batch, Job

POLL_S = 0.0005
"""How often the host looks at its pipes; a time step takes one to several milliseconds."""
WATCH_S = 0.2
"""How often it looks after its processes."""


class RunError(Exception):
    """A Lava run that cannot go on; `kind` tells the machine which error to raise."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Host:
    """A started graph."""

    def __init__(self, job: Job, graph: Graph, connection: Connection) -> None:
        self.job, self.graph, self.connection = job, graph, connection
        source = graph.source
        try:
            source.create_runtime(run_cfg=graph.run_config, compile_config={"pypy_channel_size": CHANNEL_SLOTS})
        except Exception as error:
            trace = getattr(error, "trace", None)  # Lava hangs it on what a process model raised while it was made
            if trace is None:
                raise
            raise RunError("model", f"a process model could not be made: {error!r}\n{trace}") from error
        self.runtime = source.runtime
        executable = self.runtime._executable
        actors = self.runtime._messaging_infrastructure.actors
        self.actors = {process.name: actor for process, actor in zip(executable.proc_builders, actors, strict=False)}

    def settle(self, batches: list[NDArray[Any]]) -> list[Batch]:
        """Settle batches (*input shape, B) in one Lava run."""
        graph, job = self.graph, self.job
        ports = [graph.source.report_out, graph.readout.scores_out]
        ports += [port for layer in graph.layers for port in (layer.state_out, layer.report_out)]
        if graph.rest is not None:
            ports.append(graph.rest.steps_out)
        traces = [layer.trace_out for layer in graph.layers] if job.trace else []
        received: dict[int, deque[NDArray[Any]]] = {id(port): deque() for port in (*ports, *traces)}
        images = pipe(graph.source.images_in)
        waiting = deque(batches)
        answers: list[Batch] = []
        graph.source.run(RunSteps(len(batches) * (job.steps + 1), blocking=False))
        watch = _Watch(self)
        while len(answers) < len(batches) or not self.runtime.service_to_runtime[0].probe():
            moved = False
            if waiting and images.probe():
                images.send(waiting.popleft())
                moved = True
            for port in (*ports, *traces):
                while pipe(port).probe():
                    received[id(port)].append(pipe(port).recv())
                    moved = True
            while all(received[id(port)] for port in ports) and all(
                len(received[id(port)]) >= job.steps for port in traces
            ):
                answers.append(self._collect(received))
                self.connection.send(("progress", len(answers), len(batches)))
            if not moved:
                watch.look()
                time.sleep(POLL_S)
        graph.source.wait()
        return answers

    def _collect(self, received: dict[int, deque[NDArray[Any]]]) -> Batch:
        graph = self.graph

        def take(port: object) -> NDArray[Any]:
            return received[id(port)].popleft()

        return Batch(
            source_events=take(graph.source.report_out),
            states=tuple(take(layer.state_out) for layer in graph.layers),
            reports=tuple(take(layer.report_out) for layer in graph.layers),
            scores=take(graph.readout.scores_out),
            steps=None if graph.rest is None else take(graph.rest.steps_out),
            trace=(
                tuple(np.stack([take(layer.trace_out) for _ in range(self.job.steps)]) for layer in graph.layers)
                if self.job.trace
                else None
            ),
        )

    def kill(self) -> None:
        """End every process of the graph now, even one that is stopped or blocked."""
        actors = self.runtime._messaging_infrastructure.actors
        for actor in actors:
            with suppress(Exception):
                actor.kill()
        for actor in actors:
            with suppress(Exception):
                Process.join(actor, timeout=1.0)  # reaped at once, so that nobody has to wait for it to vanish
        with suppress(Exception):
            self.runtime._messaging_infrastructure._smm.shutdown()


class _Watch:
    """Looks after the processes of a running graph."""

    def __init__(self, host: Host) -> None:
        self.host, self.last, self.since, self.looked = host, b"", time.monotonic(), 0.0

    def look(self) -> None:
        """Raise RunError if a process failed, died or if none has moved for the stall time."""
        now = time.monotonic()
        if now - self.looked < WATCH_S:
            return
        self.looked = now
        host = self.host
        if host.connection.poll():
            raise EOFError  # nothing is sent to us during a run: the other end has gone
        for name, actor in host.actors.items():
            self._check(name, actor)
        board = snapshot(len(host.graph.places))
        if board != self.last:
            self.last, self.since = board, now
        elif now - self.since > host.job.stall_s:
            raise RunError("stalled", self._stalled(now - self.since))

    def _check(self, name: str, actor: Any) -> None:
        # an actor whose process was reaped has no exit code to ask for any more
        failure = actor.exception
        if failure is not None:
            error, trace = failure
            step = next(place.step for place in self.host.graph.places if place.name == name)
            raise RunError("model", f"process {name!r} failed in time step {step}: {error!r}\n{trace}")
        if not actor.is_alive():
            raise RunError("died", f"process {name!r} died with exit code {actor.exitcode}")

    def _stalled(self, seconds: float) -> str:
        graph = self.host.graph
        lines = []
        for place in graph.places:
            port = place.waits_on
            if port is None:
                lines.append(f"  {place.name} (time step {place.step}) waits on no port: it is busy or stopped")
            else:
                partners = graph.feeds.get((place.name, port), ())
                hint = f" from {', '.join(partners)}" if partners else ""
                lines.append(f"  {place.name} (time step {place.step}) waits on port {port}{hint}")
        return "\n".join([f"the Lava run stalled: no process has moved for {seconds:.0f} s", *lines])


def main() -> None:
    """Serve one machine until it hangs up."""
    connection = Connection(int(sys.argv[1]))
    # what Lava forks must not hold our end open: if we are killed, the machine has to see that we are gone
    os.register_at_fork(after_in_child=connection.close)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the machine, which then closes the connection
    host: Host | None = None
    try:
        job = connection.recv()
        host = Host(job, build_graph(job), connection)
        connection.send(("ready",))
        while True:
            connection.send(("settled", host.settle(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except RunError as error:
        _tell(connection, error.kind, str(error))
    except Exception as error:
        _tell(connection, "host", f"{error}\n{traceback.format_exc()}" if host else str(error))
    finally:
        if host is not None:
            host.kill()
        # Lava's threads and atexit hooks would wait for the processes that are gone
        os._exit(0)


def _tell(connection: Connection, kind: str, message: str) -> None:
    with suppress(OSError):
        connection.send(("failed", kind, message))


if __name__ == "__main__":
    main()
