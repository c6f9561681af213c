"""The phases of one update on a clocked processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.digital.dynamics import Dynamics, LabelPull, Plastic
from hw.learning.phases import UpdatePhases
from hw.learning.rule import one_hot
from hw.ledger import Ledger

Layers = tuple[Tensor, ...]
"""States of layers 0 (the input) to L, as codes."""


@dataclass(frozen=True)
class Ends:
    """Where the phases of one batch ended."""

    states: tuple[Layers, ...]
    """Of every nudge of the phases."""
    errors: tuple[Tensor, ...]
    """(B, K) y - softmax of those states, as codes; empty without a readout."""
    hits: int
    """Images whose free states were right."""
    ledger: Ledger


def run_phases(
    dynamics: Dynamics, images: NDArray[np.floating], labels: NDArray[np.integer], phases: UpdatePhases
) -> Ends:
    """Free phase from zero, then every nudged phase from the free states."""
    circuit, arithmetic = dynamics.circuit, dynamics.arithmetic
    codes = torch.as_tensor(circuit.encode(images)).to(dynamics.device, arithmetic.dtype)
    target = torch.as_tensor(one_hot(labels, circuit.classes)).to(dynamics.device, arithmetic.dtype)
    steps = phases.steps
    counters = dynamics.counters(steps)
    drive = dynamics.input_drive(codes)
    done = 0

    def run(states: list[Tensor], sent: list[Tensor], nudge: LabelPull | None, count: int) -> tuple[list[Tensor], ...]:
        nonlocal done
        for _ in range(count):
            dynamics.count(counters[:, done], states, sent, None)
            sent, states = states, dynamics.advance(states, drive, nudge)
            done += 1
        return states, sent

    zero = [codes, *(codes.new_zeros((len(codes), *shape)) for shape in circuit.layers[1:])]
    free, before = run(zero, [torch.zeros_like(state) for state in zero], None, phases.free_steps)
    hits = int((dynamics.scores(free[-1]).argmax(dim=1) == target.argmax(dim=1)).sum())
    ends = []
    for beta in phases.betas:
        # what was last sent is the end of the phase before; the network then starts again at its free states
        states, before = (
            (free, before) if beta == 0 else run(free, before, LabelPull(beta, target), phases.nudged_steps)
        )
        ends.append(tuple(states))
    errors = (
        () if dynamics.readout is None else tuple(arithmetic.error(dynamics.scores(end[-1]), target) for end in ends)
    )
    learning = len(ends) * sum(wire.macs for wire in circuit.wires)
    if circuit.readout is not None:
        # scores up and error down in every nudged step; scores and correlation at every end
        learning += 2 * (steps - phases.free_steps + len(ends)) * circuit.readout.weight.size
    running = np.full(steps, len(codes))
    return Ends(tuple(ends), errors, hits, dynamics.ledger(counters, running, len(codes), learning * len(codes)))


def gradients(dynamics: Dynamics, ends: Ends, phases: UpdatePhases) -> list[tuple[Tensor, Tensor]]:
    """Gradient of the mean cost by (weight, bias) of every wire and the readout, in units of the trained network.

    The readout lies outside the dynamics: its gradient is that of the cross-entropy, averaged over the phases.
    """
    count, one = len(ends.states[0][0]), dynamics.circuit.neuron.one
    shares = list(zip(ends.states, phases.weights, strict=True))
    weights = []
    for index, operator in enumerate(plastic(dynamics)[: len(dynamics.operators)]):
        # phases differ little, so their products are added up in float64; a convolution library may be off by less
        # than a half, which rounding removes from integers
        terms = [
            share * dynamics.arithmetic.exact(operator.correlate(states[index], states[index + 1]), 0)
            for states, share in shares
        ]
        weights.append(-_sum(terms) / (count * one**2))
    if ends.errors:
        products = [
            error.double().T @ states[-1].flatten(1).double()
            for error, states in zip(ends.errors, ends.states, strict=True)
        ]
        weights.append(_sum(products) * (-1.0 / (count * len(ends.errors) * one) / one))
    return list(zip(weights, bias_gradients(dynamics, ends, phases), strict=True))


def bias_gradients(dynamics: Dynamics, ends: Ends, phases: UpdatePhases) -> list[Tensor]:
    """Gradient of the mean cost by the bias of every wire and the readout."""
    count, one = len(ends.states[0][0]), dynamics.circuit.neuron.one
    shares = list(zip(ends.states, phases.weights, strict=True))
    slopes = [
        -_sum([share * bias_correlation(states[index + 1]) for states, share in shares]) / (count * one)
        for index in range(len(dynamics.operators))
    ]
    if ends.errors:
        slopes.append(
            _sum([error.sum(dim=0, dtype=torch.float64) for error in ends.errors])
            * (-1.0 / (count * len(ends.errors) * one))
        )
    return slopes


def bias_correlation(above: Tensor) -> Tensor:
    """dPhi/db summed over the batch, in the shape of a circuit's bias: (C, 1, 1) or (units,)."""
    if above.ndim == 2:
        return above.sum(dim=0, dtype=torch.float64)
    return above.sum(dim=(0, 2, 3), dtype=torch.float64)[:, None, None]


def plastic(dynamics: Dynamics) -> list[Plastic]:
    """The operators of all wires and the readout, if they can learn."""
    operators = [*dynamics.operators, *(() if dynamics.readout is None else (dynamics.readout,))]
    for operator in operators:
        if not hasattr(operator, "correlate"):
            raise TypeError(f"{type(operator).__name__} cannot learn: it has no correlate and load")
    return operators


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return reduce(add, terms)
