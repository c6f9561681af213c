"""The digital machine: a clocked processor that runs the synchronous dynamics batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.circuit import Circuit, FixedNeuron
from hw.ledger import COLUMNS, Ledger
from hw.machine import Settled, concatenate, split


class Operator(Protocol):
    """The linear part of a link in torch: what a wire sends up, and its exact transpose."""

    def up(self, below: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sums for the layer above, and the switch that `down` needs where the link takes a maximum."""
        ...

    def down(self, above: Tensor, switch: Tensor | None = None) -> Tensor:
        """Sums for the layer below."""
        ...


class Arithmetic(Protocol):
    """How a number format does the two things a settle consists of."""

    dtype: torch.dtype

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """What a wire delivers, given the operator's sums."""
        ...

    def state(self, drive: Tensor, layer: int) -> Tensor:
        """The neuron: drive with bias (B, *shape) of computed layer `layer` (0-based) to state."""
        ...


class FloatArithmetic:
    """s = clip(drive, 0, 1) in float32."""

    dtype = torch.float32

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """Floating point takes the sums as they are; there is no binary point to shift to."""
        assert shift == 0
        return sums

    def state(self, drive: Tensor, layer: int) -> Tensor:  # noqa: ARG002 - all layers alike
        """clip(drive, 0, 1)."""
        return drive.clamp(0, 1)


class IntegerArithmetic:
    """Integers carried in float64.

    Every sum of a valid program stays below 2**23 and float64 is exact to 2**53, so whatever algorithm a convolution
    library picks, its error is far below the half that rounding removes: the integers are exact on any device.
    """

    dtype = torch.float64

    def __init__(self, neuron: FixedNeuron) -> None:
        self.neuron = neuron

    def exact(self, sums: Tensor, shift: int) -> Tensor:
        """Round away the error of the convolution, then shift left onto the accumulator's binary point."""
        return sums.round() * 2**shift

    def state(self, drive: Tensor, layer: int) -> Tensor:
        """clip(drive >> exponent, 0, one): the arithmetic shift rounds towards minus infinity."""
        return (drive * 2.0 ** -self.neuron.exponents[layer]).floor().clamp(0, self.neuron.one)


class Digital:
    """Settles a circuit with `operators` (one per wire) and `readout` on a torch device.

    The schedule is synchronous, so that step t here is step t of a Lava graph. `steps` is the step limit T; with a
    tolerance (in units of state 1.0) an image at rest is held and costs nothing more.
    """

    def __init__(
        self,
        circuit: Circuit,
        operators: Sequence[Operator],
        readout: Operator | None,
        *,
        steps: int,
        batch_size: int = 256,
        tolerance: float | None = None,
        device: str = "cpu",
    ) -> None:
        if steps < 1 or batch_size < 1:
            raise ValueError(f"steps is {steps} and batch_size {batch_size}; both must be at least 1")
        self.circuit, self.operators, self.readout = circuit, tuple(operators), readout
        self.steps, self.batch_size, self.tolerance, self.device = steps, batch_size, tolerance, torch.device(device)
        neuron = circuit.neuron
        self.arithmetic: Arithmetic = (
            IntegerArithmetic(neuron) if isinstance(neuron, FixedNeuron) else FloatArithmetic()
        )
        dtype = self.arithmetic.dtype
        self.biases = [torch.as_tensor(bias).to(self.device, dtype) for bias in circuit.biases]
        self.readout_bias = torch.as_tensor(circuit.readout_bias).to(self.device, dtype)
        self.fan = [torch.as_tensor(table.sum(axis=0)).to(self.device) for table in circuit.traffic]
        self.traffic = [torch.as_tensor(table).to(self.device, torch.float64) for table in circuit.traffic]

        self.macs = self._macs()

    def settle(self, images: NDArray[np.floating], *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]."""
        codes = self.circuit.encode(images)
        batches = [self._settle_batch(part, trace) for part in split(codes, self.batch_size)]
        return concatenate(batches)

    def __enter__(self) -> Digital:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """A digital machine holds nothing that needs freeing."""

    @torch.no_grad()
    def _settle_batch(self, codes: NDArray[np.generic], trace: bool) -> Settled:
        circuit, arithmetic, count = self.circuit, self.arithmetic, len(codes)
        images = torch.as_tensor(codes).to(self.device, arithmetic.dtype)
        states = [images, *(images.new_zeros((count, *shape)) for shape in circuit.layers[1:])]
        sent = [torch.zeros_like(state) for state in states]
        at_rest = torch.zeros(count, dtype=torch.bool, device=self.device)
        taken = torch.full((count,), self.steps, device=self.device)
        residual = torch.full((count,), torch.inf, dtype=arithmetic.dtype, device=self.device)
        counters = torch.zeros((3, self.steps, len(states), len(COLUMNS)), dtype=torch.float64, device=self.device)
        running = torch.zeros(self.steps, dtype=torch.int64)
        logits = images.new_zeros((self.steps, count, circuit.classes))
        history: list[list[NDArray[np.generic]]] = []
        input_drive = self._up(0, images)[0]
        for step in range(self.steps):
            alive = ~at_rest
            running[step] = int(alive.sum())
            if running[step] == 0:
                logits[step:] = logits[step - 1]
                if trace:
                    history += [history[-1]] * (self.steps - step)
                break
            self._count(counters[:, step], states, sent, None if self.tolerance is None else at_rest)
            ups = [(input_drive, None), *(self._up(index, states[index]) for index in range(1, len(self.operators)))]
            fresh = [images]
            for layer, (drive, _) in enumerate(ups):
                total = drive + self.biases[layer]
                if layer + 1 < len(ups):
                    total = total + self._down(layer + 1, states[layer + 2], ups[layer + 1][1])
                state = arithmetic.state(total, layer)
                fresh.append(state if self.tolerance is None else _keep(at_rest, states[layer + 1], state))
            sent, states, before = states, fresh, states
            if self.tolerance is not None or step == self.steps - 1:
                moved = _largest_change(before[1:], states[1:]) / circuit.neuron.one
                residual = torch.where(at_rest, residual, moved)
            if self.tolerance is not None:
                resting = alive & (residual <= self.tolerance)
                taken = torch.where(resting, step + 1, taken)
                at_rest = at_rest | resting
            logits[step] = self._read(states[-1])
            if trace:
                history.append([_codes(state, codes.dtype) for state in states[1:]])
        return Settled(
            logits=(logits[-1] * circuit.logit_scale).cpu().double().numpy(),
            logits_by_step=(logits * circuit.logit_scale).cpu().double().numpy(),
            states=tuple(_codes(state, codes.dtype) for state in states[1:]),
            one=circuit.neuron.one,
            steps=taken.cpu().numpy(),
            residual=residual.cpu().double().numpy(),
            ledger=self._ledger(counters, running.numpy(), states[-1]),
            trace=tuple(np.stack(layer) for layer in zip(*history, strict=True)) if trace else None,
        )

    def _macs(self) -> tuple[int, int]:
        """Multiply-accumulates per image: of the input drive, once, and of every step, up and down all other wires."""
        first, *others = (wire.macs for wire in self.circuit.wires)
        return first, 2 * sum(others)

    def _up(self, index: int, below: Tensor) -> tuple[Tensor, Tensor | None]:
        sums, switch = self.operators[index].up(below)
        return self.arithmetic.exact(sums, self.circuit.wires[index].up_shift), switch

    def _down(self, index: int, above: Tensor, switch: Tensor | None) -> Tensor:
        return self.arithmetic.exact(self.operators[index].down(above, switch), self.circuit.wires[index].down_shift)

    def _read(self, last: Tensor) -> Tensor:
        if self.readout is None:
            return last
        return self.arithmetic.exact(self.readout.up(last)[0], 0) + self.readout_bias

    def _count(
        self, counters: Tensor, states: Sequence[Tensor], sent: Sequence[Tensor], at_rest: Tensor | None
    ) -> None:
        """Add up, per sending layer, what messages this step consumes: dense, nonzero, changed. counters (3, S, C)."""
        images = len(states[0]) if at_rest is None else int((~at_rest).sum())
        for layer, (state, last, traffic) in enumerate(zip(states, sent, self.traffic, strict=True)):
            counters[0, layer] = self.fan[layer] * images
            for row, active in ((1, state != 0), (2, state != last)):
                if at_rest is not None:
                    active &= ~at_rest.view(-1, *[1] * (state.ndim - 1))
                counters[row, layer] = active.sum(dim=0).flatten().double() @ traffic

    def _ledger(self, counters: Tensor, running: NDArray[np.int64], last: Tensor) -> Ledger:
        circuit = self.circuit
        dense, zero_skip, delta = counters.cpu().numpy()
        units = tuple(int(np.prod(shape)) for shape in circuit.layers)
        # a clocked processor computes the input drive once per image and everything else at every step
        inputs, per_step = self.macs
        readout_macs = 0 if circuit.readout is None else circuit.readout.weight.size * len(last)
        word = 4 if self.arithmetic.dtype is torch.float32 else 8
        values = sum(units) * 3 * int(running.sum()) + sum(wire.weight.size for wire in circuit.wires) * len(running)
        return Ledger(
            images=len(last),
            running=running,
            units=units,
            cores=circuit.cores,
            link_kinds=tuple(wire.kind for wire in circuit.wires),
            dense=dense,
            zero_skip=zero_skip,
            delta=delta,
            coding="dense",
            readout_synops=float(readout_macs),
            macs=inputs * len(last) + per_step * int(running.sum()) + readout_macs,
            bytes_moved=values * word,
        )


def _keep(at_rest: Tensor, old: Tensor, new: Tensor) -> Tensor:
    return torch.where(at_rest.view(-1, *[1] * (new.ndim - 1)), old, new)


def _largest_change(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    changes = [(new - old).abs().flatten(1).amax(dim=1) for old, new in zip(before, after, strict=True)]
    return torch.stack(changes).amax(dim=0)


def _codes(state: Tensor, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return state.cpu().numpy().astype(dtype)
