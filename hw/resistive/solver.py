"""A network as torch computes it, and Kirchhoff's law of every layer, the others as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.resistive.alone import Alone, suits
from hw.resistive.diodes import Bounds
from hw.resistive.links import Operator, OperatorOfDies
from hw.resistive.network import ResistiveNetwork


class Solver:
    """A network as torch computes it, in float64 on "cpu" or "cuda"."""

    def __init__(self, network: ResistiveNetwork, device: str = "cpu") -> None:
        self.network, self.device = network, device
        self.operators = [Operator(link, device) for link in network.links]

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float64, device=device)

        self.bounds = [Bounds(tensor(layer.low_v), tensor(layer.high_v)) for layer in network.layers]
        self.held = [bool((np.isfinite(one.low_v) | np.isfinite(one.high_v)).any()) for one in network.layers]
        """Whether any node of a layer has a diode."""
        self.leak = [tensor(layer.leak_s) for layer in network.layers]
        self.current = [tensor(layer.bias_a) for layer in network.layers]
        """Of the current sources at the nodes."""
        rows = [*network.amplifiers, None]
        ones = [tensor([1.0] * n) for n in network.units]
        self.amplified = [row is not None for row in rows]
        self.gain = [one if row is None else tensor(row.gain) for one, row in zip(ones, rows, strict=True)]
        self.back = [one if row is None else tensor(row.back) for one, row in zip(ones, rows, strict=True)]
        self.offset = [0 * one if row is None else tensor(row.offset_v) for one, row in zip(ones, rows, strict=True)]
        last = len(self.operators) - 1
        self.loads, self.bias = [], []
        for i, operator in enumerate(self.operators):
            load, bias = operator.load_above + self.leak[i], self.current[i]
            if i < last:
                taken = self.back[i] * self.gain[i] * self.operators[i + 1].load_below
                load, bias = load + taken, bias - taken * self.offset[i]
            if i:
                bias = operator.up((self.gain[i - 1] * self.offset[i - 1])[None], bias[None])[0]
            self.loads.append(load)
            self.bias.append(bias)
        self.matched = all(
            bool(((gain * back - 1).abs() <= 1e-9).all()) for gain, back in zip(self.gain, self.back, strict=True)
        )
        """Whether couplings are symmetric, with the weights below."""
        self.weights = [1.0]
        """Of every layer, 1 / (A_1 .. A_{l-1})^2."""
        for gain, back in zip(self.gain[:last], self.back[:last], strict=True):
            self.weights.append(self.weights[-1] * float((back / gain).mean()))

    def changed(self, change: Callable[[ResistiveNetwork], ResistiveNetwork]) -> Solver:
        """The same of a changed network."""
        return Solver(change(self.network), self.device)

    @cached_property
    def alone(self) -> Alone | None:
        """How single images settle; None: as batches do."""
        return Alone(self) if suits(self) else None

    def sources(self, inputs: Tensor | NDArray[np.floating]) -> Tensor:
        """(B, inputs) volts of inputs (B, ...) in units of `input_v`."""
        return self.network.input_v * torch.as_tensor(inputs, dtype=torch.float64, device=self.device).flatten(1)

    def outputs(self, index: int, volts: Tensor) -> Tensor:
        """What the nodes of layer index + 1 put out upwards."""
        return self.gain[index] * (volts + self.offset[index])

    def coupled(self, index: int, onto: Tensor, volts: Sequence[Tensor]) -> Tensor:
        """(B, units) what the layers beside layer index + 1 drive into its nodes at 0 V, on top of a current; offsets
        are in `bias`."""
        if index:
            below = volts[index - 1]
            onto = self.operators[index].up(self.gain[index - 1] * below if self.amplified[index - 1] else below, onto)
        if index + 1 == len(self.operators):
            return onto
        above = self.operators[index + 1]
        if self.amplified[index]:
            return onto + self.back[index] * above.down(volts[index + 1])
        return above.down(volts[index + 1], onto)

    def around(self, index: int, drive: Tensor, volts: Sequence[Tensor]) -> Tensor:
        """(B, units) current into nodes of layer index + 1 at 0 V; `drive` is that of the sources into layer 1."""
        return self.coupled(index, self.bias[index] + drive if index == 0 else self.bias[index], volts)


class SolverOfDies(Solver):
    """Several dies of one circuit, as one: layers are (dies, B, units), and what differs from die to die is (dies, 1,
    units). Sources are the same for all."""

    def __init__(self, parts: Sequence[Solver]) -> None:
        first = parts[0]
        for number, other in enumerate(parts[1:], start=2):
            if other.network.units != first.network.units or other.network.diode != first.network.diode:
                raise ValueError(f"die {number} is another circuit than the first: its nodes or diodes differ")
        self.parts = tuple(parts)
        self.network, self.device = first.network, first.device
        self.bounds, self.held, self.amplified = first.bounds, first.held, first.amplified
        layers = range(len(first.operators))
        self.operators = [OperatorOfDies([one.operators[index] for one in parts]) for index in layers]

        def stacked(name: str) -> list[Tensor]:
            return [torch.stack([getattr(one, name)[index] for one in parts])[:, None] for index in layers]

        self.leak, self.current, self.loads, self.bias = map(stacked, ("leak", "current", "loads", "bias"))
        self.gain, self.back, self.offset = map(stacked, ("gain", "back", "offset"))
        self.matched = all(one.matched for one in parts)
        self.weights = [max(one.weights[index] for one in parts) for index in layers]

    def changed(self, change: Callable[[ResistiveNetwork], ResistiveNetwork]) -> Solver:
        """Every die changed."""
        return SolverOfDies([one.changed(change) for one in self.parts])

    @cached_property
    def alone(self) -> None:
        """Dies settle as batches do."""
        return


@dataclass(frozen=True)
class Problem:
    """What a batch has to solve: current and load of every layer, without what other layers drive."""

    solver: Solver
    bases: tuple[Tensor, ...]
    """(B, units) or (units,) amperes."""
    loads: tuple[Tensor, ...]
    """(units,) siemens."""

    def current(self, index: int, volts: Sequence[Tensor]) -> Tensor:
        """(B, units) current into nodes of layer index + 1 at 0 V."""
        return self.solver.coupled(index, self.bases[index], volts)

    def target(self, index: int, volts: Sequence[Tensor]) -> Tensor:
        """(B, units) where its own equation puts a node of layer index + 1, the others as they are."""
        current, solver = self.current(index, volts), self.solver
        if not solver.held[index]:
            return current / self.loads[index]
        return solver.network.diode.node(current, self.loads[index], solver.bounds[index])

    def sweep(self, volts: list[Tensor]) -> float:
        """Layers 1, 3, ... then 2, 4, ..., in place; the most that a node of the last ones moved by.

        Each layer is measured over what the amplifiers below make of it: so nothing that settles after a change moves
        farther than it, and where layers 2, 4, ... stand still those between do from there on.
        """
        odd, even = range(0, len(volts), 2), range(1, len(volts), 2)
        moved = 0.0
        for index in (*odd, *even):
            new = self.target(index, volts)
            if index in (even or odd):
                away = float(torch.dist(new, volts[index], float("inf")))
                moved = max(moved, away * self.solver.weights[index] ** 0.5)
            volts[index] = new
        return moved

    def largest(self, volts: Sequence[Tensor]) -> float:
        """The largest voltage of all, measured in the same way."""
        sizes = (float(layer.abs().max()) for layer in volts)
        return max(size * weight**0.5 for size, weight in zip(sizes, self.solver.weights, strict=True))

    def residual(self, volts: Sequence[Tensor]) -> Tensor:
        """(B,) largest current left over at a node: load times the distance to where its own equation puts it."""
        left = [
            (load * (self.target(index, volts) - volts[index])).abs().amax(dim=-1)
            for index, load in enumerate(self.loads)
        ]
        return torch.stack(left).amax(dim=0)

    def of(self, image: int) -> Problem:
        """That of one image of the batch."""
        bases = tuple(base if base.ndim == 1 else base[image : image + 1] for base in self.bases)
        return Problem(self.solver, bases, self.loads)

    def by_die(self) -> list[Problem]:
        """Those of every die, where it is of several."""
        assert isinstance(self.solver, SolverOfDies), "it is of one die"
        return [
            Problem(
                solver,
                tuple(base[die, 0] if base.shape[1] == 1 else base[die] for base in self.bases),
                tuple(load[die, 0] for load in self.loads),
            )
            for die, solver in enumerate(self.solver.parts)
        ]


def jacobian(solver: Solver, loads: Sequence[Tensor]) -> Tensor:
    """(n, n) siemens: current that leaves node i per volt at node j, all layers in their order, without diodes."""
    sizes = solver.network.units
    each = torch.eye(sum(sizes), dtype=torch.float64, device=solver.device).split(list(sizes), dim=1)
    leaving = [
        load * v - solver.coupled(index, torch.zeros_like(v), each)
        for index, (load, v) in enumerate(zip(loads, each, strict=True))
    ]
    return torch.cat(leaving, dim=1).T
