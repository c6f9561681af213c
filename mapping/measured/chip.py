"""A measured chip: what its devices conduct, and how it is put on a simulated die."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hw.crossbar.devices.device import Array
from hw.crossbar.files.layout import named_tiles
from hw.crossbar.machine import Crossbar
from mapping.export.crossbar.format import DEVICE_FILE
from mapping.export.folder import read_manifest

FORMAT = "measured"
LAYOUT, CELLS = "layout.json", "cells.npz"
Missing = Literal["refuse", "off", "target"]


@dataclass(frozen=True)
class Chip:
    """Conductances of every cell of every tile, and what they were to be."""

    folder: Path
    model: str
    """The network that the chip was programmed with, as the export names it."""
    model_sha256: str
    layout: dict[str, Any]
    cells_s: dict[str, Array]
    """By tile, (rows, columns) siemens; NaN where a cell was not measured."""
    missing: Missing
    """What a cell that was not measured is taken for."""

    @property
    def device(self) -> str:
        """Its device: the name of a preset, or the file that went with the export."""
        files = sorted(self.folder.glob(f"{DEVICE_FILE}.*"))
        return str(files[0]) if files else str(self.layout["device"]["name"])


def load_chip(folder: Path) -> Chip:
    """What `python -m mapping.measured` wrote; ValueError names the file and what is wrong in it."""
    manifest = read_manifest(folder)
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{folder} is an export to {manifest.get('format')!r}: expected what mapping.measured wrote")
    layout = json.loads((folder / LAYOUT).read_text(encoding="utf-8"))
    with np.load(folder / CELLS) as file:
        cells_s = {name: file[name] for name in file.files}
    return Chip(folder, manifest["model"], manifest["model_sha256"], layout, cells_s, manifest["missing"])


def put_on(machine: Crossbar, chip: Chip) -> None:
    """Give the devices of a die, just programmed with the network of the chip, what was measured on the chip.

    Time counts from the measurement. Cells that were not measured conduct nothing and cannot be written where `missing`
    is "off", and are at their target where it is "target". Raises ValueError for a die of other tiles.
    """
    ours = {name: placed.tile.array.target_s.shape for name, _, _, placed in named_tiles(machine)}
    theirs = {name: cells.shape for name, cells in chip.cells_s.items()}
    if ours != theirs:
        name = next(name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name))
        raise ValueError(
            f"{chip.folder} has the tile {name} as {theirs.get(name)}, this network on this chip as {ours.get(name)}"
        )
    for name, link, _, placed in named_tiles(machine):
        array, cells_s = placed.tile.array, chip.cells_s[name]
        unknown = np.isnan(cells_s)
        off = unknown & (chip.missing == "off")
        reached_s = np.where(off, 0.0, np.where(unknown, array.target_s, cells_s))
        stuck_s = np.where(off, 0.0, np.nan)
        measured = replace(array, programmed_s=reached_s, resting_s=reached_s, stuck_s=stuck_s)
        machine.links[machine.names.index(link)].matrix.write(placed, measured)
