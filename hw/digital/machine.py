"""The digital machine: a clocked processor that runs the synchronous dynamics batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hw.circuit import Circuit, FixedNeuron, Weights, checked_images, weights_of
from hw.digital.dynamics import Dynamics, Operator
from hw.digital.phases import gradients, plastic, run_phases
from hw.exclusive import exclusive
from hw.learning.memory import FloatMemory, Memory, check_descent, fixed_memories
from hw.learning.rule import Descent, Learned, LearningRule, LearningStoppedError, joined
from hw.ledger import Ledger, counted
from hw.machine import Settled, concatenate, split

EXACT = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
"""Convolutions on CUDA as on a CPU: torch lets cuDNN round float32 to the 10 bits of TF32, and add in any order. The
same as models.ep.cudnn, which machines do not import."""


class Digital:
    """Settles a circuit with `operators` (one per wire) and `readout` on a torch device.

    The schedule is synchronous, so that step t here is step t of a Lava graph. `steps` is the step limit T; with a
    tolerance (in units of state 1.0) an image at rest is held and costs nothing more. `seed` is that of the stochastic
    rounding with which integers learn.
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
        seed: int = 0,
    ) -> None:
        if steps < 1 or batch_size < 1:
            raise ValueError(f"steps is {steps} and batch_size {batch_size}; both must be at least 1")
        self.circuit, self.steps, self.batch_size, self.tolerance = circuit, steps, batch_size, tolerance
        self.seed, self.lock = seed, RLock()
        self.device = torch.device(device)
        self.dynamics = Dynamics(circuit, operators, readout, self.device)
        self._memories: list[tuple[Memory, Memory]] | None = None

    def __repr__(self) -> str:
        return f"Digital on {self.device}, {self.steps} steps, {self.circuit!r}"

    @exclusive
    @EXACT
    def settle(self, images: ArrayLike, *, trace: bool = False) -> Settled:
        """Run the free phase on images (B, C, H, W) in [0, 1]."""
        codes = self.circuit.encode(images)
        batches = [self._settle_batch(part, trace) for part in split(codes, self.batch_size)]
        return concatenate(batches)

    @exclusive
    @EXACT
    @torch.no_grad()
    def learn(self, images: ArrayLike, labels: ArrayLike, rule: LearningRule) -> Learned:
        """One pass over images (N, C, H, W) with labels (N,), one update per batch of the rule.

        Raises `LearningStoppedError`, with what was learnt so far on the machine and in the error, where an update
        would leave the range of integers at once.
        """
        images, labels = checked_images(images, self.circuit.input_shape), np.asarray(labels)
        rule.check(self.circuit, labels, len(images))
        check_descent(self.circuit, rule.descent)
        if self._memories is None:
            self._memories = self._remember()
        size, phases = rule.batch_size, rule.phases
        batches: list[Learned] = []
        for batch, targets in zip(split(images, size), split(labels, size), strict=True):
            ends = run_phases(self.dynamics, batch, targets, phases)
            slopes = gradients(self.dynamics, ends, phases)
            if (stop := self._too_large(slopes, rule.descent)) is not None:
                raise LearningStoppedError(stop, joined(batches) if batches else None)
            self._descend(slopes, rule.descent)
            batches.append(Learned(len(batch), ends.hits, ends.ledger))
        return joined(batches)

    def until(self, ledger: Ledger, steps: int, looks: int = 1) -> Ledger:
        """The ledger of one of its settles, had that been stopped after `steps` (`MessageEvents.until`)."""
        sent = counted(ledger.messages, "messages")
        counters = torch.as_tensor(np.stack([sent.zero_skip[:steps], sent.delta[:steps]]))
        again = self.dynamics.ledger(counters, sent.running[:steps], ledger.images)
        done = counted(again.arithmetic, "arithmetic")
        readout = 0 if self.circuit.readout is None else self.circuit.readout.weight.size * ledger.images
        return replace(
            again,
            messages=sent.until(steps, looks),
            arithmetic=replace(done, macs=done.macs + (looks - 1) * readout),
        )

    @exclusive
    def read_weights(self) -> Weights:
        """Weights and biases as they are now."""
        if self._memories is None:
            return weights_of(self.circuit)
        return Weights(*(tuple(_codes(pair[part].value) for pair in self._memories) for part in (0, 1)))

    def __enter__(self) -> Digital:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """A digital machine holds nothing that needs freeing."""

    def _too_large(self, gradients: list[tuple[Tensor, Tensor]], descent: Descent) -> str | None:
        """Why integers must not make an update; None if they may, and for floats, which have no range."""
        assert self._memories is not None, "made by learn"
        names = [*(f"link{index}" for index in range(1, len(self.circuit.wires) + 1)), "readout"]
        for index, (memories, slopes) in enumerate(zip(self._memories, gradients, strict=True)):
            rates = (descent.weight_rates[index], descent.bias_rates[index])
            decays = (descent.weight_decays[index], descent.bias_decays[index])
            for memory, gradient, rate, decay in zip(memories, slopes, rates, decays, strict=True):
                if isinstance(memory, FloatMemory):
                    continue
                if (reason := memory.too_large(gradient.cpu().numpy(), rate, decay)) is not None:
                    return f"{names[index]}: {reason}"
        return None

    def _descend(self, gradients: list[tuple[Tensor, Tensor]], descent: Descent) -> None:
        """Change every weight and bias by what it remembers and its gradient."""
        dynamics = self.dynamics
        assert self._memories is not None, "made by learn"
        rates = zip(descent.weight_rates, descent.bias_rates, descent.weight_decays, descent.bias_decays, strict=True)
        for index, (operator, memories, slopes, (rate, bias_rate, decay, bias_decay)) in enumerate(
            zip(plastic(dynamics), self._memories, gradients, rates, strict=True)
        ):
            weight = _descended(memories[0], slopes[0], rate, decay, descent.momentum)
            bias = _descended(memories[1], slopes[1], bias_rate, bias_decay, descent.momentum)
            operator.load(weight)
            dynamics.load_bias(index, bias)

    def _remember(self) -> list[tuple[Memory, Memory]]:
        if isinstance(self.circuit.neuron, FixedNeuron):
            return list(fixed_memories(self.circuit, self.seed))
        values = weights_of(self.circuit)
        return [
            (FloatMemory(self._placed(weight)), FloatMemory(self._placed(bias)))
            for weight, bias in zip(values.weights, values.biases, strict=True)
        ]

    def _placed(self, values: NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(values).to(self.device, torch.float64)

    @torch.no_grad()
    def _settle_batch(self, codes: NDArray[np.generic], trace: bool) -> Settled:
        circuit, dynamics, count = self.circuit, self.dynamics, len(codes)
        images = torch.as_tensor(codes).to(self.device, dynamics.arithmetic.dtype)
        states = [images, *(images.new_zeros((count, *shape)) for shape in circuit.layers[1:])]
        sent = [torch.zeros_like(state) for state in states]
        at_rest = torch.zeros(count, dtype=torch.bool, device=self.device)
        taken = torch.full((count,), self.steps, device=self.device)
        residual = torch.full((count,), torch.inf, dtype=dynamics.arithmetic.dtype, device=self.device)
        counters = dynamics.counters(self.steps)
        running = torch.zeros(self.steps, dtype=torch.int64)
        logits = images.new_zeros((self.steps, count, circuit.classes))
        history: list[list[NDArray[np.generic]]] = []
        input_drive = dynamics.input_drive(images)
        for step in range(self.steps):
            alive = ~at_rest
            running[step] = int(alive.sum())
            if running[step] == 0:
                logits[step:] = logits[step - 1]
                if trace:
                    history += [history[-1]] * (self.steps - step)
                break
            dynamics.count(counters[:, step], states, sent, None if self.tolerance is None else at_rest)
            fresh = dynamics.advance(states, input_drive)
            if self.tolerance is not None:
                fresh = [_keep(at_rest, old, new) for old, new in zip(states, fresh, strict=True)]
            sent, states, before = states, fresh, states
            if self.tolerance is not None or step == self.steps - 1:
                moved = _largest_change(before[1:], states[1:]) / circuit.neuron.one
                residual = torch.where(at_rest, residual, moved)
            if self.tolerance is not None:
                resting = alive & (residual <= self.tolerance)
                taken = torch.where(resting, step + 1, taken)
                at_rest = at_rest | resting
            logits[step] = dynamics.scores(states[-1])
            if trace:
                history.append([_codes(state).astype(codes.dtype) for state in states[1:]])
        return Settled(
            logits=(logits[-1] * circuit.logit_scale).cpu().double().numpy(),
            logits_by_step=(logits * circuit.logit_scale).cpu().double().numpy(),
            states=tuple(_codes(state).astype(codes.dtype) for state in states[1:]),
            one=circuit.neuron.one,
            steps=taken.cpu().numpy(),
            residual=residual.cpu().double().numpy(),
            ledger=dynamics.ledger(counters, running.numpy(), count),
            trace=tuple(np.stack(layer) for layer in zip(*history, strict=True)) if trace else None,
        )


def _keep(at_rest: Tensor, old: Tensor, new: Tensor) -> Tensor:
    return torch.where(at_rest.view(-1, *[1] * (new.ndim - 1)), old, new)


def _largest_change(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    changes = [(new - old).abs().flatten(1).amax(dim=1) for old, new in zip(before, after, strict=True)]
    return torch.stack(changes).amax(dim=0)


def _descended(memory: Memory, gradient: Tensor, rate: float, decay: float, momentum: float) -> Tensor:
    if isinstance(memory, FloatMemory):
        value: Tensor = memory.descend(gradient, rate, decay, momentum)
        return value
    return torch.as_tensor(memory.descend(gradient.cpu().numpy(), rate, decay, momentum))


def _codes(values: Tensor | NDArray[Any]) -> NDArray[Any]:
    return values.cpu().numpy() if isinstance(values, Tensor) else values
