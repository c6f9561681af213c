"""Learning in place: after the phases every resistor changes by the squared voltage across itself, and nothing else.

With E_k the energy under nudge beta_k, dC/dg = sum_k c_k dE_k/dg, dE/dg_jk = c_l / 2 (A v_j -+ v_k)^2 on the rail of
either sign, C = 1/2 |v_L - y|^2, in units of a reference conductance and a reference voltage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.circuit import Weights
from hw.events.analog import AnalogEvents
from hw.learning.rule import Learned, LearningRule, one_hot
from hw.ledger import Ledger, merge
from hw.machine import split
from hw.resistive.die import Die, Writer
from hw.resistive.links import DenseResistors
from hw.resistive.network import ResistiveNetwork
from hw.resistive.power import dissipated_w
from hw.resistive.readout import Reading
from hw.resistive.settling import Rest, pulled, settle
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


class Learner:
    """The circuit while it learns."""

    def __init__(
        self, in_place: InPlace, network: ResistiveNetwork, die: Die | None, phase_s: float, device: str
    ) -> None:
        if (die is None) != (in_place.update is None):
            raise ValueError(f"update is {in_place.update!r}: devices are rewritten or pulsed, ideal resistors are not")
        self.in_place, self.network, self.die, self.device = in_place, network, die, device
        self.phase_s = phase_s
        self._writers: list[tuple[Writer, Writer | None]] = []
        if die is not None:
            assert in_place.update is not None
            rng = np.random.default_rng((11, *die.arrays[0][0].target_s.shape))
            self._writers = [
                (
                    Writer(plus, in_place.update, rng),
                    None if minus is None else Writer(minus, in_place.update, rng),
                )
                for plus, minus in die.arrays
            ]

    @property
    def written(self) -> int:
        """Devices written so far."""
        return sum(writer.written for pair in self._writers for writer in pair if writer is not None)

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

    def learn(self, images: NDArray[np.floating], labels: NDArray[np.integer], rule: LearningRule) -> Learned:
        """One pass, one update per batch."""
        hits, ledgers = 0, []
        for batch, right in zip(split(images, rule.batch_size), split(labels, rule.batch_size), strict=True):
            solver = Solver(self.network, self.device)
            sources = solver.sources(batch)
            target = self.in_place.volt * torch.as_tensor(one_hot(right, self.network.units[-1]), device=self.device)
            free = settle(solver, sources)
            hits += int((free.volts[-1].argmax(dim=1).cpu().numpy() == right).sum())
            ends = self._phases(solver, sources, target, free, rule)
            self._change(solver, sources, ends, rule)
            ledgers.append(Ledger(len(batch), analog=self._spent(solver, sources, [free, *(end for _, end in ends)])))
        return Learned(len(images), hits, merge(ledgers))

    def _spent(self, solver: Solver, sources: Tensor, rests: list[Rest]) -> AnalogEvents:
        """Joules of every phase: its power at rest for the time it is left."""
        energy: dict[str, float] = {}
        for rest in rests:
            for part, watts in dissipated_w(solver, sources, rest.volts).items():
                energy[part] = energy.get(part, 0.0) + max(float(watts.sum()), 0.0) * self.phase_s
        return AnalogEvents(energy, len(rests) * len(sources) * self.phase_s)

    def _phases(
        self, solver: Solver, sources: Tensor, target: Tensor, free: Rest, rule: LearningRule
    ) -> list[tuple[float, Rest]]:
        """(c_k, rest) of every phase."""
        beta_s = self.in_place.siemens / self._strength(solver, len(solver.operators) - 1)
        ends = []
        for beta, weight in zip(rule.phases.betas, rule.phases.weights, strict=True):
            nudge = [None] * (len(solver.operators) - 1)
            end = (
                free
                if beta == 0
                else settle(solver, sources, injections=[*nudge, pulled(beta * beta_s, target)], start=free.volts)
            )
            ends.append((weight, end))
        return ends

    def _strength(self, solver: Solver, index: int) -> float:
        """c_l of link index + 1."""
        product = 1.0
        for gain in solver.gain[:index]:
            product *= float(gain.mean())
        return 1 / product**2

    def _change(self, solver: Solver, sources: Tensor, ends: list[tuple[float, Rest]], rule: LearningRule) -> None:
        links, layers, pairs = [], [], []
        unit = self.in_place
        for index, link in enumerate(solver.network.links):
            assert isinstance(link, DenseResistors), "made by mapping"
            scale = self._strength(solver, index) / (len(sources) * unit.volt**2)
            squares = torch.zeros(link.plus_s.shape, dtype=torch.float64, device=self.device)
            products = torch.zeros_like(squares)
            bias = torch.zeros(len(squares), dtype=torch.float64, device=self.device)
            for weight, end in ends:
                below = sources if index == 0 else solver.outputs(index - 1, end.volts[index - 1])
                above = end.volts[index]
                squares += 0.5 * weight * (above.square().sum(dim=0)[:, None] + below.square().sum(dim=0)[None])
                products += weight * above.T @ below
                bias -= weight * above.sum(dim=0)
            rate = unit.siemens * rule.descent.weight_rates[index] * scale
            moves = [(-rate * (squares - products)).cpu().numpy(), (-rate * (squares + products)).cpu().numpy()]
            pairs.append(self._write(index, link, moves))
            current = unit.siemens * unit.volt * rule.descent.bias_rates[index] * scale * unit.volt
            layer = solver.network.layers[index]
            layers.append(replace(layer, bias_a=layer.bias_a - (current * bias).cpu().numpy()))
            links.append(DenseResistors(*pairs[-1]))
        self.network = replace(self.network, links=tuple(links), layers=tuple(layers))
        if self.die is not None:
            arrays = tuple((pair[0].array, None if pair[1] is None else pair[1].array) for pair in self._writers)
            self.die = replace(self.die, arrays=arrays, ideal=replace(self.die.ideal, layers=tuple(layers)))

    def _write(self, index: int, link: DenseResistors, moves: list[Array]) -> tuple[Array, Array | None]:
        """The conductances of both rails after they were asked to move so far."""
        if not self._writers:
            plus = np.maximum(link.plus_s + moves[0], 0.0)
            return plus, None if link.minus_s is None else np.maximum(link.minus_s + moves[1], 0.0)
        first, second = self._writers[index]
        plus = first.move(moves[0]).conductance_s()
        return plus, None if second is None else second.move(moves[1]).conductance_s()
