"""Learning in place: after the phases every resistor changes by the squared voltage across itself, and nothing else.

With E_k the energy under nudge beta_k, dC/dg = sum_k c_k dE_k/dg, dE/dg_jk = c_l / 2 (A v_j -+ v_k)^2 on the rail of
either sign, C = 1/2 |v_L - y|^2, in units of a reference conductance and a reference voltage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.circuit import Weights
from hw.events.analog import AnalogEvents
from hw.learning.phases import UpdatePhases
from hw.learning.rule import Descent, Learned, LearningRule, one_hot
from hw.ledger import Ledger, merge
from hw.machine import split
from hw.resistive.die import Die, Writer
from hw.resistive.links import DenseResistors
from hw.resistive.network import ResistiveNetwork
from hw.resistive.power import dissipated_w
from hw.resistive.readout import Reading
from hw.resistive.settling import Injection, Rest, pulled, settle
from hw.resistive.solver import Solver

Array = NDArray[np.float64]


@dataclass(frozen=True)
class InPlace:
    """Units, and how a circuit is read as a network of states."""

    siemens: float
    """The reference conductance: of rates and nudges."""
    volt: float
    """The reference voltage: where a right output is to stand."""
    read: Callable[[ResistiveNetwork], tuple[Weights, Reading]]
    update: str | None = None
    """rewrite or pulses, on a die; None: resistors that take any value."""


@dataclass(frozen=True)
class Timing:
    """How long every phase lasts, and for how long fresh noise stays what it is."""

    phase_s: float
    fresh_s: float


@dataclass(frozen=True)
class Asked:
    """What a batch asks for: siemens of every link on the plus and the minus rail, amperes of every layer."""

    plus_s: list[Array]
    minus_s: list[Array]
    bias_a: list[Array]


class Learner:
    """The circuit while it learns."""

    def __init__(
        self, in_place: InPlace, network: ResistiveNetwork, die: Die | None, timing: Timing, device: str
    ) -> None:
        if (die is None) != (in_place.update is None):
            raise ValueError(f"update is {in_place.update!r}: devices are rewritten or pulsed, ideal resistors are not")
        self.in_place, self.network, self.die, self.device = in_place, network, die, device
        self.timing = timing
        self._writers: list[tuple[Writer, Writer | None]] = []
        if die is not None:
            assert in_place.update is not None
            rng = np.random.default_rng((11, *die.arrays[0][0].target_s.shape))
            self._writers = [
                (
                    Writer(plus, in_place.update, rng, levels=die.levels),
                    None if minus is None else Writer(minus, in_place.update, rng, levels=die.levels),
                )
                for plus, minus in die.arrays
            ]

    @property
    def writes(self) -> NDArray[np.int64]:
        """How often every device has been written while learning."""
        held = [writer.array.writes.ravel() for pair in self._writers for writer in pair if writer is not None]
        return np.concatenate(held) if held else np.zeros(0, np.int64)

    def check(self, rule: LearningRule, labels: NDArray[np.integer], images: int, reading: Reading) -> None:
        """Refuse a rule that resistors cannot follow, or labels that do not fit."""
        descent, links = rule.descent, len(self.network.links)
        if len(descent.weight_rates) not in (links, links + 1):
            raise ValueError(f"{len(descent.weight_rates)} learning rates for {links} links and a readout")
        if descent.momentum or any(descent.weight_decays) or any(descent.bias_decays):
            raise ValueError("resistors keep no momentum and do not decay: use momentum 0 and weight_decay 0")
        if labels.shape != (images,):
            raise ValueError(f"labels have shape {labels.shape}, expected ({images},): one per image")
        classes = len(reading.bias)
        if images and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(f"labels are {labels.min()} to {labels.max()}, the circuit has classes 0 to {classes - 1}")

    def learn(
        self, images: NDArray[np.floating], labels: NDArray[np.integer], rule: LearningRule, rng: np.random.Generator
    ) -> Learned:
        """One pass, one update per batch; `rng` draws the noise of devices while they are read."""
        hits, ledgers = 0, []
        for batch, right in zip(split(images, rule.batch_size), split(labels, rule.batch_size), strict=True):
            free, ends = self._phases(batch, right, rule.phases, rng)
            hits += int((free.rest.volts[-1].argmax(dim=1).cpu().numpy() == right).sum())
            self._write(self._asked(ends, rule.descent))
            ledgers.append(Ledger(len(batch), analog=self._spent([free, *(end for _, end in ends)])))
        return Learned(len(images), hits, merge(ledgers))

    def asked(
        self,
        images: NDArray[np.floating],
        labels: NDArray[np.integer],
        rule: LearningRule,
        rng: np.random.Generator | None,
    ) -> Asked:
        """What one batch asks for, with the noise of devices, or without: nothing is written."""
        return self._asked(self._phases(images, labels, rule.phases, rng)[1], rule.descent)

    def _phases(
        self,
        images: NDArray[np.floating],
        labels: NDArray[np.integer],
        phases: UpdatePhases,
        rng: np.random.Generator | None,
    ) -> tuple[_End, list[tuple[float, _End]]]:
        """The free phase, and (c_k, end) of every phase. Slow noise stays through all of them, fresh noise as long as a
        read lasts."""
        solvers = self._solvers(rng)
        solver = next(solvers)
        sources = solver.sources(images)
        target = self.in_place.volt * torch.as_tensor(one_hot(labels, self.network.units[-1]), device=self.device)
        free = _End(solver, sources, settle(solver, sources))
        beta_s = self.in_place.siemens / self._strength(solver, len(solver.operators) - 1)
        quiet: list[Injection | None] = [None] * (len(solver.operators) - 1)
        ends = []
        for beta, weight in zip(phases.betas, phases.weights, strict=True):
            if beta == 0:
                ends.append((weight, free))
                continue
            solver = next(solvers)
            nudge = [*quiet, pulled(beta * beta_s, target)]
            ends.append(
                (weight, _End(solver, sources, settle(solver, sources, injections=nudge, start=free.rest.volts)))
            )
        return free, ends

    def _solvers(self, rng: np.random.Generator | None) -> Iterator[Solver]:
        """The circuit in one phase after the other."""
        if self.die is None or rng is None:
            yield from repeat(Solver(self.network, self.device))
            return
        slow = self.die.slow(rng)
        phases = max(int(self.timing.fresh_s / self.timing.phase_s), 1)
        while True:
            yield from repeat(Solver(self.die.read(slow, rng), self.device), phases)

    def _spent(self, ends: list[_End]) -> AnalogEvents:
        """Joules of every phase: its power at rest for the time it is left."""
        energy: dict[str, float] = {}
        for end in ends:
            for part, watts in dissipated_w(end.solver, end.sources, end.rest.volts).items():
                energy[part] = energy.get(part, 0.0) + max(float(watts.sum()), 0.0) * self.timing.phase_s
        return AnalogEvents(energy, len(ends) * len(ends[0].sources) * self.timing.phase_s)

    def _strength(self, solver: Solver, index: int) -> float:
        """c_l of link index + 1."""
        product = 1.0
        for gain in solver.gain[:index]:
            product *= float(gain.mean())
        return 1 / product**2

    def _asked(self, ends: list[tuple[float, _End]], descent: Descent) -> Asked:
        asked, unit = Asked([], [], []), self.in_place
        for index, link in enumerate(self.network.links):
            assert isinstance(link, DenseResistors), "made by mapping"
            squares = torch.zeros(link.plus_s.shape, dtype=torch.float64, device=self.device)
            products = torch.zeros_like(squares)
            bias = torch.zeros(len(squares), dtype=torch.float64, device=self.device)
            for weight, end in ends:
                volts = end.rest.volts
                below = end.sources if index == 0 else end.solver.outputs(index - 1, volts[index - 1])
                above = volts[index]
                squares += 0.5 * weight * (above.square().sum(dim=0)[:, None] + below.square().sum(dim=0)[None])
                products += weight * above.T @ below
                bias -= weight * above.sum(dim=0)
            solver, images = ends[0][1].solver, len(ends[0][1].sources)
            scale = self._strength(solver, index) / (images * unit.volt**2)
            rate = unit.siemens * descent.weight_rates[index] * scale
            current = unit.siemens * unit.volt**2 * descent.bias_rates[index] * scale
            asked.plus_s.append((-rate * (squares - products)).cpu().numpy())
            asked.minus_s.append((-rate * (squares + products)).cpu().numpy())
            asked.bias_a.append((-current * bias).cpu().numpy())
        return asked

    def _write(self, asked: Asked) -> None:
        links, layers = [], []
        for index, (link, layer) in enumerate(zip(self.network.links, self.network.layers, strict=True)):
            assert isinstance(link, DenseResistors), "made by mapping"
            links.append(self._written(index, link, asked))
            layers.append(replace(layer, bias_a=layer.bias_a + asked.bias_a[index]))
        self.network = replace(self.network, links=tuple(links), layers=tuple(layers))
        if self.die is not None:
            arrays = tuple((pair[0].array, None if pair[1] is None else pair[1].array) for pair in self._writers)
            self.die = replace(self.die, arrays=arrays, ideal=replace(self.die.ideal, layers=tuple(layers)))

    def _written(self, index: int, link: DenseResistors, asked: Asked) -> DenseResistors:
        """The conductances of both rails after they were asked to move so far."""
        moves = asked.plus_s[index], asked.minus_s[index]
        if not self._writers:
            plus = np.maximum(link.plus_s + moves[0], 0.0)
            minus = None if link.minus_s is None else np.maximum(link.minus_s + moves[1], 0.0)
            return DenseResistors(plus, minus, sparse=True)
        first, second = self._writers[index]
        plus = first.move(moves[0]).conductance_s()
        minus = None if second is None else second.move(moves[1]).conductance_s()
        return DenseResistors(plus, minus, sparse=True)


@dataclass(frozen=True)
class _End:
    """Where a phase came to rest, in what."""

    solver: Solver
    sources: Tensor
    rest: Rest
