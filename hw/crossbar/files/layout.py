"""What a chip is like: its device, tiles and converters, and which part of which link sits on which tile, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hw.circuit import Wire
from hw.crossbar.devices.device import Device
from hw.crossbar.machine import Crossbar
from hw.crossbar.tiles.converters import Adc, RoundingAdc
from hw.crossbar.tiles.matrix import Placed

ENCODINGS = {
    "pair": "G+ = g_min + max(w, 0) / weight_per_siemens, G- = g_min + max(-w, 0) / weight_per_siemens; "
    "w = weight_per_siemens (G+ - G-); I+ - I- is converted; the transposed read drives G- with minus the voltage",
    "balanced": "G+- = (g_min + g_max) / 2 +- w / (2 weight_per_siemens); w = weight_per_siemens (G+ - G-); I+ - I- is "
    "converted; the transposed read drives G- with minus the voltage",
    "offset": "G = (g_min + g_max) / 2 + w / weight_per_siemens; w = weight_per_siemens (G - G of the last column), "
    "whose current is subtracted before conversion; the last row does the same for the transposed read",
}
"""How a weight w is held, by encoding."""


def named_tiles(machine: Crossbar) -> Iterator[tuple[str, str, Wire, Placed]]:
    """(name of the tile, of its link, wire, tile) of every tile: link1-1, link1-2, ..., readout-1."""
    for name, link in zip(machine.names, machine.links, strict=True):
        for number, placed in enumerate(link.matrix.placed, start=1):
            yield f"{name}-{number}", name, link.wire, placed


def layout_of(machine: Crossbar) -> dict[str, Any]:
    """The chip, its links and tiles, of JSON types."""
    design = machine.design
    return {
        "device": _device(machine.device),
        "encoding": {"name": design.encoding, "means": ENCODINGS[design.encoding]},
        "tile": {"rows": design.rows, "columns": design.columns},
        "weight_bits": design.weight_bits,
        "cell_bits": design.cell_bits,
        "converters": {
            "input_bits": design.input_bits,
            "slice_bits": design.slice_bits,
            "adc_bits": design.adc_bits,
            "means": "an input x in [-1, 1] is the voltage x * read_v, rounded to 2**input_bits - 1 levels of [0, 1]; "
            "a converter rounds weight_per_siemens * I / read_v to 2**adc_bits - 1 levels of [-adc_range, adc_range]",
        },
        "links": [_link(name, machine, index) for index, name in enumerate(machine.names)],
        "tiles": [_tile(name, link, placed) for name, link, _, placed in named_tiles(machine)],
    }


def _device(device: Device) -> dict[str, Any]:
    named = {key: getattr(device, key) for key in ("name", "source", "g_min_s", "g_max_s", "read_v", "read_s")}
    pulses = device.pulses
    return named | {
        "pulse_v": None if pulses is None else pulses.voltage_v,
        "pulse_s": None if pulses is None else pulses.width_s,
    }


def _link(name: str, machine: Crossbar, index: int) -> dict[str, Any]:
    link = machine.links[index]
    wire = link.wire
    return {
        "name": name,
        "kind": wire.kind,
        "weight": list(wire.weight.shape),
        "below": list(wire.below),
        "above": list(wire.above),
        "stride": wire.stride,
        "padding": wire.padding,
        "pooling": wire.pooling,
        "pool_size": wire.pool_size,
        "largest_weight": link.matrix.largest,
    }


def _tile(name: str, link: str, placed: Placed) -> dict[str, Any]:
    tile = placed.tile
    rows, columns = tile.array.target_s.shape
    return {
        "name": name,
        "link": link,
        "rows": rows,
        "columns": columns,
        "outputs": [placed.outputs.start, placed.outputs.stop],
        "inputs": [placed.inputs.start, placed.inputs.stop],
        "weight_per_siemens": tile.scale,
        "significance": placed.significance,
        "adc_range_up": _range(tile.adc_up),
        "adc_range_down": _range(tile.adc_down),
    }


def _range(adc: Adc) -> float | None:
    return adc.full_scale if isinstance(adc, RoundingAdc) else None
