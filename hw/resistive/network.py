"""A resistive network: layers of nodes joined by resistors, held by diodes, driven by voltage sources.

Layer 0 are the sources, layers 1 to L nodes v_l. An amplifier at node j puts out a_j = A_j (v_j + o_j), which drives
the layer above, and takes from the node the current that flows out there times B_j; without one a_j = v_j. Kirchhoff at
node k of layer l, with its leak, its bias current and its diode:

    up_l(a_{l-1}) + B down_{l+1}(v_{l+1}) + b = (total_l + B A total_{l+1} + leak) v_k + B A total_{l+1} o_k - i(v_k)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigs

from hw.resistive.diodes import Diode, Ideal, Junction
from hw.resistive.links import Array, Operator, Resistors

SMALL = 200
"""Nodes of a network whose eigenvalues are all computed."""


@dataclass(frozen=True)
class Layer:
    """Nodes of one layer, arrays (units,)."""

    low_v: Array
    """A diode keeps the node from falling below; -inf: none."""
    high_v: Array
    """A diode keeps the node from rising above; inf: none."""
    leak_s: Array
    """Resistor to ground; 0 S: none."""
    bias_a: Array
    """Current source into the node."""

    def __post_init__(self) -> None:
        for name in ("low_v", "high_v", "leak_s", "bias_a"):
            if getattr(self, name).shape != self.low_v.shape or self.low_v.ndim != 1:
                raise ValueError(f"{name} is {getattr(self, name).shape}, expected (units,) as all of a layer")
        if not (self.low_v < self.high_v).all():
            node = int(np.argmax(~(self.low_v < self.high_v)))
            raise ValueError(
                f"node {node} is held between {self.low_v[node]} V and {self.high_v[node]} V: low must be below high"
            )
        if not ((self.leak_s >= 0) & (self.leak_s < np.inf)).all():
            raise ValueError(f"a leak has {self.leak_s.min()} S: expected 0 S (none) or more")
        if not np.isfinite(self.bias_a).all():
            raise ValueError("a bias current is not finite")


def free_layer(units: int) -> Layer:
    """Nodes without diodes, leaks and biases."""
    nothing = np.zeros(units)
    return Layer(np.full(units, -np.inf), np.full(units, np.inf), nothing, nothing)


@dataclass(frozen=True)
class Amplifiers:
    """Bidirectional amplifiers of one layer, arrays (units,): a = gain (v + offset), taken = back * current out."""

    gain: Array
    back: Array
    """1 / gain of a matched amplifier."""
    offset_v: Array
    bandwidth_hz: float | None = None
    """Of its one pole; None: as fast as one likes."""

    def __post_init__(self) -> None:
        for name in ("gain", "back", "offset_v"):
            if getattr(self, name).shape != self.gain.shape or not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} of amplifiers must be finite numbers, (units,)")
        for name in ("gain", "back"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(
                    f"an amplifier has a {name} of {getattr(self, name).min()}, expected a positive number"
                )
        if self.bandwidth_hz is not None and not 0 < self.bandwidth_hz < np.inf:
            raise ValueError(f"bandwidth_hz is {self.bandwidth_hz}, expected a positive number, or none")


def matched(units: int, gain: float) -> Amplifiers:
    """Amplifiers without mismatch and offset."""
    if not 0 < gain < np.inf:
        raise ValueError(f"an amplifier has a gain of {gain}, expected a positive number")
    return Amplifiers(np.full(units, gain), np.full(units, 1 / gain), np.zeros(units))


@dataclass(frozen=True)
class ResistiveNetwork:
    """Links 1 to L with the layers above them. Checked when made.

    Raises:
        ValueError: a link that does not fit; a floating node; nodes that no source and no leak reaches; amplifiers
            whose loop is not certain to come to rest.
    """

    links: tuple[Resistors, ...]
    layers: tuple[Layer, ...]
    amplifiers: tuple[Amplifiers | None, ...]
    """Of layers 1..L-1."""
    input_v: float
    """Voltage of an input of 1."""
    diode: Diode = field(default_factory=Ideal)

    def __post_init__(self) -> None:
        if not self.links or len(self.layers) != len(self.links) or len(self.amplifiers) != len(self.links) - 1:
            raise ValueError(
                f"{len(self.links)} links, {len(self.layers)} layers and {len(self.amplifiers)} rows of amplifiers: "
                "expected as many layers as links and one row of amplifiers less"
            )
        if not 0 < self.input_v < np.inf:
            raise ValueError(f"input_v is {self.input_v} V, expected a positive number")
        for number, (link, layer) in enumerate(zip(self.links, self.layers, strict=True), start=1):
            if prod(link.above) != len(layer.low_v):
                raise ValueError(
                    f"link {number} leads to {prod(link.above)} nodes, layer {number} has {len(layer.low_v)}"
                )
            if number > 1 and prod(link.below) != len(self.layers[number - 2].low_v):
                raise ValueError(
                    f"link {number} comes from {prod(link.below)} nodes, layer {number - 1} has "
                    f"{len(self.layers[number - 2].low_v)}"
                )
            both = np.isfinite(layer.low_v) & np.isfinite(layer.high_v)
            if isinstance(self.diode, Junction) and both.any():
                raise ValueError(f"layer {number}: a node with two diodes, of the kind Junction it can have one")
        for number, row in enumerate(self.amplifiers, start=1):
            if row is not None and row.gain.shape != self.layers[number - 1].low_v.shape:
                raise ValueError(
                    f"layer {number} has {len(self.layers[number - 1].low_v)} nodes, {len(row.gain)} amplifiers"
                )
        _check_connected(self)
        _check_loop(self)

    def __repr__(self) -> str:
        sizes = " - ".join(str(len(layer.low_v)) for layer in self.layers)
        return f"ResistiveNetwork of {prod(self.links[0].below)} inputs, {sizes} nodes, {self.resistors:,} resistors"

    @property
    def units(self) -> tuple[int, ...]:
        """Nodes of layers 1..L."""
        return tuple(len(layer.low_v) for layer in self.layers)

    @property
    def resistors(self) -> int:
        """Resistors on a die, leaks included."""
        leaks = sum(int((layer.leak_s > 0).sum()) for layer in self.layers)
        return leaks + sum(link.resistors for link in self.links)


def _check_connected(network: ResistiveNetwork) -> None:
    """Every node must have a resistor, and a way to a source or to ground."""
    operators = [Operator(link, "cpu") for link in network.links]
    reached = []
    for number, (operator, layer) in enumerate(zip(operators, network.layers, strict=True), start=1):
        load = operator.load_above.numpy() + layer.leak_s
        if number < len(operators):
            load = load + operators[number].load_below.numpy()
        if not (load > 0).all():
            raise ValueError(f"node {int(np.argmin(load))} of layer {number} is floating: no resistor leads to it")
        reached.append(torch.as_tensor((layer.leak_s > 0) | ((operator.load_above.numpy() > 0) & (number == 1))))
    for _ in range(sum(network.units)):
        before = sum(int(one.sum()) for one in reached)
        for index in range(1, len(operators)):
            reached[index] |= operators[index].reach_up(reached[index - 1].double()[None])[0] > 0
        for index in range(len(operators) - 1, 0, -1):
            reached[index - 1] |= operators[index].reach_down(reached[index].double()[None])[0] > 0
        if sum(int(one.sum()) for one in reached) == before:
            break
    for number, one in enumerate(reached, start=1):
        if not bool(one.all()):
            node = int((~one).int().argmax())
            raise ValueError(
                f"the network is singular: no resistors lead from node {node} of layer {number} to a source or to "
                "ground"
            )


def _check_loop(network: ResistiveNetwork) -> None:
    """Refuse amplifiers whose loop may run away; those of one gain in every layer, or of one `back`, never do: the
    matrix below then has non-negative row, or column, sums under a scale for every layer.

    With D the loads and N >= 0 what neighbours drive, D - N is an H-matrix if the spectral radius of N / D is below 1:
    then there is one point of rest whatever diodes conduct, and sweeps find it (Pang 1984). At 1 and above some
    pattern of diodes may let the loop run away.
    """
    rows = [row for row in network.amplifiers if row is not None]
    if all(np.ptp(row.gain) == 0 for row in rows) or all(np.ptp(row.back) == 0 for row in rows):
        return
    radius = _loop_gain(network)
    if radius >= 1:
        raise ValueError(
            f"amplifiers make a loop of gain {radius:.4g}, expected below 1: it may run away, use gains that match "
            "better"
        )


def _loop_gain(network: ResistiveNetwork) -> float:
    """Spectral radius of N / D."""
    operators = [Operator(link, "cpu") for link in network.links]
    rows = [
        matched(n, 1.0) if row is None else row
        for n, row in zip(network.units, (*network.amplifiers, None), strict=True)
    ]
    gains, backs = ([torch.as_tensor(getattr(row, name)) for row in rows] for name in ("gain", "back"))
    last = len(operators) - 1
    loads = [
        operator.load_above
        + torch.as_tensor(layer.leak_s)
        + (backs[i] * gains[i] * operators[i + 1].load_below if i < last else 0.0)
        for i, (operator, layer) in enumerate(zip(operators, network.layers, strict=True))
    ]

    def apply(flat: Array) -> Array:
        held = torch.as_tensor(np.asarray(flat, np.float64)).reshape(-1).split(list(network.units))
        driven = []
        for i, (operator, load) in enumerate(zip(operators, loads, strict=True)):
            current = operator.reach_up((gains[i - 1] * held[i - 1])[None])[0] if i else torch.zeros_like(load)
            if i < last:
                current = current + backs[i] * operators[i + 1].reach_down(held[i + 1][None])[0]
            driven.append(current / load)
        return torch.cat(driven).numpy()

    count = sum(network.units)
    if count <= SMALL:
        return float(np.abs(np.linalg.eigvals(np.stack([apply(row) for row in np.eye(count)], axis=1))).max())
    found = eigs(
        LinearOperator((count, count), matvec=apply, dtype=np.float64), k=1, which="LR", return_eigenvectors=False
    )
    return float(found.real.max())
