"""The same equilibria as a network of `models.ep`: every machine can run what resistors compute.

Power is a quadratic form of the voltages, sum_k H_kk v_k^2 / 2 - ..., with H_kk = c_l G_k and G_k all conductances at
node k. In the variables u_k = sqrt(H_kk) v_k its couplings are symmetric weights,

    W_jk = c_l A_{l-1} g_jk / sqrt(H_jj H_kk),

and diodes become the lower bound of a state: s_k = u_k / S of excitatory nodes, -u_k / S of inhibitory ones, where S is
so large that no training image takes a state beyond 1, or no image at all where they were not measured. Outputs have
either sign and no diode: s_k = o + u_k / S, and what o more sends down is taken from the biases. Errors of devices
times o are errors of answers: o is no larger than outputs need, 1/2 where they were not measured. The readout gives the
voltages back, over the largest of a state of 1: machines of few bits hold no large weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.ep.links import DenseLink
from models.ep.network import EPNetwork
from models.resistive.network import DeepResistive, node_loads, settle, signs

MARGIN, OUTPUT_MARGIN = 1.1, 1.5
"""Of the full scale, and of o, over the largest that was seen in training."""
BOUND_STEPS = 200
"""Of the fixed point that bounds the voltages."""


@dataclass(frozen=True, repr=False)
class ResistiveEP(EPNetwork):
    """A network that is the equal of a resistive one, and knows which."""

    circuit: DeepResistive | None = None
    full: float = 1.0
    """S, of states that would be 1."""
    offset: float = 0.5
    """o, the state of an output of 0 V."""

    def with_parameters(self, named: dict[str, Tensor]) -> EPNetwork:
        """Other weights are a network as any other."""
        return EPNetwork(self.links, self.readout, self.skips).with_parameters(named)


def equivalent(circuit: DeepResistive) -> ResistiveEP:
    """The network of `models.ep` with the same equilibria; float64 until it is made."""
    forms = diagonal(circuit)
    full = full_scale(circuit) if circuit.largest is None else MARGIN * circuit.largest
    offset = 0.5 if circuit.largest_output is None else min(OUTPUT_MARGIN * circuit.largest_output / full, 0.5)
    weights, biases = _weights(circuit, forms, full, offset)
    links = []
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        below = circuit.input_shape if index == 0 else (weight.shape[1],)
        links.append(DenseLink(weight.float(), bias.float(), below))
    volts = full / forms[-1].sqrt()
    volts = volts / volts.max()
    readout = DenseLink(torch.diag(volts).float(), (-offset * volts).float(), (circuit.classes,))
    return ResistiveEP(tuple(links), readout, circuit=circuit, full=full, offset=offset)


def diagonal(circuit: DeepResistive) -> list[Tensor]:
    """H_kk of every layer, (units,) in float64."""
    forms, strength = [], 1.0
    for index, load in enumerate(node_loads(circuit)):
        forms.append((strength * load.double()).masked_fill(load == 0, 1.0))
        strength /= circuit.gains[index] ** 2 if index < len(circuit.gains) else 1.0
    return forms


@torch.no_grad()
def measured(circuit: DeepResistive, images: Iterable[Tensor], sweeps: int) -> DeepResistive:
    """The same network with `largest` and `largest_output` of batches of images."""
    roots = [form.sqrt() for form in diagonal(circuit)]
    largest = output = 0.0
    for batch in images:
        volts = settle(circuit, batch, sweeps=sweeps)
        sizes = [float((root * v.abs()).max()) for root, v in zip(roots, volts, strict=True)]
        output = max(output, sizes[-1])
        largest = max(largest, *sizes[:-1], 2 * output)
    return replace(circuit, largest=largest, largest_output=output)


def full_scale(circuit: DeepResistive) -> float:
    """S: above sqrt(H) |v| of all nodes, twice that of outputs, whatever image in [0, 1] is shown."""
    pixels = circuit.conductances[0].shape[1] // 2
    g = circuit.conductances[0].double()
    net = circuit.input_gain * (g[:, :pixels] - g[:, pixels:])
    drive = torch.maximum(net.clamp(min=0).sum(dim=1), (-net).clamp(min=0).sum(dim=1)) + circuit.biases[0].abs()
    forms, strength = diagonal(circuit), 1.0
    strengths = [1.0]
    for gain in circuit.gains:
        strength /= gain**2
        strengths.append(strength)
    loads = [form / strength for form, strength in zip(forms, strengths, strict=True)]
    most = [torch.zeros_like(load) for load in loads]
    for _ in range(BOUND_STEPS):
        for index, load in enumerate(loads):
            current = drive if index == 0 else circuit.biases[index].abs().double()
            if index:
                current = current + circuit.gains[index - 1] * circuit.conductances[index].double() @ most[index - 1]
            if index + 1 < len(loads):
                current = current + circuit.conductances[index + 1].double().T @ most[index + 1] / circuit.gains[index]
            most[index] = current / load
    largest = [float((form.sqrt() * v).max()) for form, v in zip(forms, most, strict=True)]
    return 1.05 * max(*largest[:-1], 2 * largest[-1])


def _weights(
    circuit: DeepResistive, forms: list[Tensor], full: float, offset: float
) -> tuple[list[Tensor], list[Tensor]]:
    weights, biases, strength = [], [], 1.0
    count = len(circuit.conductances)
    for index, (g, bias) in enumerate(zip(circuit.conductances, circuit.biases, strict=True)):
        root = forms[index].sqrt()
        side = signs(len(g)).double() if index + 1 < count else torch.ones(len(g), dtype=torch.float64)
        if index == 0:
            pixels = g.shape[1] // 2
            weight = circuit.input_gain * (g[:, :pixels] - g[:, pixels:]).double() / (root * full)[:, None]
        else:
            gain = circuit.gains[index - 1]
            weight = strength * gain * g.double() / (root[:, None] * forms[index - 1].sqrt()[None])
            weight = weight * signs(g.shape[1]).double()[None]
        weights.append(side[:, None] * weight)
        biases.append(side * strength * bias.double() / (root * full))
        strength /= circuit.gains[index] ** 2 if index < len(circuit.gains) else 1.0
    biases[-1] = biases[-1] + offset
    if count > 1:
        biases[-2] = biases[-2] - offset * weights[-1].sum(dim=0)
    return weights, biases
