"""network.json of an export to Loihi: everything but the integers.

    {"schema": "ep-hardware loihi", "version": 1, "state_bits": 8, "one": 255, "logit_scale": ...,
     "layers": [{"units": 2048, "shape": [32, 8, 8], "exponent": 14, "threshold": 0, "clip": 255}, ...],
     "links": {"link1": {"kind": "conv", "below": [1, 8, 8], "above": [32, 8, 8], "stride": 1, "padding": 2,
                         "pool_size": 1, "up_shift": 3, "down_shift": 0, "delay": 1, "synapses": ...}, ...,
               "readout": {...}},
     "placement": {"chip": "loihi1", "cores": [1, 2, ...], "units_per_core": 1024, "cores_per_chip": 128, "chips": 1},
     "learning": {"link1": {"obstacle": "..."}, "readout": {"dw": "4 * 2^-7 * u0 * (x1 - 1) * y1", ...}}}

A layer computes s <- clip(A >> exponent, 0, clip) of its accumulators A = (W s_below << up_shift) +
(W_above^T s_above << down_shift) + bias, and sends s where it is above the threshold. A delay is that of a synapse, in
time steps.
"""

from __future__ import annotations

from math import prod
from typing import Any

from hw.lava.three_factor.rule import OFFSET, TOP_CODE, TOP_FACTOR, engine_rule
from mapping.circuit import circuit_of
from mapping.export.loihi.settle import SCHEMA, VERSION
from mapping.placement.cores import Placement
from mapping.placement.synapses import synapses_of
from mapping.program import Program, ProgramLink

DELAY = 1
"""Time steps from a unit to what it is joined to: none beyond the one that every synapse takes."""
THRESHOLD = 0
"""A unit sends its code where it is above this, so that nothing is sent of a unit at rest at 0."""


def document_of(program: Program, placement: Placement) -> dict[str, Any]:
    """Of JSON types."""
    circuit = circuit_of(program)
    wires = [*circuit.wires, *(() if circuit.readout is None else (circuit.readout,))]
    layers = [
        {"units": prod(shape), "shape": list(shape), "exponent": exponent, "threshold": THRESHOLD, "clip": program.one}
        for shape, exponent in zip(circuit.layers[1:], program.exponents, strict=True)
    ]
    links = {}
    for (name, link), wire in zip(program.named_links().items(), wires, strict=True):
        geometry = {"kind": wire.kind, "below": list(wire.below), "above": list(wire.above), "stride": wire.stride}
        shifts = {"up_shift": wire.up_shift, "down_shift": wire.down_shift, "delay": DELAY}
        links[name] = {
            **geometry,
            "padding": wire.padding,
            "pool_size": wire.pool_size,
            **shifts,
            "synapses": synapses_of(link.operator(link.weight)),
        }
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "state_bits": program.state_bits,
        "one": program.one,
        "logit_scale": circuit.logit_scale,
        "layers": layers,
        "links": links,
        "placement": {
            "chip": placement.chip.name,
            "cores": list(placement.used),
            "units_per_core": placement.chip.units_per_core,
            "cores_per_chip": placement.chip.cores_per_chip,
            "chips": placement.chips,
        },
        "learning": {name: _learning(name, link) for name, link in program.named_links().items()},
    }


def _learning(name: str, link: ProgramLink) -> dict[str, Any]:
    """How the synapses of a link learn on the chip, as `hw.lava.three_factor` runs it, at its finest steps."""
    if link.kind == "conv":
        return {"obstacle": "synapses that share a weight: every synapse of Loihi learns for itself"}
    rule = engine_rule(2**-8 * TOP_CODE * TOP_FACTOR / 2, fixed=True)
    error = (
        "rate * c_k * s_above at the end of phase k, sum c_k = 0" if name != "readout" else "rate * (target - score)"
    )
    return {
        "rule": "Loihi3FLearningRule",
        "dw": rule.dw,
        "x1_tau": rule.tau,
        "graded_spike": "OVERWRITE",
        "payload": f"2 * (round(s_below * {rule.one}) + {OFFSET})",
        "y1": f"{error}, over {rule.one * rule.gain!r}, rounded at random to an even number",
        "y1_tau": rule.tau,
    }
