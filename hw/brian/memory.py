"""How much memory a network will take, told before it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hw.brian.options import Simulation
from hw.brian.wiring import synapses_of
from hw.circuit import Circuit

BYTES_PER_SYNAPSE = 100.0
"""Of Brian with its scratch while it connects and runs; 75 were measured."""
BYTES_PER_NEURON = 300.0
"""About twenty variables in float64, and the scratch of an update."""
BRIAN = 60e6
"""Bytes of Brian's own code."""


def bytes_of(circuit: Circuit, simulation: Simulation, copies: int, rows: int) -> float:
    """Bytes that so many images side by side take, with `rows` times recorded.

    BRIAN + copies (a synapses + b neurons + 16 rows neurons), or with operators their unfolded windows in place of
    synapses: 1 to 3 times what the resident size of a process was seen to grow (numpy target, 2 million synapses, and
    64 images by operators).
    """
    units = sum(prod(layer) for layer in circuit.layers[1:])
    if simulation.linear == "operator":
        links = 8.0 * sum(2 * _windows(circuit, index) for index in range(len(circuit.wires)))
    else:
        links = BYTES_PER_SYNAPSE * sum(synapses_of(wire) for wire in circuit.wires[1:]) + 16.0 * _windows(circuit, 0)
    return BRIAN + copies * (links + (BYTES_PER_NEURON + 16.0 * rows) * units)


def check_memory(circuit: Circuit, simulation: Simulation, copies: int, rows: int, free: float | None) -> None:
    """Refuse what would not fit: MemoryError with what is needed, what is free and the largest batch that fits."""
    needed = bytes_of(circuit, simulation, copies, rows)
    if free is None or needed <= free:
        return
    none, one = (bytes_of(circuit, simulation, count, rows) for count in (0, 1))
    largest = max(0, int((free - none) / (one - none)))
    advice = f"a batch of {largest} would fit" if largest else "not even one would fit"
    others = "" if simulation.linear == "operator" else "; as operators (linear 'operator') links take far less"
    raise MemoryError(
        f"{copies} images side by side in Brian need {needed / 1e9:.3g} GB where {free / 1e9:.3g} GB is free: "
        f"{advice}{others}"
    )


def _windows(circuit: Circuit, index: int) -> int:
    """Numbers that the unfolded windows of a wire hold for one image."""
    wire = circuit.wires[index]
    if wire.kind == "dense":
        return prod(wire.below)
    window = wire.pool_size if wire.pooling == "sum" else 1
    edges: Sequence[int] = [edge + wire.stride * (window - 1) for edge in wire.weight.shape[2:]]
    return wire.below[0] * prod(edges) * prod(wire.above[1:]) + prod(wire.below)
