"""Equilibrium propagation in continuous time: phases of all updates of a pass, as one run of Brian's.

A synchronous step of the phases lasts one time constant. In a nudged phase a teacher pulls at the last layer: without a
readout by beta y and a leak of beta, else by beta R^T (y - softmax(R s + c)) of what that layer tells at every moment.
Every link then adds up, over its synapses, what both its ends told at the ends of the phases, multiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.brian.network import Network, Phase
from hw.brian.options import RateCoding, Scheme
from hw.brian.recording import Counter
from hw.circuit import Circuit, FixedNeuron, Weights, weights_of
from hw.learning.memory import FloatMemory
from hw.learning.rule import Learned, LearningRule, one_hot

Array = NDArray[np.float64]
KEPT = ("s", "sent", "arrived")
"""What a neuron holds at the end of the free phase, from which every nudged one starts."""


class Memories:
    """Weights and biases of every wire and the readout, in float64, and their momentum."""

    def __init__(self, circuit: Circuit) -> None:
        values = weights_of(circuit)
        self.pairs = [
            (FloatMemory(weight.astype(np.float64)), FloatMemory(np.asarray(bias, np.float64)))
            for weight, bias in zip(values.weights, values.biases, strict=True)
        ]

    def weights(self) -> Weights:
        """As they are now."""
        return Weights(*(tuple(pair[part].value for pair in self.pairs) for part in (0, 1)))


def check_learner(circuit: Circuit, scheme: Scheme) -> None:
    """Refuse what cannot learn; ValueError names it."""
    if isinstance(circuit.neuron, FixedNeuron):
        raise ValueError("a program of integers learns on the digital machine and on Lava, here the float network does")
    if isinstance(scheme, RateCoding):
        raise ValueError(
            "phases differ by less than one spike in a window of rate coding: learn as rates, or by predictive spikes"
        )


class Lesson:
    """One batch: its phases, and the update that they ask for."""

    def __init__(
        self,
        network: Network,
        rule: LearningRule,
        memories: Memories,
        codes: NDArray[np.generic],
        labels: NDArray[np.integer],
    ) -> None:
        self.network, self.rule, self.memories, self.images = network, rule, memories, len(codes)
        self.codes = np.zeros((network.copies, *codes.shape[1:]), np.float64)
        self.codes[: self.images] = codes
        self.target = np.zeros((network.circuit.classes, network.copies))
        self.target[:, : self.images] = one_hot(labels, network.circuit.classes).T
        self.labels = labels
        self.free: list[dict[str, Array]] = []
        self.ends: list[list[Array]] = []
        self.hits, self.done = 0, 0
        self.counter: Counter | None = None

    def phases(self, done: list[Learned]) -> list[Phase]:
        """The free phase and every nudged one; the update is made at the end of the last, and told to `done`."""
        phases, network = self.rule.phases, self.network
        free, nudged = (round(steps / network.step_tau) for steps in (phases.free_steps, phases.nudged_steps))
        moving = [beta for beta in phases.betas if beta != 0]
        total = free + nudged * len(moving)

        def begin() -> None:
            network.clear()
            network.clamp(self.codes)
            self.counter = Counter(network, total, self.codes, self.images)

        def learn() -> None:
            self._descend()
            assert self.counter is not None, "made at the start"
            done.append(Learned(self.images, self.hits, self.counter.ledger()))

        found = [Phase(free, begin, after=self._count, finish=self._finish_free)]
        for number, beta in enumerate(moving, start=1):
            found.append(self._nudged(beta, free, nudged, learn if number == len(moving) else None))
        return found

    def _nudged(self, beta: float, free: int, nudged: int, then: Callable[[], None] | None) -> Phase:
        layers = self.network.layers
        last = layers[-1]

        def begin() -> None:
            for layer, kept in zip(layers, self.free, strict=True):
                for name, values in kept.items():
                    layer.arrays[name][...] = values
                layer.rest()
            if self.network.circuit.readout is None:
                last.arrays["pull"][...] = beta * self.target
                last.arrays["leak"][...] = beta

        def step(_: int) -> None:
            if self.network.circuit.readout is not None:
                weight = self.memories.pairs[-1][0].value
                last.arrays["pull"][...] = beta * (weight.T @ self._error(self.network.said[-1]))

        def finish() -> None:
            self.ends.append([said.copy() for said in self.network.said])
            if then is not None:
                then()

        return Phase(nudged, begin, step, self._count, finish, since=free)

    def _count(self, _: int) -> None:
        assert self.counter is not None, "made at the start"
        self.counter.count(self.done)
        self.done += 1

    def _finish_free(self) -> None:
        layers = self.network.layers
        self.free = [{name: layer.arrays[name].copy() for name in KEPT if name in layer.arrays} for layer in layers]
        answers = self._scores(self.network.said[-1])[:, : self.images].argmax(axis=0)
        self.hits = int((answers == self.labels).sum())

    def _scores(self, last: Array) -> Array:
        """(K, copies)"""
        if self.network.circuit.readout is None:
            return last
        weight, bias = (memory.value for memory in self.memories.pairs[-1])
        scores: Array = weight @ last + bias[:, None]
        return scores

    def _error(self, last: Array) -> Array:
        """y - softmax of the scores, (K, copies)."""
        scores = self._scores(last)
        powers = np.exp(scores - scores.max(axis=0))
        error: Array = self.target - powers / powers.sum(axis=0)
        return error

    def _states(self) -> list[list[Array]]:
        """What was told at the end of every phase of the rule, padding left out."""
        name = "sent" if "sent" in self.free[0] else "s"
        free, moved = [kept[name] for kept in self.free], iter(self.ends)
        ends = [free if beta == 0 else next(moved) for beta in self.rule.phases.betas]
        return [[states[:, : self.images] for states in end] for end in ends]

    def _descend(self) -> None:
        """Change every weight and bias by what its two ends told."""
        descent, network = self.rule.descent, self.network
        for index, (pair, slopes) in enumerate(zip(self.memories.pairs, self._gradients(), strict=True)):
            rates = (descent.weight_rates[index], descent.bias_rates[index])
            decays = (descent.weight_decays[index], descent.bias_decays[index])
            for memory, slope, rate, decay in zip(pair, slopes, rates, decays, strict=True):
                memory.descend(slope, rate, decay, descent.momentum)
            if index < len(network.layers):
                network.load(index, pair[0].value)
                network.biases[index] = pair[1].value

    def _gradients(self) -> list[tuple[Array, Array]]:
        """Of the mean cost by (weight, bias) of every wire and the readout."""
        ends, shares, count = self._states(), self.rule.phases.weights, self.images
        pixels = self.codes[:count].reshape(count, -1).T
        slopes = []
        for index in range(len(self.network.layers)):
            products = [
                share * self.network.correlate(index, pixels if index == 0 else end[index - 1], end[index])
                for share, end in zip(shares, ends, strict=True)
            ]
            biases = [
                share * _bias_products(end[index], self.network.biases[index])
                for share, end in zip(shares, ends, strict=True)
            ]
            slopes.append((-_sum(products) / count, -_sum(biases) / count))
        if self.network.circuit.readout is not None:
            # outside the dynamics: the gradient of the cross-entropy, averaged over the phases
            errors = [self._error(_padded(end[-1], self.network.copies))[:, :count] for end in ends]
            scale = -1.0 / (count * len(ends))
            weight = scale * _sum([error @ end[-1].T for error, end in zip(errors, ends, strict=True)])
            slopes.append((weight, scale * _sum([error.sum(axis=1) for error in errors])))
        return slopes


def _bias_products(states: Array, bias: NDArray[Any]) -> Array:
    """dPhi/db summed over images: (units, B) to the shape of the bias, (C, 1, 1) or (units,)."""
    totals: Array = states.reshape(len(bias), -1).sum(axis=1)
    return totals.reshape(bias.shape)


def _padded(states: Array, copies: int) -> Array:
    return np.concatenate([states, np.zeros((len(states), copies - states.shape[1]))], axis=1)


def _sum(terms: Sequence[Array]) -> Array:
    return reduce(add, terms)
