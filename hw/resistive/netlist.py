"""A resistive network as a SPICE netlist: every resistor, diode and amplifier, for one input.

Node k of layer l is u<l>_<k>, and a<l>_<k> what it puts out: a source of the amplifier's gain, whose current Vs<l>_<k>
measures, and a source that takes it from the node. A minus rail is m<l>_<k>, a source of the same voltage turned round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hw.resistive.diodes import Ideal, Junction
from hw.resistive.links import Array, unrolled
from hw.resistive.network import ResistiveNetwork

OPTIONS = ".options reltol=1e-6 abstol=1e-16 vntol=1e-12 gmin=1e-18 itl1=1000 itl4=200 temp=27 tnom=27"
IDEAL_OHM = 1e-6
"""Of an ideal diode that conducts: SPICE needs some, and at currents of uA this is 1e-12 V."""
MOST_RESISTORS = 200_000
"""Beyond, SPICE takes hours."""


def netlist(
    network: ResistiveNetwork, inputs: Array, analysis: str, capacitance_f: Sequence[Array] | None = None
) -> str:
    """The network under `inputs` (inputs,) in units of `input_v`; `analysis` is a line of SPICE such as "op".

    With `capacitance_f`, (units,) of every layer, nodes have capacitors that start empty.

    Raises ValueError for a network of more than `MOST_RESISTORS`.
    """
    if network.resistors > MOST_RESISTORS:
        raise ValueError(
            f"{network.resistors:,} resistors: SPICE takes hours beyond {MOST_RESISTORS:,}, use a smaller network"
        )
    lines = ["* deep resistive network", *_models(network), OPTIONS]
    for j, volts in enumerate(network.input_v * np.asarray(inputs, np.float64).ravel()):
        lines.append(f"Vx{j} a0_{j} 0 {float(volts)!r}")
        if network.links[0].minus_s is not None:
            lines.append(f"Vy{j} m0_{j} 0 {-float(volts)!r}")
    for number in range(1, len(network.links) + 1):
        lines += _link(network, number)
        lines += _nodes(network, number)
        if number < len(network.links):
            lines += _outputs(network, number)
        if capacitance_f is not None:
            values = capacitance_f[number - 1]
            lines += [f"C{number}_{k} u{number}_{k} 0 {float(c)!r} IC=0" for k, c in enumerate(values)]
    return "\n".join(
        [*lines, ".control", "set filetype=binary", analysis, "write out.raw", "quit", ".endc", ".end", ""]
    )


def _models(network: ResistiveNetwork) -> list[str]:
    diode = network.diode
    if isinstance(diode, Junction):
        series = f" RS={diode.series_ohm!r}" if diode.series_ohm else ""
        return [f".model held D(IS={diode.saturation_a!r} N={diode.emission!r}{series} EG=1.11 XTI=3)"]
    ohm, volts = (IDEAL_OHM, 0.0) if isinstance(diode, Ideal) else (diode.series_ohm, diode.knee_v)  # type: ignore[attr-defined]
    return [f".model held sidiode(Ron={ohm!r} Roff=1e15 Vfwd={volts!r} Vrev=1e9)"]


def _link(network: ResistiveNetwork, number: int) -> Iterator[str]:
    link = unrolled(network.links[number - 1])
    for rail, matrix in (("a", link.plus_s), ("m", link.minus_s)):
        if matrix is None:
            continue
        for k, j in np.argwhere(matrix > 0):
            yield f"R{rail}{number}_{k}_{j} {rail}{number - 1}_{j} u{number}_{k} {1 / float(matrix[k, j])!r}"


def _nodes(network: ResistiveNetwork, number: int) -> Iterator[str]:
    layer, kind = network.layers[number - 1], "D" if isinstance(network.diode, Junction) else "A"
    for k in range(len(layer.low_v)):
        node = f"u{number}_{k}"
        if layer.leak_s[k] > 0:
            yield f"Rl{number}_{k} {node} 0 {1 / float(layer.leak_s[k])!r}"
        if layer.bias_a[k]:
            yield f"Ib{number}_{k} 0 {node} {float(layer.bias_a[k])!r}"
        for side, volts in (("l", float(layer.low_v[k])), ("h", float(layer.high_v[k]))):
            if not np.isfinite(volts):
                continue
            end = "0"
            if volts:
                end = f"{side}{number}_{k}"
                yield f"Vb{side}{number}_{k} {end} 0 {volts!r}"
            ends = f"{end} {node}" if side == "l" else f"{node} {end}"
            yield f"{kind}{side}{number}_{k} {ends} held"


def _outputs(network: ResistiveNetwork, number: int) -> Iterator[str]:
    row = network.amplifiers[number - 1]
    minus = network.links[number].minus_s is not None
    for k in range(network.units[number - 1]):
        gain, back, offset = (1.0, 1.0, 0.0) if row is None else (row.gain[k], row.back[k], row.offset_v[k])
        node, name = f"u{number}_{k}", f"{number}_{k}"
        if row is None and not minus:
            yield f"Vs{name} {node} a{name} 0"
            continue
        inside = node
        if offset:
            inside = f"o{name}"
            yield f"Vo{name} {inside} {node} {float(offset)!r}"
        if row is not None and row.bandwidth_hz is not None:
            tau_s = 1 / (2 * np.pi * row.bandwidth_hz)
            yield f"Eb{name} p{name} 0 {inside} 0 1"
            yield f"Rb{name} p{name} q{name} 1"
            yield f"Cb{name} q{name} 0 {tau_s!r} IC=0"
            inside = f"q{name}"
        yield f"E{name} e{name} 0 {inside} 0 {float(gain)!r}"
        yield f"Vs{name} e{name} a{name} 0"
        yield f"F{name} {node} 0 Vs{name} {float(back)!r}"
        if minus:
            yield f"Em{name} n{name} 0 {inside} 0 {-float(gain)!r}"
            yield f"Vm{name} n{name} m{name} 0"
            yield f"Fm{name} {node} 0 Vm{name} {-float(back)!r}"
