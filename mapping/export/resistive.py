"""The fully analog circuit: every resistor, every node, and a netlist for SPICE."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapping.export.format import Format

if TYPE_CHECKING:
    from hw.resistive.network import ResistiveNetwork
    from mapping.export.source import Source


@dataclass(frozen=True)
class ResistiveFormat(Format):
    """`resistors.csv` (link, rail, node above, node below, siemens), `nodes.csv` (layer, node, voltages of its diodes,
    leak, bias current, capacity, amplifier) and, where SPICE can hold it, `network.cir`: the point of rest of the first
    training image, which `ngspice -b network.cir` finds.
    """

    name: ClassVar[str] = "resistive"
    purpose: ClassVar[str] = "every resistor and node of the fully analog circuit: CSV, and a netlist"

    def obstacle(self, source: Source) -> str | None:
        """Layers that drive each other by less than 1, without maxima and residual links."""
        from mapping.export.source import no_chain, no_floats
        from mapping.resistive import NotResistiveError, resistive_of

        if (known := no_floats(source) or no_chain(source)) is not None:
            return known
        try:
            resistive_of(source.network)
        except NotResistiveError as error:
            return str(error)
        return None

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The tables, and the netlist."""
        from hw.resistive.netlist import MOST_RESISTORS, netlist
        from hw.resistive.parasitics import Parasitics, node_capacities
        from mapping.resistive import resistive_of

        network = resistive_of(source.network).network
        farad = [layer.tolist() for layer in node_capacities(network, Parasitics())]
        _table(folder / "resistors.csv", ("link", "rail", "above", "below", "siemens"), _resistors(network))
        _table(folder / "nodes.csv", NODE_FIELDS, _nodes(network, farad))
        spice = network.resistors <= MOST_RESISTORS
        if spice:
            shown = source.images(1)[0].double().numpy()
            (folder / "network.cir").write_text(netlist(network, shown, "op"), encoding="utf-8")
        return {
            "input_v": network.input_v,
            "resistors": network.resistors,
            "nodes": sum(network.units),
            "netlist_of": "the first training image" if spice else None,
        }


NODE_FIELDS = ("layer", "node", "low_v", "high_v", "leak_s", "bias_a", "capacity_f", "gain", "back", "offset_v")


def _resistors(network: ResistiveNetwork) -> Iterator[Sequence[object]]:
    import numpy as np

    from hw.resistive.links import unrolled

    for number, shared in enumerate(network.links, start=1):
        link = unrolled(shared)
        for rail, g in (("plus", link.plus_s), ("minus", link.minus_s)):
            if g is not None:
                for above, below in np.argwhere(g > 0):
                    yield number, rail, above, below, repr(float(g[above, below]))


def _nodes(network: ResistiveNetwork, farad: Sequence[Sequence[float]]) -> Iterator[Sequence[object]]:
    """A diode or an amplifier that is not there is an empty cell."""
    rows = (*network.amplifiers, None)
    for number, (layer, row, capacities) in enumerate(zip(network.layers, rows, farad, strict=True), start=1):
        for k, capacity in enumerate(capacities):
            held = [float(layer.low_v[k]), float(layer.high_v[k])]
            diodes = ["" if abs(volts) == float("inf") else repr(volts) for volts in held]
            amplifier = ["", "", ""] if row is None else [float(one[k]) for one in (row.gain, row.back, row.offset_v)]
            yield number, k, *diodes, float(layer.leak_s[k]), float(layer.bias_a[k]), capacity, *amplifier


def _table(file: Path, fields: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(fields)
        writer.writerows(rows)
