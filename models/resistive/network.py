"""A deep resistive network: layers of nodes, joined by resistors, held to one side by diodes (Kendall et al. 2020).

Conductances are in units of one reference conductance and voltages in units of one reference voltage: what they are in
siemens and volts is the affair of the hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class DeepResistive:
    """Nodes v_1 to v_L over voltage sources v_0; resistor g_jk joins node j below to node k above.

    Every pixel is put on twice, v_0 = input_gain (x, -x). Even nodes of hidden layers are excitatory, a diode keeps
    v >= 0, odd ones inhibitory, v <= 0; output nodes have no diode. An amplifier lets node j drive the layer above with
    A v_j, and takes the current that flows there divided by A. At rest the power weighted by layer is least,

        E(v; x) = sum_l c_l / 2 sum_jk g_jk (A_{l-1} v_j - v_k)^2 - sum_l c_l sum_k b_k v_k,
        c_l = 1 / (A_1 ... A_{l-1})^2,   A_0 = 1
    """

    conductances: tuple[Tensor, ...]
    """Of link l, (units above, units below), all at least 0; link 1 has columns for x, then for -x."""
    biases: tuple[Tensor, ...]
    """Current b into every node, (units,)."""
    input_shape: Shape
    """(C, H, W) of one image."""
    input_gain: float
    """Voltage of a pixel of 1."""
    gains: tuple[float, ...]
    """A of hidden layers 1..L-1."""
    largest: float | None = None
    """sqrt(H) |v| of the node that has most on the training images, twice that of outputs, with H as in
    `models.resistive.equivalent`; None: not measured."""
    largest_output: float | None = None
    """The same of outputs alone, once."""

    def __post_init__(self) -> None:
        units = 2 * prod(self.input_shape)
        if not self.conductances or len(self.biases) != len(self.conductances):
            raise ValueError(f"{len(self.conductances)} links with {len(self.biases)} biases, expected one for each")
        if len(self.gains) != len(self.conductances) - 1:
            raise ValueError(f"{len(self.gains)} gains, expected one for each of {len(self.conductances) - 1} layers")
        for name, value in (("input_gain", self.input_gain), *((f"gain {a + 1}", g) for a, g in enumerate(self.gains))):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive number")
        for name in ("largest", "largest_output"):
            size = getattr(self, name)
            if size is not None and not 0 < size < float("inf"):
                raise ValueError(f"{name} is {size}, expected a positive number, or none")
        for number, (g, bias) in enumerate(zip(self.conductances, self.biases, strict=True), start=1):
            if g.ndim != 2 or g.shape[1] != units or bias.shape != g.shape[:1]:
                raise ValueError(
                    f"link {number} has conductances {tuple(g.shape)} and biases {tuple(bias.shape)}, expected "
                    f"(units, {units}) and (units,)"
                )
            if not bool((g >= 0).all()):  # NaN is wrong too
                raise ValueError(f"link {number} has a conductance of {float(g.min())}: no resistor is negative")
            units = len(g)

    def __repr__(self) -> str:
        sizes = " - ".join(str(len(g)) for g in self.conductances)
        count = sum(g.numel() for g in self.conductances)
        return f"DeepResistive of {self.input_shape} images, both ways, {sizes} nodes, {count:,} resistors"

    @property
    def classes(self) -> int:
        """Number of output nodes."""
        return len(self.conductances[-1])

    def named_parameters(self) -> dict[str, Tensor]:
        """link1.conductance, link1.bias, ..."""
        pairs = enumerate(zip(self.conductances, self.biases, strict=True), start=1)
        return {
            f"link{number}.{kind}": tensor
            for number, pair in pairs
            for kind, tensor in zip(("conductance", "bias"), pair, strict=True)
        }

    def with_parameters(self, named: dict[str, Tensor]) -> DeepResistive:
        """The same wiring with these tensors."""
        numbers = range(1, len(self.conductances) + 1)
        return replace(
            self,
            conductances=tuple(named[f"link{number}.conductance"] for number in numbers),
            biases=tuple(named[f"link{number}.bias"] for number in numbers),
        )

    def sources(self, images: Tensor) -> Tensor:
        """(B, 2 pixels) voltages of the sources of images (B, C, H, W)."""
        x = self.input_gain * images.flatten(1)
        return torch.cat((x, -x), dim=1)


def signs(units: int) -> Tensor:
    """(units,) +1 of excitatory nodes, -1 of inhibitory ones, in turn."""
    return 1.0 - 2.0 * (torch.arange(units) % 2)


def rectified(volts: Tensor) -> Tensor:
    """(B, units) of a hidden layer behind its diodes."""
    kept = volts.clone()
    kept[:, 0::2].clamp_(min=0)
    kept[:, 1::2].clamp_(max=0)
    return kept


def build_resistive(
    input_shape: Shape,
    hidden: Sequence[int],
    classes: int,
    generator: torch.Generator,
    *,
    input_gain: float,
    gain: float = 1.0,
) -> DeepResistive:
    """Draw a fresh network: g = max(0, u), u ~ U(-1, 1) / sqrt(fan_in), every second resistor missing; no bias."""
    sizes = [2 * prod(input_shape), *hidden, classes]
    conductances = []
    for below, above in pairwise(sizes):
        drawn = 2 * torch.rand((above, below), generator=generator) - 1
        drawn = torch.where((drawn > 0).any(dim=1, keepdim=True), drawn, -drawn)  # no node without a resistor
        conductances.append((drawn / below**0.5).clamp_(min=0))
    biases = tuple(torch.zeros(above) for above in sizes[1:])
    return DeepResistive(tuple(conductances), biases, tuple(input_shape), input_gain, (gain,) * len(hidden))


@dataclass(frozen=True)
class Nudge:
    """Every output node hangs on its target through a conductance beta: E + beta / 2 |v_L - y|^2."""

    beta: float
    targets: Tensor
    """(B, classes) voltages."""


def node_loads(network: DeepResistive) -> list[Tensor]:
    """(units,) of layers 1..L, all conductances at a node."""
    links = network.conductances
    above = [*(g.sum(dim=0) for g in links[1:]), None]
    return [g.sum(dim=1) if up is None else g.sum(dim=1) + up for g, up in zip(links, above, strict=True)]


def settle(
    network: DeepResistive,
    images: Tensor,
    *,
    sweeps: int,
    nudge: Nudge | None = None,
    start: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """Voltages of layers 1..L after `sweeps` odd-even sweeps: every layer is set to its exact minimum of E, layers 1,
    3, ... first, then 2, 4, ... (Scellier 2024, arXiv:2402.11674)."""
    drive = network.sources(images) @ network.conductances[0].T + network.biases[0]
    return descend(network, drive, sweeps=sweeps, nudge=nudge, start=start)


def descend(
    network: DeepResistive,
    drive: Tensor,
    *,
    sweeps: int,
    nudge: Nudge | None = None,
    start: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """`settle` from what the sources drive into layer 1, which does not change while it settles."""
    links, gains = network.conductances, network.gains
    last = len(links) - 1
    # a node that has lost all its resistors stays at 0 V
    loads = [load.masked_fill(load == 0, float("inf")) for load in node_loads(network)]
    volts = [drive.new_zeros((len(drive), len(g))) for g in links] if start is None else list(start)
    order = (*range(0, last + 1, 2), *range(1, last + 1, 2))
    strength = 1.0
    for gain in gains:
        strength /= gain**2
    for _ in range(sweeps):
        for index in order:
            load = loads[index]
            current = (
                drive if index == 0 else gains[index - 1] * volts[index - 1] @ links[index].T + network.biases[index]
            )
            if index < last:
                volts[index] = rectified((current + volts[index + 1] @ links[index + 1] / gains[index]) / load)
                continue
            if nudge is not None:
                pull = nudge.beta / strength
                current, load = current + pull * nudge.targets, load + pull
            volts[index] = current / load
    return volts
