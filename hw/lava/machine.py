"""The Lava machine: what users hold. It talks to a host interpreter, one that settles and one that learns."""

from __future__ import annotations

from math import ceil
from threading import RLock
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.circuit import Circuit, FixedNeuron, FloatNeuron, Weights, checked_images, weights_of, with_weights
from hw.events.messages import COLUMNS, MessageEvents
from hw.exclusive import exclusive
from hw.lava.hosting import HOSTING, Hosting
from hw.lava.learning.messages import LearningJob, PassReport
from hw.lava.learning.run_pass import batched, pass_of
from hw.lava.messages import Batch, Job
from hw.lava.process import HostProcess
from hw.learning.memory import check_descent
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Learned, LearningRule
from hw.ledger import Ledger
from hw.machine import Settled, concatenate

SERVER = "hw.lava.serve"
"""The interpreter at the other end."""


class Lava:
    """Settles a circuit on a Lava graph: `FloatNeuron` circuits in float, `FixedNeuron` circuits in integers.

    With `delta_threshold` only changes of at least that many codes are sent; at 1 the states are those of dense
    messages in every bit. With `tolerance` (in units of state 1.0) images at rest are held. All batches of a settle are
    one Lava run, and so are all updates of a `learn`; the graphs stay up between calls, so use the machine as a context
    manager, or close it. `hosting` says how they are hosted and watched, `seed` is that of the stochastic rounding with
    which integers learn.
    """

    def __init__(
        self,
        circuit: Circuit,
        *,
        steps: int,
        batch_size: int = 256,
        tolerance: float | None = None,
        delta_threshold: int | None = None,
        hosting: Hosting = HOSTING,
        seed: int = 0,
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
        self.delta_threshold, self.hosting = delta_threshold, hosting
        self.seed, self.lock = seed, RLock()
        self._host: tuple[tuple[int, bool], HostProcess] | None = None
        self._learning_host: tuple[tuple[UpdatePhases, int], HostProcess] | None = None

    def __repr__(self) -> str:
        threshold = self.delta_threshold
        sent = "whole states" if threshold is None else f"changes from {threshold} up"
        return f"Lava, {self.steps} steps, sends {sent}, {self.circuit!r}"

    @exclusive
    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]; batches are made equal and the last one padded."""
        codes = self.circuit.encode(images)
        if isinstance(self.circuit.neuron, FixedNeuron):
            codes = codes.astype(np.int16)
        runs = ceil(len(codes) / self.batch_size)
        batch = ceil(len(codes) / runs)
        host = self._host_for(batch, trace)
        answers = self._answer(host, batched(codes, batch))
        counts = [min(batch, len(codes) - first) for first in range(0, len(codes), batch)]
        return concatenate([self._settled(answer, count) for answer, count in zip(answers, counts, strict=True)])

    @exclusive
    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
        """One pass over images (N, C, H, W) with labels (N,), one update per batch of the rule, in one Lava run.

        States are sent whole, and all steps are run. What integers keep below a step of a weight stays while the phases
        and the batch size of the rules do: others build another graph, from the weights alone.
        """
        images, labels = checked_images(images, self.circuit.input_shape), np.asarray(labels)
        rule.check(self.circuit, labels, len(images))
        check_descent(self.circuit, rule.descent)
        if self.delta_threshold is not None:
            raise ValueError(
                f"delta_threshold is {self.delta_threshold}: learning sends whole states; make a machine without it"
            )
        host = self._learning_host_for(rule)
        report: PassReport = self._answer(host, pass_of(self.circuit, images, labels, rule))
        self.circuit = with_weights(self.circuit, report.weights)
        self._end("_host")  # it holds the weights before
        steps = rule.phases.steps
        return Learned(
            images=len(images),
            hits=report.hits,
            ledger=self._ledger(np.full(steps, len(images)), report.events, len(images)),
        )

    @exclusive
    def read_weights(self) -> Weights:
        """Weights and biases as they are now."""
        return weights_of(self.circuit)

    @property
    def host_pid(self) -> int | None:
        """Of the interpreter that hosts the graph that settles, and of the session of all its processes; None before
        the first settle."""
        return None if self._host is None else self._host[1].process.pid

    def close(self) -> None:
        """End the hosts and everything they started; the next settle or learn starts again, from the weights.

        Another thread may do this while a graph runs: the call that waits for it then ends with `LavaError`.
        """
        for name in ("_host", "_learning_host"):
            self._end(name)

    def __enter__(self) -> Lava:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _host_for(self, batch: int, trace: bool) -> HostProcess:
        """The running host if it fits, else a new one: a Lava graph cannot change its shapes."""
        if self._host is not None and self._host[0] != (batch, trace):
            self._end("_host")
        if self._host is None:
            job = Job(
                self.circuit,
                self.steps,
                batch,
                self.tolerance,
                self.delta_threshold,
                trace,
                self.hosting.stall_s,
                dict(self.hosting.process_models),
            )
            self._host = (batch, trace), HostProcess(SERVER, job, self.hosting.stall_s)
        return self._host[1]

    def _learning_host_for(self, rule: LearningRule) -> HostProcess:
        """The same for learning: a Lava graph cannot change its phases either."""
        key = (rule.phases, rule.batch_size)
        if self._learning_host is not None and self._learning_host[0] != key:
            self._end("_learning_host")
        if self._learning_host is None:
            job = LearningJob(self.circuit, rule.phases, rule.batch_size, self.seed, self.hosting.stall_s)
            self._learning_host = key, HostProcess(SERVER, job, self.hosting.stall_s)
        return self._learning_host[1]

    def _answer(self, host: HostProcess, request: Any) -> Any:
        try:
            return host.ask(request, self.hosting.progress)
        except BaseException:
            self.close()
            raise

    def _end(self, name: Literal["_host", "_learning_host"]) -> None:
        running: tuple[Any, HostProcess] | None = getattr(self, name)
        if running is not None:
            setattr(self, name, None)
            running[1].close()

    def _settled(self, batch: Batch, count: int) -> Settled:
        """What the graph reported of one batch, its padding dropped."""
        circuit, steps = self.circuit, self.steps
        taken = np.full(count, steps) if batch.steps is None else batch.steps[:count].astype(np.int64)
        ran = np.arange(steps)[:, None] < taken  # (T, B): which images still ran in each step
        running = ran.sum(axis=1)
        shape = (2, steps, len(COLUMNS), -1)
        reported = [batch.source_events, *(report[:-1].reshape(shape) for report in batch.reports)]
        events = np.stack([(layer[..., :count] * ran[:, None]).sum(axis=-1) for layer in reported], axis=2)
        scores = batch.scores[..., :count].transpose(0, 2, 1) * circuit.logit_scale
        return Settled(
            logits=scores[-1],
            logits_by_step=scores,
            states=tuple(_batch_first(state, count) for state in batch.states),
            one=circuit.neuron.one,
            steps=taken,
            residual=np.max([report[-1, :count] for report in batch.reports], axis=0),
            ledger=self._ledger(running, events, count),
            trace=(
                None
                if batch.trace is None
                else tuple(np.moveaxis(layer[..., :count], -1, 1).copy() for layer in batch.trace)
            ),
        )

    def _ledger(self, running: NDArray[np.int64], events: NDArray[np.float64], images: int) -> Ledger:
        """`running` (T,) images at every step, `events` (nonzero and changed, T, S, columns)."""
        circuit = self.circuit
        messages = MessageEvents(
            running=running,
            units=tuple(int(np.prod(layer)) for layer in circuit.layers),
            cores=circuit.cores,
            link_kinds=tuple(wire.kind for wire in circuit.wires),
            dense=running[:, None, None] * np.stack([table.sum(axis=0) for table in circuit.traffic]),
            zero_skip=events[0],
            delta=events[1],
            coding="zero_skip" if self.delta_threshold is None else "delta",
            readout_synops=float(0 if circuit.readout is None else circuit.readout.weight.size * images),
            busiest=circuit.busiest,
        )
        return Ledger(images, messages)


def _batch_first(state: NDArray[Any], count: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(state[..., :count], -1, 0))
