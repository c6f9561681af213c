"""The synchronous dynamics on a clocked processor, and what they cost it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.circuit import Circuit, FixedNeuron
from hw.digital.arithmetic import Arithmetic, FloatArithmetic, IntegerArithmetic
from hw.events.arithmetic import ArithmeticEvents
from hw.events.messages import COLUMNS, MessageEvents
from hw.ledger import Ledger


class Operator(Protocol):
    """The linear part of a link in torch: what a wire sends up, and its exact transpose."""

    def up(self, below: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sums for the layer above, and the switch that `down` needs where the link takes a maximum."""
        ...

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """Sums for the layer below."""
        ...


class Plastic(Operator, Protocol):
    """A link that can learn."""

    def correlate(self, below: Tensor, above: Tensor) -> Tensor:
        """dPhi/dW by the wire's weight, summed over the batch in float64: the states it joins, correlated."""
        ...

    def load(self, weight: Tensor) -> None:
        """Take these weights, in the shape of the wire's, from now on."""
        ...


@dataclass(frozen=True)
class LabelPull:
    """LabelPull of the cost on the last layer: beta (of either sign) and target (B, K), one-hot."""

    beta: float
    target: Tensor


class Dynamics:
    """A circuit with `operators` (one per wire) and `readout` on a torch device."""

    def __init__(
        self, circuit: Circuit, operators: Sequence[Operator], readout: Operator | None, device: torch.device
    ) -> None:
        self.circuit, self.operators, self.readout, self.device = circuit, tuple(operators), readout, device
        neuron = circuit.neuron
        self.arithmetic: Arithmetic = (
            IntegerArithmetic(neuron, circuit.logit_scale) if isinstance(neuron, FixedNeuron) else FloatArithmetic()
        )
        dtype = self.arithmetic.dtype
        self.biases = [torch.as_tensor(bias).to(device, dtype) for bias in circuit.biases]
        self.readout_bias = torch.as_tensor(circuit.readout_bias).to(device, dtype)
        self.fan = np.stack([table.sum(axis=0) for table in circuit.traffic])
        self.traffic = [torch.as_tensor(table).to(device, torch.float64) for table in circuit.traffic]
        self.macs = self._macs()
        self._clamped: tuple[Tensor | None, Any] = (None, None)
        """The input that was last counted without having changed, and what sending it causes."""

    def load_bias(self, index: int, bias: Tensor) -> None:
        """Take this bias of wire `index`, or of the readout as the last, from now on."""
        if index < len(self.biases):
            self.biases[index] = bias.to(self.biases[index])
        else:
            self.readout_bias = bias.to(self.readout_bias)

    def counters(self, steps: int) -> Tensor:
        """(2, steps, S, columns) zeros, to be filled by `count`: nonzero and changed."""
        shape = (2, steps, len(self.circuit.layers), len(COLUMNS))
        return torch.zeros(shape, dtype=torch.float64, device=self.device)

    def input_drive(self, images: Tensor) -> Tensor:
        """What the clamped input (B, *input shape), as codes, sends up at every step."""
        return self._up(0, images)[0]

    def advance(self, states: Sequence[Tensor], input_drive: Tensor, nudge: LabelPull | None = None) -> list[Tensor]:
        """One synchronous step of layers 0..L: every layer from the states as they were."""
        *lower, last = self.drives(states, input_drive)
        fresh = [states[0], *(self.arithmetic.state(total, layer) for layer, total in enumerate(lower))]
        if nudge is not None:
            return [*fresh, self._nudged(last, states[-1], nudge)]
        return [*fresh, self.arithmetic.state(last, len(lower))]

    def drives(self, states: Sequence[Tensor], input_drive: Tensor) -> list[Tensor]:
        """Of layers 1..L, what arrives from below and above and the bias, before it is clipped to a state."""
        ups = [(input_drive, None), *(self._up(index, states[index]) for index in range(1, len(self.operators)))]
        totals = [drive + bias for (drive, _), bias in zip(ups, self.biases, strict=True)]
        for layer in range(len(ups) - 1 if self.circuit.feedback else 0):
            totals[layer] = totals[layer] + self._down(layer + 1, states[layer + 2], ups[layer + 1][1])
        return totals

    def _nudged(self, drive: Tensor, last: Tensor, nudge: LabelPull) -> Tensor:
        if self.readout is None:
            return self.arithmetic.output(drive, nudge.beta, nudge.target)
        error = self.arithmetic.error(self.scores(last), nudge.target)
        sums = self.arithmetic.exact(self.readout.down(error), 0)
        return self.arithmetic.state(drive + self.arithmetic.pull(sums, nudge.beta), len(self.operators) - 1)

    def _up(self, index: int, below: Tensor) -> tuple[Tensor, Tensor | None]:
        sums, switch = self.operators[index].up(below)
        return self.arithmetic.exact(sums, self.circuit.wires[index].up_shift), switch

    def _down(self, index: int, above: Tensor, switch: Tensor | None) -> Tensor:
        return self.arithmetic.exact(self.operators[index].down(above, switch), self.circuit.wires[index].down_shift)

    def scores(self, last: Tensor) -> Tensor:
        """(B, K) class scores of the last layer's states, before they are scaled to those of the trained network."""
        if self.readout is None:
            return last
        return self.arithmetic.exact(self.readout.up(last)[0], 0) + self.readout_bias

    def count(self, counters: Tensor, states: Sequence[Tensor], sent: Sequence[Tensor], at_rest: Tensor | None) -> None:
        """Add up, per sending layer, what messages this step consumes: nonzero, changed. counters (2, S, C)."""
        room: Any = counters.numpy() if counters.device.type == "cpu" else counters
        for layer, (state, last, traffic) in enumerate(zip(states, sent, self.traffic, strict=True)):
            if state is last and at_rest is None:
                # the clamped input is the same tensor at every step but the first
                if self._clamped[0] is not state:
                    self._clamped = (state, _caused(state, [0.0], None, traffic)[0])
                room[0, layer] = self._clamped[1]
                continue
            room[:, layer] = _caused(state, [0.0, last], at_rest, traffic)

    def ledger(self, counters: Tensor, running: NDArray[np.int64], images: int, correlated: int = 0) -> Ledger:
        """What was counted, with `correlated` multiply-accumulates of learning on top."""
        circuit = self.circuit
        zero_skip, delta = counters.cpu().numpy()
        units = tuple(int(np.prod(shape)) for shape in circuit.layers)
        # a clocked processor computes the input drive once per image and everything else at every step
        inputs, per_step = self.macs
        readout_macs = 0 if circuit.readout is None else circuit.readout.weight.size * images
        word = 4 if self.arithmetic.dtype is torch.float32 else 8
        # without feedback it passes over all of it once, however many steps a chip with messages takes
        passes, batches = (int(running.sum()), len(running)) if circuit.feedback else (images, 1)
        values = sum(units) * 3 * passes + sum(wire.weight.size for wire in circuit.wires) * batches
        messages = MessageEvents(
            running=running,
            units=units,
            cores=circuit.cores,
            link_kinds=tuple(wire.kind for wire in circuit.wires),
            dense=running[:, None, None] * self.fan,
            zero_skip=zero_skip,
            delta=delta,
            coding="dense",
            readout_synops=float(readout_macs),
            busiest=circuit.busiest,
        )
        macs = inputs * images + per_step * int(running.sum()) + readout_macs + correlated
        return Ledger(images, messages, arithmetic=ArithmeticEvents(macs, values * word))

    def _macs(self) -> tuple[int, int]:
        """Multiply-accumulates per image: of the input drive, once, and of every step, up and down all other wires.

        Without feedback one pass upwards is all that a clocked processor computes.
        """
        first, *others = (wire.macs for wire in self.circuit.wires)
        return (first, 2 * sum(others)) if self.circuit.feedback else (first + sum(others), 0)


MOST_IN_A_BYTE = 255


def _caused(state: Tensor, others: Sequence[Tensor | float], at_rest: Tensor | None, traffic: Tensor) -> Any:
    """(len(others), columns) what units cause that send in every image where their state is not what each of the others
    is, of images that are not at rest: (images, units) counted, times traffic (units, columns).

    On a CPU numpy counts: it compares six times as fast as torch, and takes less to be called.
    """
    if state.device.type != "cpu":
        active = torch.stack([(state != other).flatten(1) for other in others])
        if at_rest is not None:
            active &= ~at_rest[:, None]
        return active.sum(dim=1).double() @ traffic
    here, images = state.numpy(), len(state)
    differs = np.empty((len(others), *here.shape), bool)
    for row, other in zip(differs, others, strict=True):
        np.not_equal(here, other.numpy() if isinstance(other, Tensor) else other, out=row)
    held = differs.reshape(len(others), images, -1)
    if at_rest is not None:
        held &= ~at_rest.numpy()[:, None]
    sending = held.view(np.uint8)
    counts = np.add.reduce(sending[:, :MOST_IN_A_BYTE], axis=1, dtype=np.uint8).astype(np.float64)
    for first in range(MOST_IN_A_BYTE, images, MOST_IN_A_BYTE):
        counts += np.add.reduce(sending[:, first : first + MOST_IN_A_BYTE], axis=1, dtype=np.uint8)
    return counts @ traffic.numpy()
