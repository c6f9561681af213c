"""The Lava machine: starts the host interpreter, feeds it and clears up after it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, FixedNeuron, FloatNeuron
from hw.lava.messages import Batch, Job
from hw.ledger import COLUMNS, Ledger
from hw.machine import Settled, concatenate

ROOT = Path(__file__).parents[2]


class LavaError(RuntimeError):
    """A Lava run ended early."""


class LavaStalledError(LavaError):
    """No process moved any more; the message names each process and the port it waits on."""


class LavaModelError(LavaError):
    """A process model raised, or its process died; the message names it and carries its traceback."""


_ERRORS = {"stalled": LavaStalledError, "model": LavaModelError, "died": LavaModelError}


class Lava:
    """Settles a circuit on a Lava graph: `FloatNeuron` circuits in float, `FixedNeuron` circuits in integers.

    With `delta_threshold` only changes of at least that many codes are sent; at 1 the states are those of dense
    messages in every bit. With `tolerance` (in units of state 1.0) images at rest are held. All batches of a settle are
    one Lava run; the graph stays up between settles, so use the machine as a context manager, or close it.
    """

    def __init__(
        self,
        circuit: Circuit,
        *,
        steps: int,
        batch_size: int = 256,
        tolerance: float | None = None,
        delta_threshold: int | None = None,
        stall_s: float = 60.0,
        process_models: Mapping[str, str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if steps < 1 or batch_size < 1:
            raise ValueError(f"steps is {steps} and batch_size {batch_size}; both must be at least 1")
        if delta_threshold is not None and isinstance(circuit.neuron, FloatNeuron):
            raise ValueError("delta coding needs integer states: quantize the network first")
        if delta_threshold is not None and not 1 <= delta_threshold <= circuit.neuron.one:
            raise ValueError(f"delta_threshold is {delta_threshold}, must be 1 to {circuit.neuron.one} codes")
        if isinstance(circuit.neuron, FixedNeuron) and any(wire.pooling == "max" for wire in circuit.wires):
            raise ValueError("max pooling runs on Lava in float only: average pooling or a stride maps to integers")
        self.circuit, self.steps, self.batch_size, self.tolerance = circuit, steps, batch_size, tolerance
        self.delta_threshold, self.stall_s, self.progress = delta_threshold, stall_s, progress
        self.process_models = dict(process_models or {})
        self._host: _HostProcess | None = None

    def settle(self, images: NDArray[np.floating], *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]; batches are made equal and the last one padded."""
        codes = self.circuit.encode(images)
        if isinstance(self.circuit.neuron, FixedNeuron):
            codes = codes.astype(np.int16)
        runs = ceil(len(codes) / self.batch_size)
        batch = ceil(len(codes) / runs)
        host = self._host_for(batch, trace)
        padded = np.zeros((runs * batch, *codes.shape[1:]), codes.dtype)
        padded[: len(codes)] = codes
        sent = [
            np.ascontiguousarray(np.moveaxis(part, 0, -1)) for part in padded.reshape(runs, batch, *codes.shape[1:])
        ]
        try:
            answers = host.settle(sent, self.progress)
        except BaseException:
            self.close()
            raise
        counts = [min(batch, len(codes) - first) for first in range(0, len(codes), batch)]
        return concatenate([self._settled(answer, count) for answer, count in zip(answers, counts, strict=True)])

    def close(self) -> None:
        """End the host and everything it started; the next settle starts afresh."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def __enter__(self) -> Lava:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _host_for(self, batch: int, trace: bool) -> _HostProcess:
        """The running host if it fits, else a new one: a Lava graph cannot change its shapes."""
        if self._host is not None and (self._host.batch, self._host.trace) != (batch, trace):
            self.close()
        if self._host is None:
            job = Job(
                self.circuit,
                self.steps,
                batch,
                self.tolerance,
                self.delta_threshold,
                trace,
                self.stall_s,
                self.process_models,
            )
            self._host = _HostProcess(job)
        return self._host

    def _settled(self, batch: Batch, count: int) -> Settled:
        """What the graph reported of one batch, its padding dropped."""
        circuit, steps = self.circuit, self.steps
        taken = np.full(count, steps) if batch.steps is None else batch.steps[:count].astype(np.int64)
        ran = np.arange(steps)[:, None] < taken  # (T, B): which images still ran in each step
        running = ran.sum(axis=1)
        dense = running[:, None, None] * np.stack([table.sum(axis=0) for table in circuit.traffic])
        shape = (2, steps, len(COLUMNS), -1)
        reported = [batch.source_events, *(report[:-1].reshape(shape) for report in batch.reports)]
        events = np.stack([(layer[..., :count] * ran[:, None]).sum(axis=-1) for layer in reported], axis=2)
        scores = batch.scores[..., :count].transpose(0, 2, 1) * circuit.logit_scale
        readout_macs = 0 if circuit.readout is None else circuit.readout.weight[0].size * circuit.classes
        return Settled(
            logits=scores[-1],
            logits_by_step=scores,
            states=tuple(_batch_first(state, count) for state in batch.states),
            one=circuit.neuron.one,
            steps=taken,
            residual=np.max([report[-1, :count] for report in batch.reports], axis=0),
            ledger=Ledger(
                images=count,
                running=running,
                units=tuple(int(np.prod(layer)) for layer in circuit.layers),
                cores=circuit.cores,
                link_kinds=tuple(wire.kind for wire in circuit.wires),
                dense=dense,
                zero_skip=events[0],
                delta=events[1],
                coding="zero_skip" if self.delta_threshold is None else "delta",
                readout_synops=float(readout_macs * count),
            ),
            trace=(
                None
                if batch.trace is None
                else tuple(np.moveaxis(layer[..., :count], -1, 1).copy() for layer in batch.trace)
            ),
        )


def _batch_first(state: NDArray[Any], count: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(state[..., :count], -1, 0))


class _HostProcess:
    """The parent's end of `hw.lava.host`. Everything it forks is in one session, which `close` ends."""

    def __init__(self, job: Job) -> None:
        self.batch, self.trace = job.batch, job.trace
        ours, theirs = socket.socketpair()
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end
        environment = dict(os.environ)
        # every process of the graph is one thread: the graph itself is what runs in parallel
        environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hw.lava.host", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        self.connection = Connection(ours.detach())
        self._finalizer = weakref.finalize(self, _end, self.process, self.connection, self.log)
        try:
            self._send(job)
            self._receive(None)
        except BaseException:
            self.close()
            raise

    def settle(self, batches: list[NDArray[Any]], progress: Callable[[int, int], None] | None) -> list[Batch]:
        """Settle batches laid out as on the ports; raises what went wrong over there."""
        self._send(batches)
        answers: list[Batch] = self._receive(progress)
        return answers

    def close(self) -> None:
        """Hang up, and see to it that nothing is left."""
        self._finalizer()

    def _send(self, message: Any) -> None:
        try:
            self.connection.send(message)
        except OSError as error:
            raise LavaError(f"the Lava host is gone: {self._last_words()}") from error

    def _receive(self, progress: Callable[[int, int], None] | None) -> Any:
        while True:
            try:
                kind, *content = self.connection.recv()
            except (EOFError, OSError) as error:
                raise LavaError(f"the Lava host is gone: {self._last_words()}") from error
            if kind == "failed":
                raise _ERRORS.get(content[0], LavaError)(content[1])
            if kind != "progress":
                return content[0] if content else None
            if progress is not None:
                progress(*content)

    def _last_words(self) -> str:
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace").strip() or "it said nothing"


def _end(process: subprocess.Popen[bytes], connection: Connection, log: IO[bytes]) -> None:
    """Close the connection, give the host a moment to end its graph, then end whatever of its session is left."""
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


def _await_group(host: subprocess.Popen[bytes], patience_s: float) -> None:
    """Return early, with ProcessLookupError, when nothing of the host's session is left."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        host.poll()  # reaps it, or it would be left as a zombie of ours
        os.killpg(host.pid, 0)
        time.sleep(0.02)
