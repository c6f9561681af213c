"""Networks and programs as circuits, the plain numpy form that machines run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, FixedNeuron, FloatNeuron, Wire
from mapping.placement.chip import LOIHI_1, Chip
from mapping.placement.cores import place
from mapping.program import Program, ProgramError
from models.ep.links import DenseLink, Link
from models.ep.network import EPNetwork


def circuit_of(source: EPNetwork | Program, chip: Chip = LOIHI_1) -> Circuit:
    """A network as a circuit of floats, a program as one of integers; messages are counted for the cores of `chip`."""
    return _of_network(source, chip) if isinstance(source, EPNetwork) else _of_program(source, chip)


def check_chain(network: EPNetwork) -> None:
    """Refuse what machines have no wires for yet."""
    if network.skips:
        ends = ", ".join(f"{skip.source} to {skip.target}" for skip in network.skips)
        raise ProgramError(f"the network has residual links (layers {ends}): machines hold chains of layers only")


def check_finite(network: EPNetwork) -> None:
    """Refuse a NaN or an infinity, which every score would become."""
    for name, tensor in network.named_parameters().items():
        bad = (~tensor.isfinite()).nonzero()
        if len(bad):
            index = tuple(bad[0].tolist())
            raise ProgramError(f"{name} holds {float(tensor[index])} at index {index}: no machine computes with it")


def _of_network(network: EPNetwork, chip: Chip) -> Circuit:
    check_chain(network)
    check_finite(network)
    links, readout = network.links, network.readout
    placement = place(links, chip, feedback=network.feedback)
    return Circuit(
        wires=tuple(_float_wire(link) for link in links),
        biases=tuple(link.spread_bias().numpy().astype(np.float32) for link in links),
        neuron=FloatNeuron(),
        readout=None if readout is None else _float_wire(readout),
        readout_bias=np.zeros(network.classes) if readout is None else readout.bias.numpy().astype(np.float64),
        logit_scale=1.0,
        traffic=placement.traffic,
        placed=placement.on_cores(),
        chip=chip.name,
        feedback=network.feedback,
    )


def _of_program(program: Program, chip: Chip) -> Circuit:
    links = [link.operator(link.weight) for link in program.links]
    placement = place(links, chip, feedback=program.feedback)
    exponents, readout = program.exponents, program.readout
    wires = []
    for index, link in enumerate(program.links):
        down = exponents[index - 1] - link.exponent if index else 0
        wires.append(_wire(links[index], link.weight, exponents[index] - link.exponent, down))
    scale = 1 / program.one if readout is None else 2.0**-readout.exponent / program.one
    return Circuit(
        wires=tuple(wires),
        biases=tuple(
            link.bias.reshape(-1, *[1] * (len(operator.above) - 1))
            for link, operator in zip(program.links, links, strict=True)
        ),
        neuron=FixedNeuron(program.state_bits, exponents),
        readout=None if readout is None else _wire(readout.operator(readout.weight), readout.weight, 0, 0),
        readout_bias=np.zeros(links[-1].above[0]) if readout is None else readout.bias.astype(np.float64),
        logit_scale=scale,
        traffic=placement.traffic,
        placed=placement.on_cores(),
        chip=chip.name,
        feedback=program.feedback,
    )


def _float_wire(link: Link) -> Wire:
    weight = link.weight.numpy().astype(np.float32)
    if not isinstance(link, DenseLink) and link.pooling == "average":
        weight = weight / np.float32(link.pool_size**2)
    return _wire(link, weight, 0, 0)


def _wire(link: Link, weight: NDArray[Any], up_shift: int, down_shift: int) -> Wire:
    if isinstance(link, DenseLink):
        return Wire("dense", weight, link.below, link.above, up_shift=up_shift, down_shift=down_shift)
    return Wire(
        "conv",
        weight,
        link.below,
        link.above,
        link.stride,
        link.padding,
        # averages are sums: one over the window is in the weights already
        "sum" if link.pooling == "average" else link.pooling,
        link.pool_size,
        up_shift,
        down_shift,
    )
