"""What one batch of images did on the way to rest, counted step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.brian.network import Network
from hw.brian.options import Rate, RateCoding
from hw.circuit import Circuit, FloatNeuron
from hw.events.messages import COLUMNS, MessageEvents
from hw.ledger import Ledger

Array = NDArray[np.float64]
History = list[NDArray[np.float32]]


class Counter:
    """Messages step by step, of the first `images` copies of a network.

    Row t holds the messages that step t + 1 consumed, sent at the end of step t; the clamped input sends its states
    that are not zero once, as graded messages, at the start. "delta" are spikes as they are fired, of a rate
    network states that changed; "zero_skip" what neurons that say anything but 0 would send at every step.
    """

    def __init__(self, network: Network, steps: int, codes: NDArray[np.generic], images: int) -> None:
        circuit = network.circuit
        self.network, self.steps, self.images = network, steps, images
        self.traffic = circuit.traffic
        self.events = np.zeros((2, steps + 1, len(circuit.layers), len(COLUMNS)))
        lit = np.count_nonzero(codes[:images].reshape(images, -1), axis=0) @ self.traffic[0]
        self.events[0, :, 0] = lit
        self.events[1, 0, 0] = lit
        self._last: list[NDArray[np.float32] | None] = [None for _ in network.layers]

    def count(self, row: int) -> None:
        """What the step of this row has sent, which the next one consumes."""
        network, images = self.network, self.images
        rates = isinstance(network.scheme, Rate)
        for index, (layer, said) in enumerate(zip(network.layers, network.said, strict=True)):
            shown = said[:, :images].astype(np.float32)
            self.events[0, row + 1, index + 1] = np.count_nonzero(shown, axis=1) @ self.traffic[index + 1]
            if rates:
                last = self._last[index]
                changed = np.count_nonzero(shown if last is None else shown != last, axis=1)
                self._last[index] = shown
            else:
                fired = layer.fired()
                units = fired[fired % layer.copies < images] // layer.copies
                changed = np.bincount(units, minlength=layer.units)
            self.events[1, row + 1, index + 1] = changed @ self.traffic[index + 1]

    def ledger(self) -> Ledger:
        """What was counted, without what nobody consumed any more."""
        circuit, running = self.network.circuit, np.full(self.steps, self.images)
        rates = isinstance(self.network.scheme, Rate)
        fan = np.stack([table.sum(axis=0) for table in self.traffic])
        messages = MessageEvents(
            running=running,
            units=tuple(int(np.prod(layer)) for layer in circuit.layers),
            cores=circuit.cores,
            link_kinds=tuple(wire.kind for wire in circuit.wires),
            dense=running[:, None, None] * fan,
            zero_skip=self.events[0, :-1],
            delta=self.events[1, :-1],
            coding="dense" if rates else "delta",
            readout_synops=float(0 if circuit.readout is None else circuit.readout.weight.size * self.images),
            busiest=circuit.busiest,
        )
        return Ledger(self.images, messages)


@dataclass(frozen=True)
class Course:
    """Of one batch: the states that are told, at every time."""

    times_s: Array
    """(T,)"""
    told: tuple[NDArray[Any], ...]
    """Of every layer (T, B, *shape), as floats or integer codes."""
    scores: Array
    """(T, B, K)"""

    def rest_s(self, tolerance: float) -> Array:
        """(B,) the first time from which on no state is farther than `tolerance` from where it ends."""
        last = np.full(self.told[0].shape[1], -1)
        for states in self.told:
            far = np.abs(states - states[-1]).reshape(*states.shape[:2], -1).max(axis=2) > tolerance  # (T, B)
            rows = np.arange(len(far))[:, None]
            last = np.maximum(last, np.where(far, rows, -1).max(axis=0))
        return self.times_s[last + 1]

    def residual(self) -> Array:
        """(B,) largest change of a state between the last two times."""
        ends = [states[-2:] if len(states) > 1 else np.stack([0 * states[0], states[0]]) for states in self.told]
        moves = [np.abs(np.diff(pair.astype(np.float64), axis=0)[0]).reshape(pair.shape[1], -1) for pair in ends]
        return np.max([move.max(axis=1) for move in moves], axis=0)


def course(network: Network, history: History, images: int) -> Course:
    """The history (T, units, copies) of what was said, read as states."""
    step_s = network.step_tau * network.simulation.tau_s
    times_s = step_s * np.arange(1, len(history[0]) + 1)
    told = []
    for layer, said in zip(network.layers, history, strict=True):
        states = np.moveaxis(decoded(network, said[:, :, :images]), 2, 1)
        told.append(states.reshape(*states.shape[:2], *layer.shape))
    return Course(times_s, tuple(told), scores(network.circuit, told[-1]))


def decoded(network: Network, said: NDArray[np.float32]) -> NDArray[Any]:
    """States, from what was said: (T, units, images) in, codes of the circuit out."""
    scheme, neuron = network.scheme, network.circuit.neuron
    if isinstance(scheme, RateCoding):
        window = round(scheme.window_tau / network.step_tau)
        before = np.concatenate([np.zeros_like(said[:1]), said])
        span = np.minimum(np.arange(1, len(said) + 1), window)
        counts = before[1:] - before[np.arange(1, len(said) + 1) - span]
        said = counts * np.float32(neuron.one) / (span * scheme.spikes_per_tau * network.step_tau)[:, None, None]
    return said.astype(np.float32) if isinstance(neuron, FloatNeuron) else np.rint(said).astype(np.int32)


def scores(circuit: Circuit, last: NDArray[Any]) -> Array:
    """(T, B, K) class scores of the states of the last layer, in units of the trained network."""
    flat = last.reshape(*last.shape[:2], -1).astype(np.float64)
    if circuit.readout is not None:
        flat = flat @ circuit.readout.weight.T.astype(np.float64) + np.asarray(circuit.readout_bias, np.float64)
    return flat * circuit.logit_scale
