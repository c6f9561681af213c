"""The Brian machine: what users hold."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from threading import RLock
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.brian.learning import Lesson, Memories, check_learner
from hw.brian.loading import brian_at_work, check_target, load_brian
from hw.brian.memory import check_memory
from hw.brian.network import Network, Phase
from hw.brian.options import PERFECT, Imperfections, Rate, Scheme, Simulation
from hw.brian.recording import Counter, course
from hw.brian.watching import Watch
from hw.circuit import Circuit, Weights, checked_images, weights_of, with_weights
from hw.exclusive import exclusive
from hw.learning.rule import Learned, LearningRule, joined
from hw.machine import Settled, concatenate, split


class Brian:
    """Settles a circuit in continuous time, in Brian2: as rates, or by what neurons tell each other in spikes.

    `duration_tau` is how long an image settles, in time constants. `batch_size` images lie side by side in one group of
    neurons per layer; batches are made equal and the last one padded. An image is at rest once no state is farther than
    `tolerance` (in units of state 1.0) from where it ends. A program of integers is run in its codes. `free_bytes` is
    the memory it may take; None: it is not watched. `progress` is told after every batch how many are done, and of how
    many. With `watch`, `seen` is what the neurons did for the first image since (`hw.brian.watching`).
    """

    def __init__(
        self,
        circuit: Circuit,
        *,
        duration_tau: float,
        scheme: Scheme | None = None,
        simulation: Simulation | None = None,
        imperfections: Imperfections = PERFECT,
        batch_size: int = 16,
        tolerance: float = 0.01,
        free_bytes: float | None = None,
    ) -> None:
        self.scheme: Scheme = Rate() if scheme is None else scheme
        self.simulation = Simulation() if simulation is None else simulation
        self.step_tau = self.simulation.step_tau(self.scheme)
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, must be at least 1")
        if not self.step_tau <= duration_tau < np.inf:
            raise ValueError(f"duration_tau is {duration_tau}, must be finite and at least one step, {self.step_tau:g}")
        if not 0 <= tolerance < 1:
            raise ValueError(f"tolerance is {tolerance}, must be in [0, 1): states lie in [0, 1]")
        check_circuit(circuit, self.scheme, imperfections)
        self.circuit, self.duration_tau, self.batch_size = circuit, duration_tau, batch_size
        self.imperfections, self.tolerance, self.free_bytes = imperfections, tolerance, free_bytes
        self.progress: Callable[[int, int], None] | None = None
        self.watch = False
        self.seen: dict[str, Any] | None = None
        self.lock = RLock()
        load_brian()
        check_target(self.simulation.target)
        self._network: Network | None = None
        self._memories: Memories | None = None

    def __repr__(self) -> str:
        return f"Brian, {self.scheme!r}, {self.duration_tau:g} tau in steps of {self.step_tau:g} tau, {self.circuit!r}"

    @property
    def steps(self) -> int:
        """Steps of the integration per image."""
        return round(self.duration_tau / self.step_tau)

    @exclusive
    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]; all batches are one run of Brian's.

        Raises MemoryError, before anything is built, where a batch does not fit into `free_bytes`.
        """
        codes = self.circuit.encode(images)
        runs = ceil(len(codes) / self.batch_size)
        copies = ceil(len(codes) / runs)
        network = self._network_of(copies)
        answers: list[Settled] = []
        phases = [
            self._settling(network, codes[first : first + copies], trace, answers, ceil(len(codes) / copies))
            for first in range(0, len(codes), copies)
        ]
        network.run(phases)
        return concatenate(answers)

    @exclusive
    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
        """One pass over images (N, C, H, W) with labels (N,), one update per batch of the rule; all of it is one run.

        A synchronous step of the rule's phases lasts one time constant.
        """
        images, labels = checked_images(images, self.circuit.input_shape), np.asarray(labels)
        rule.check(self.circuit, labels, len(images))
        check_learner(self.circuit, self.scheme)
        if self._memories is None:
            self._memories = Memories(self.circuit)
        network = self._network_of(min(rule.batch_size, len(images)))
        done: list[Learned] = []
        phases: list[Phase] = []
        for batch, targets in zip(split(images, rule.batch_size), split(labels, rule.batch_size), strict=True):
            lesson = Lesson(network, rule, self._memories, self.circuit.encode(batch), targets)
            phases += lesson.phases(done)
        network.run(phases)
        self.circuit = with_weights(self.circuit, self._memories.weights())
        self._network = None  # it rounds no weights as the circuit does
        return joined(done)

    @exclusive
    def read_weights(self) -> Weights:
        """Weights and biases as they are now."""
        return weights_of(self.circuit) if self._memories is None else self._memories.weights()

    def close(self) -> None:
        """Let go of the network; the next call builds it again, from the weights."""
        self._network = None

    def __enter__(self) -> Brian:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _network_of(self, copies: int) -> Network:
        """The network if it fits the batch, else a new one."""
        if self._network is None or self._network.copies != copies:
            self._network = None
            check_memory(self.circuit, self.simulation, copies, self.steps, self.free_bytes)
            with brian_at_work(self.simulation.target):
                self._network = Network(self.circuit, self.scheme, self.simulation, self.imperfections, copies)
        return self._network

    def _settling(
        self, network: Network, codes: NDArray[np.generic], trace: bool, answers: list[Settled], batches: int
    ) -> Phase:
        """One batch from zero to rest; its answer is added to `answers`."""
        steps, images = self.steps, len(codes)
        padded = np.zeros((network.copies, *codes.shape[1:]), codes.dtype)
        padded[:images] = codes
        history: list[NDArray[np.float32]] = []
        counters: list[Counter] = []
        watch = Watch(network) if self.watch and self.seen is None and not answers else None

        def begin() -> None:
            network.clear()
            network.clamp(padded)
            counters.append(Counter(network, steps, codes, images))
            history.extend(np.zeros((steps, *said.shape), np.float32) for said in network.said)

        def after(row: int) -> None:
            counters[0].count(row)
            if watch is not None:
                watch.look(row)
            for rows, said in zip(history, network.said, strict=True):
                rows[row] = said

        def finish() -> None:
            answers.append(self._settled(network, history, counters[0], images, trace))
            history.clear()
            if watch is not None and self.seen is None:
                self.seen = watch.told()
            if self.progress is not None:
                self.progress(len(answers), batches)

        return Phase(steps, begin, after=after, finish=finish)

    def _settled(
        self, network: Network, history: list[NDArray[np.float32]], counter: Counter, images: int, trace: bool
    ) -> Settled:
        found, one = course(network, history, images), self.circuit.neuron.one
        return Settled(
            logits=found.scores[-1],
            logits_by_step=found.scores,
            states=tuple(states[-1].copy() for states in found.told),
            one=one,
            steps=None,
            residual=found.residual() / one,
            ledger=counter.ledger(),
            trace=found.told if trace else None,
            times_s=found.times_s,
            rest_s=found.rest_s(self.tolerance * one),
        )


def check_circuit(circuit: Circuit, scheme: Scheme, imperfections: Imperfections) -> None:
    """Refuse what neurons in continuous time cannot be; ValueError names the link or the option."""
    if not circuit.feedback:
        raise ValueError("the circuit has no feedback: synapses in Brian are laid in both directions here")
    for index, wire in enumerate(circuit.wires, start=1):
        if wire.pooling == "max":
            raise ValueError(
                f"link{index} pools by maxima: a synapse in Brian sums, and spikes carry no comparison; "
                "use average pooling or a stride"
            )
    if isinstance(scheme, Rate) and imperfections != PERFECT:
        raise ValueError(f"{imperfections!r}: rate neurons send no spikes that these would change")
