"""C99 for any microcontroller, processor beside an FPGA, or test bench: arrays, and a reference loop.

`sizes.h` and `network.h` are written here, of the program; `settle.h`, `settle.c` and `main.c` lie beside this file and
are the same for every network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapping.export.format import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hw.circuit import Circuit, Wire
    from mapping.export.source import Source

SAME_FOR_ALL = ("settle.h", "settle.c", "main.c")
PER_LINE = 16


@dataclass(frozen=True)
class CFormat(Format):
    """`cc -O2 settle.c main.c` and you settle images."""

    name: ClassVar[str] = "c"
    purpose: ClassVar[str] = "const int8_t arrays and a reference loop in portable C99, for any processor"

    def obstacle(self, source: Source) -> str | None:
        """Integers hold chains and sums."""
        from mapping.export.source import no_integers

        return no_integers(source)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The headers and the loop; export.json gets the factor from scores to logits, and the bytes it takes."""
        from mapping.circuit import circuit_of
        from mapping.export.source import model_name

        circuit = circuit_of(source.program)
        (folder / "sizes.h").write_text(sizes_header(circuit, model_name(source.model)), encoding="utf-8")
        (folder / "network.h").write_text(network_header(circuit), encoding="utf-8")
        for name in SAME_FOR_ALL:
            (folder / name).write_bytes((Path(__file__).parent / name).read_bytes())
        units = _units(circuit)
        weights = sum(wire.weight.size for wire in _wires(circuit))
        biases = sum(len(bias) for bias in _biases(circuit))
        memory = {"constant": weights + 4 * biases, "working": 5 * sum(units) + 4 * circuit.classes}
        return {"logit_scale": circuit.logit_scale, "bytes": memory}


def sizes_header(circuit: Circuit, model: str) -> str:
    """sizes.h of a circuit of integers: what the caller of the loop must know."""
    units = _units(circuit)
    constants = {
        "EP_ONE": circuit.neuron.one,
        "EP_LINKS": len(circuit.wires),
        "EP_READOUT": int(circuit.readout is not None),
        "EP_INPUTS": units[0],
        "EP_UNITS": sum(units),
        "EP_LAST": units[-1],
        "EP_CLASSES": circuit.classes,
    }
    lines = [f"/* {model}: logits are scores * {circuit.logit_scale!r}. */", *_guarded("EP_SIZES_H")]
    return "\n".join([*lines, *(f"#define {name} {value}" for name, value in constants.items()), "", "#endif", ""])


def network_header(circuit: Circuit) -> str:
    """network.h of a circuit of integers: every number, for settle.c alone."""
    from hw.circuit import FixedNeuron

    assert isinstance(circuit.neuron, FixedNeuron)
    names = [f"link{index}" for index in range(1, len(circuit.wires) + 1)] + ["readout"]
    exponents = [*circuit.neuron.exponents, 0]
    lines = [*_guarded("EP_NETWORK_H"), '#include "settle.h"']
    rows = []
    for name, wire, bias, exponent in zip(names, _wires(circuit), _biases(circuit), exponents, strict=False):
        lines += ["", f"/* {wire!r} */", *_array("int8_t", f"{name}_weight", wire.weight)]
        lines += _array("int32_t", f"{name}_bias", bias.astype("int32"))
        rows.append(
            f"{{{name}_weight, {name}_bias, {_geometry(wire)}, {wire.up_shift}, {wire.down_shift}, {exponent}}}"
        )
    count = len(circuit.wires)
    lines += ["", f"static const ep_link ep_links[{count}] = {{", *(f"    {row}," for row in rows[:count]), "};"]
    lines += [f"static const ep_link ep_readout = {row};" for row in rows[count:]]
    return "\n".join([*lines, "", "#endif", ""])


def _guarded(name: str) -> list[str]:
    return [f"#ifndef {name}", f"#define {name}", ""]


def _array(kind: str, name: str, values: NDArray[Any]) -> list[str]:
    """One C array, flat: the shape is that of the wire."""
    numbers = list(map(str, values.ravel().tolist()))
    rows = [", ".join(numbers[first : first + PER_LINE]) for first in range(0, len(numbers), PER_LINE)]
    return [f"static const {kind} {name}[{values.size}] = {{", *(f"    {row}," for row in rows), "};"]


def _geometry(wire: Wire) -> str:
    """below, above, rows, columns, stride, padding, pool: a dense wire is a kernel over all that is below."""
    below, above = ([*shape, 1, 1][:3] for shape in (wire.below, wire.above))
    rows, columns = wire.weight.shape[2:] if wire.kind == "conv" else below[1:]
    shapes = ", ".join("{" + ", ".join(map(str, shape)) + "}" for shape in (below, above))
    return f"{shapes}, {rows}, {columns}, {wire.stride}, {wire.padding}, {wire.pool_size}"


def _wires(circuit: Circuit) -> list[Wire]:
    return [*circuit.wires, *([] if circuit.readout is None else [circuit.readout])]


def _biases(circuit: Circuit) -> list[NDArray[np.generic]]:
    return [bias.ravel() for bias in (*circuit.biases, *([] if circuit.readout is None else [circuit.readout_bias]))]


def _units(circuit: Circuit) -> list[int]:
    from math import prod

    return [prod(shape) for shape in circuit.layers]
