"""A small circuit, its answers by hand, and Lava machines on which something breaks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.circuit import Circuit, FloatNeuron, LayerCores, Wire
from hw.lava.hosting import Hosting
from hw.lava.machine import Lava

TESTS = Path(__file__).parents[1]
IMAGES: NDArray[np.float64] = np.random.default_rng(1).random((3, 1, 2, 3))


def small_circuit(units: int = 4, classes: int = 3) -> Circuit:
    """Two dense layers and a readout, in float."""
    rng = np.random.default_rng(0)
    shapes = ((1, 2, 3), (5,), (units,), (classes,))
    wires = [
        Wire("dense", (rng.normal(size=(*above, int(np.prod(below)))) / 5).astype(np.float32), below, above)
        for below, above in pairwise(shapes)
    ]
    biases = tuple(np.full(wire.above, 0.1, np.float32) for wire in wires[:2])
    tables = tuple(np.ones((int(np.prod(shape)), 6)) for shape in shapes[:3])
    return Circuit(
        tuple(wires[:2]), biases, FloatNeuron(), wires[2], np.zeros(classes), 1.0, tables, (LayerCores(1),) * 3
    )


def expected_logits(circuit: Circuit, steps: int) -> NDArray[np.float64]:
    """Logits of the synchronous dynamics."""
    assert circuit.readout is not None
    first, second = (wire.weight.astype(np.float64) for wire in circuit.wires)
    x = IMAGES.reshape(len(IMAGES), -1)
    low, high = np.zeros((len(x), len(first))), np.zeros((len(x), len(second)))
    for _ in range(steps):
        low, high = (
            np.clip(x @ first.T + high @ second + 0.1, 0, 1),
            np.clip(low @ second.T + 0.1, 0, 1),
        )
    return high @ circuit.readout.weight.T


def faulty_machine(kind: str, stall_s: float = 60.0) -> Lava:
    """A machine whose layers are of a `helpers.faulty_models` kind."""
    hosting = Hosting(stall_s, {"Layer": f"helpers.faulty_models:{kind}"})
    return Lava(small_circuit(), steps=10, hosting=hosting)
