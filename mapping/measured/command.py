"""Bring measured conductances back:  python -m mapping.measured CHIP CELLS --unit uS --output DIR

CHIP is the folder of `mapping.export MODEL --to crossbar` that the chip was programmed from, CELLS a folder with a file
for every tile of it, `link1-1.csv` or `link1-1.npz` (`hw.crossbar.files.cells` says what is in them). DIR then stands
for the chip: `bench.run --backend crossbar --measured DIR` evaluates it, `bench.learn repair --measured DIR` repairs
it. The last line of output is DIR's export.json as one JSON document. Exit code 2 for what cannot be read, 1 for what
failed while it was written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from mapping.export.folder import check_folder, read_manifest, whole_folder, write_manifest

if TYPE_CHECKING:
    from hw.crossbar.devices.device import Array

FAR_OFF = 30.0
"""Times what was aimed at that a whole chip may conduct, or a share of one in so many, before its unit is doubted."""


@dataclass(frozen=True)
class MeasuredOptions:
    """Bring measured conductances back to the network that they were to hold."""

    chip: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CHIP")]]
    """Folder of `mapping.export --to crossbar` that the chip was programmed from."""
    cells: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CELLS")]]
    """Folder with a CSV or NPZ file for every tile."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder to write."""
    unit: Literal["S", "mS", "uS", "nS"] = "S"
    """Of the numbers in CELLS."""
    missing: Literal["refuse", "off", "target"] = "refuse"
    """Cells that were not measured: refuse them, take them for off and dead, or for devices at their target."""
    pictures: bool = True
    """Leave out the picture of every tile."""
    force: bool = False
    """Replace the folder that is there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(
        MeasuredOptions, args=arguments, prog="python -m mapping.measured", config=(tyro.conf.FlagCreatePairsOff,)
    )
    try:
        check_folder(options.output, options.force)
        about, layout = read_chip(options.chip)
        cells, targets = read_tiles(options, layout)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        manifest = write(options, about, layout, cells, targets)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130
    for name, link in manifest["links"].items():
        print(
            f"{name}: {link['cells']} cells, {link['missing']} not measured, error {link['mean_percent']:+.2f} % of "
            f"the range on average, {link['sd_percent']:.2f} % from cell to cell"
        )
    print(json.dumps({"folder": str(options.output), **manifest}))
    return 0


def read_chip(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """export.json and layout.json of the export that a chip was programmed from."""
    from mapping.measured.chip import LAYOUT

    manifest = read_manifest(folder)
    if manifest["format"] != "crossbar":
        raise ValueError(f"{folder} is an export to {manifest['format']!r}, expected one --to crossbar")
    return manifest, json.loads((folder / LAYOUT).read_text(encoding="utf-8"))


def read_tiles(options: MeasuredOptions, layout: dict[str, Any]) -> tuple[dict[str, Array], dict[str, Array]]:
    """By tile, what was measured and what was aimed at, in siemens; ValueError for what cannot be this chip."""
    import numpy as np

    from hw.crossbar.files.cells import read_cells

    if not options.cells.is_dir():
        raise ValueError(f"CELLS is {str(options.cells)!r}, expected a folder")
    cells, targets = {}, {}
    for tile in layout["tiles"]:
        name = tile["name"]
        with np.load(options.chip / "tiles" / f"{name}.npz") as file:
            targets[name] = file["target_s"]
        cells[name] = read_cells(options.cells, name, (tile["rows"], tile["columns"]), options.unit)
        unknown = np.argwhere(np.isnan(cells[name]))
        if len(unknown) and options.missing == "refuse":
            raise ValueError(
                f"{len(unknown)} cells of tile {name} were not measured, the first is row {unknown[0][0]}, column "
                f"{unknown[0][1]}: say what they are by --missing off (dead) or --missing target"
            )
    _check_unit(options.unit, cells, targets)
    return cells, targets


def _check_unit(unit: str, cells: dict[str, Array], targets: dict[str, Array]) -> None:
    """Refuse a chip that conducts so much more or less than it was to that the unit must be another one."""
    import numpy as np

    from hw.crossbar.files.cells import UNITS

    aimed = sum(float(targets[name][~np.isnan(each)].sum()) for name, each in cells.items())
    ratio = sum(float(np.nansum(each)) for each in cells.values()) / aimed if aimed else 1.0
    if ratio == 0:
        raise ValueError("no cell conducts at all: every value is 0 or missing")
    if not 1 / FAR_OFF < ratio < FAR_OFF:
        likely = min(UNITS, key=lambda other: abs(np.log(ratio * UNITS[other] / UNITS[unit])))
        raise ValueError(
            f"as {unit}, the cells conduct {ratio:.3g} times what they were to: with --unit {likely} it would be "
            f"{ratio * UNITS[likely] / UNITS[unit]:.3g}"
        )


def write(
    options: MeasuredOptions,
    about: dict[str, Any],
    layout: dict[str, Any],
    cells: dict[str, Array],
    targets: dict[str, Array],
) -> dict[str, Any]:
    """Write the folder; returns its export.json."""
    import numpy as np

    from hw.crossbar.files.pictures import draw_errors
    from mapping.export.crossbar.format import DEVICE_FILE
    from mapping.measured.chip import CELLS, FORMAT, LAYOUT

    range_s = layout["device"]["g_max_s"] - layout["device"]["g_min_s"]
    errors = {name: (cells[name] - targets[name]) / range_s for name in cells}
    with whole_folder(options.output) as folder:
        for file in (options.chip / LAYOUT, *options.chip.glob(f"{DEVICE_FILE}.*")):
            (folder / file.name).write_bytes(file.read_bytes())
        np.savez_compressed(folder / CELLS, **cells)
        for name, error in errors.items() if options.pictures else ():
            draw_errors(folder / f"{name}.png", name, error)
        told = {
            "format": FORMAT,
            "model": about["model"],
            "model_sha256": about["model_sha256"],
            "unit": options.unit,
            "missing": options.missing,
            "links": {link["name"]: _summary(link["name"], layout, errors) for link in layout["links"]},
        }
        return write_manifest(folder, told)


def _summary(link: str, layout: dict[str, Any], errors: dict[str, Array]) -> dict[str, Any]:
    """How far the cells of a link are from their targets, in percent of the range of the device."""
    import numpy as np

    all_of = np.concatenate([errors[tile["name"]].ravel() for tile in layout["tiles"] if tile["link"] == link])
    known = all_of[~np.isnan(all_of)]
    return {
        "cells": all_of.size,
        "missing": int(all_of.size - known.size),
        "mean_percent": 100 * float(known.mean()) if known.size else 0.0,
        "sd_percent": 100 * float(known.std()) if known.size else 0.0,
    }
