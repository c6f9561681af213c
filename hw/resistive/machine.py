"""The machine: a circuit that settles by itself, in continuous time, and learns by voltages across its resistors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from types import TracebackType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hw.circuit import Weights, checked_images
from hw.events.analog import AnalogEvents
from hw.exclusive import exclusive
from hw.learning.rule import Learned, LearningRule
from hw.ledger import Ledger
from hw.machine import Settled, concatenate, split
from hw.resistive.die import Die
from hw.resistive.dynamics import time_constants_s
from hw.resistive.learning import Asked, InPlace, Learner, Timing
from hw.resistive.network import ResistiveNetwork
from hw.resistive.parasitics import Parasitics, node_capacities
from hw.resistive.readout import Reading
from hw.resistive.settling import Rest, settle
from hw.resistive.solver import Solver
from hw.resistive.track import Track, track_of

Array = NDArray[np.float64]
TOLERANCE = 2.0**-9
"""Half a step of 8 bits of the largest voltage of a layer."""
ROWS, FIRST_TAU, LAST_TAU = 32, 0.05, 40.0
"""Times at which voltages are looked at, in slowest time constants of the circuit with no diode conducting: with some
that conduct it is faster."""
PHASE_TAU = 10.0
"""Slowest time constants that every phase of learning is given."""


@dataclass(frozen=True)
class Physics:
    """What a circuit is built of."""

    parasitics: Parasitics = Parasitics()  # noqa: RUF009 - frozen
    die: Die | None = None
    """None: resistors and amplifiers as they should be."""
    tolerance: float = TOLERANCE
    """An image is at rest once no voltage is farther than this share of the largest of its layer from where it ends."""
    noise_seed: tuple[int, ...] = (0,)
    fresh_s: float | None = None
    """For how long the fresh noise of devices stays what it is while phases of learning follow each other; None: as
    long as the read that their source measured it in, which is longer than phases are."""


class Resistive:
    """Settles a network of resistors; `learner` says how it learns, None: it does not."""

    def __init__(
        self,
        network: ResistiveNetwork,
        reading: Reading,
        *,
        physics: Physics = Physics(),
        batch_size: int = 256,
        device: str = "cpu",
        in_place: InPlace | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, must be at least 1")
        if not 0 < physics.tolerance < 1:
            raise ValueError(f"tolerance is {physics.tolerance}, expected a share above 0 and below 1")
        if physics.fresh_s is not None and not 0 <= physics.fresh_s < np.inf:
            raise ValueError(f"fresh_s is {physics.fresh_s} s, expected a number from 0, or none")
        self.reading, self.physics, self.batch_size, self.device = reading, physics, batch_size, device
        self.lock = RLock()
        self._noise = np.random.default_rng((*physics.noise_seed, 7))
        self.designed = network
        """The circuit without errors."""
        self._network = network if physics.die is None else physics.die.network(None)
        self.farad = node_capacities(self._network, physics.parasitics, device)
        # of the circuit as designed: all dies are looked at at the same times
        self.tau_s = time_constants_s(Solver(network, device), self.farad)[0]
        self.times_s = self.tau_s * np.geomspace(FIRST_TAU, LAST_TAU, ROWS)
        self._quiet = Solver(self._network, device)
        self._learner = None
        if in_place is not None:
            read_s = 0.0 if physics.die is None else physics.die.arrays[0][0].device.read_s
            timing = Timing(PHASE_TAU * self.tau_s, read_s if physics.fresh_s is None else physics.fresh_s)
            self._learner = Learner(in_place, self._network, physics.die, timing, device)

    def __repr__(self) -> str:
        return f"Resistive on {self.device}, slowest time constant {self.tau_s:.3g} s, {self._network!r}"

    @property
    def network(self) -> ResistiveNetwork:
        """The circuit as it is now, without noise."""
        return self._network

    def solver(self) -> Solver:
        """The circuit with the slow and fresh noise of one settle, drawn now."""
        return self._quiet if self.physics.die is None else Solver(self.die.network(self._noise), self.device)

    @exclusive
    @torch.no_grad()
    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Let images (B, C, H, W) in [0, 1] settle; slow and fresh noise of devices is drawn once for all of them."""
        images = checked_images(images, self.reading.input_shape)
        solver = self.solver()
        return concatenate([self._settle_batch(solver, part, trace)[0] for part in split(images, self.batch_size)])

    @exclusive
    @torch.no_grad()
    def course(self, images: ArrayLike) -> tuple[Settled, tuple[AnalogEvents, ...]]:
        """As `settle` of one batch with its trace, and what the circuit had taken, had all images been stopped at each
        of `times_s`."""
        images = checked_images(images, self.reading.input_shape)
        settled, track = self._settle_batch(self.solver(), images, trace=True)
        heat = track.heat_j
        stopped = [
            AnalogEvents({part: float(until[row].sum()) for part, until in heat.items()}, len(images) * float(time))
            for row, time in enumerate(self.times_s)
        ]
        return settled, tuple(stopped)

    @exclusive
    @torch.no_grad()
    def answers(self, images: ArrayLike) -> Array:
        """(B, classes) scores at rest, as of `settle` without the way there."""
        images = checked_images(images, self.reading.input_shape)
        solver, sense = self.solver(), 0.0 if self.physics.die is None else self.die.sense_v
        parts = [settle(solver, solver.sources(part)) for part in split(images, self.batch_size)]
        return np.concatenate([self.reading.scores(part.volts[-1].cpu().numpy() + sense) for part in parts])

    @exclusive
    @torch.no_grad()
    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
        """One pass over images (N, C, H, W) with labels (N,), one update per batch of the rule.

        Raises ValueError for a circuit that was not made to learn, and for rules of momentum or decay.
        """
        images, labels = checked_images(images, self.reading.input_shape), np.asarray(labels)
        learner = self._learns(rule, images, labels)
        learned = learner.learn(images, labels, rule, self._noise)
        self._network = learner.network
        self._quiet = Solver(self._network, self.device)
        self.reading = learner.in_place.read(self._network)[1]
        return learned

    @exclusive
    def read_weights(self) -> Weights:
        """Weights and biases of the network of states and scores that the circuit is the equal of, as it is now."""
        if self._learner is None:
            raise ValueError("this circuit does not learn in place: its weights are those it was made of")
        return self._learner.in_place.read(self._network)[0]

    @exclusive
    @torch.no_grad()
    def asked(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule, *, noise: bool = True) -> Asked:
        """What a batch asks of every resistor, with the noise of devices or without it; nothing is written.

        Raises ValueError as `learn` does.
        """
        images, labels = checked_images(images, self.reading.input_shape), np.asarray(labels)
        return self._learns(rule, images, labels).asked(images, labels, rule, self._noise if noise else None)

    def writes(self) -> NDArray[np.int64]:
        """How often every device has been written while learning; empty for ideal resistors."""
        return np.zeros(0, np.int64) if self._learner is None else self._learner.writes

    @exclusive
    @torch.no_grad()
    def rest(self, images: ArrayLike) -> tuple[Solver, Tensor, Rest]:
        """Solver, sources and point of rest, without noise and without time."""
        sources = self._quiet.sources(checked_images(images, self.reading.input_shape))
        return self._quiet, sources, settle(self._quiet, sources)

    def __enter__(self) -> Resistive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing is held that needs freeing."""

    def _learns(self, rule: LearningRule, images: NDArray[np.floating], labels: NDArray[np.integer]) -> Learner:
        if self._learner is None:
            raise ValueError("this circuit does not learn in place: only one that is a deep resistive network does")
        self._learner.check(rule, labels, len(images), self.reading)
        return self._learner

    @property
    def die(self) -> Die:
        """The devices as they are now; ValueError for ideal resistors."""
        die = self.physics.die if self._learner is None else self._learner.die
        if die is None:
            raise ValueError("the resistors of this circuit are ideal: it has no die")
        return die

    def _settle_batch(self, solver: Solver, images: NDArray[np.floating], trace: bool) -> tuple[Settled, Track]:
        track = track_of(solver, solver.sources(images), self.farad, self.times_s, self.physics.tolerance)
        ledger = Ledger(len(images), analog=track.events())
        return self.told([layer.cpu().numpy() for layer in track.rows], track.rest, ledger, trace), track

    def told(self, volts: Sequence[Array], rest: NDArray[np.int64], ledger: Ledger, trace: bool) -> Settled:
        """What voltages (T, B, units) on the way, at rest from row (B,) on, are read as."""
        sense = 0.0 if self.physics.die is None else self.die.sense_v
        states = [
            self.reading.states(index, layer).reshape(*layer.shape[:2], *shape)
            for index, (layer, shape) in enumerate(zip(volts, self.reading.shapes, strict=True))
        ]
        scores = self.reading.scores(volts[-1] + sense)
        flat = np.concatenate([layer.reshape(*layer.shape[:2], -1) for layer in states], axis=2)
        return Settled(
            logits=scores[-1],
            logits_by_step=scores,
            states=tuple(layer[-1] for layer in states),
            one=1,
            steps=None,
            residual=np.abs(flat[-1] - flat[-2]).max(axis=1),
            ledger=ledger,
            trace=tuple(states) if trace else None,
            times_s=self.times_s,
            rest_s=self.times_s[rest],
        )
