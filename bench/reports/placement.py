"""Which layer sits where: on the cores of a chip, a table and a picture of the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from bench.records.row import Row
from bench.reports.colours import MANY_COLOURS
from bench.reports.figures import new_figure, save_figure, tiles_of
from bench.reports.format import NOTHING, markdown
from hw.crossbar.mesh import places, side
from mapping.placement.chip import CHIPS
from mapping.placement.cores import in_chips
from mapping.placement.tiles import BUFFER_BYTES, TILES_PER_CHIP

PICTURE, TILES_PICTURE = "placement.png", "tiles.png"
LIMITS = {"units": "units", "bytes": "weights", "axons_in": "axons in", "axons_out": "axons out"}
"""Of a core, and as a heading."""
MOST_CHIPS_DRAWN = 8


def placement_of(rows: Sequence[Row]) -> Mapping[str, Any] | None:
    """Of the first machine that sits on cores; all rows of a run sit there alike."""
    found = (row.details.get(row.backend, {}).get("placement") for row in rows)
    return next((one for one in found if one), None)


def placement_section(rows: Sequence[Row]) -> list[str]:
    """Where layers sit on cores, and links on tiles; nothing where no machine has either."""
    lines = [*_cores_lines(rows), *_tiles_lines(rows)]
    return ["## Where it sits", "", *lines, "## What it costs", ""] if lines else []


def _tiles_lines(rows: Sequence[Row]) -> list[str]:
    """A table of links, with how full their largest tile is and how far what they make travels."""
    row = tiled_row(rows)
    if row is None or row.point is None:
        return []
    tiles, size = tiles_of(row), int(row.point["tile_size"])
    counts, total = tiles["tiles"], sum(tiles["tiles"])
    lines = [
        [
            name,
            str(count),
            f"{sum(counts[:number])} to {sum(counts[: number + 1]) - 1}",
            f"{rows_} x {columns}",
            f"{100 * rows_ * columns / size**2:.0f} %",
            f"{up:.3g}",
            f"{down:.3g}" if down else NOTHING,
            f"{held:,} B, {100 * held / BUFFER_BYTES:.0f} %" if held is not None else NOTHING,
        ]
        for number, (name, count, rows_, columns, (up, down), held) in enumerate(
            zip(tiles["links"], counts, tiles["rows"], tiles["columns"], tiles["hops"], _buffers(tiles), strict=True)
        )
    ]
    where = f"a mesh of {side(counts)} x {side(counts)}" if tiles["network"] == "mesh" else "a bus"
    return [
        f"{total:,} tiles of {size} x {size} weights on {where}, {in_chips(ceil(total / TILES_PER_CHIP))} of",
        f"{TILES_PER_CHIP} tiles, as HERMES has. Hops: routers, or buses, that what a link makes passes on its way.",
        f"Buffer: states that each tile keeps, and how full that makes the {BUFFER_BYTES:,} bytes of a tile of ISAAC.",
        "",
        *markdown(["link", "tiles", "which", "largest", "full", "hops up", "hops down", "buffer"], lines),
        "",
        f"![Links on the tiles]({TILES_PICTURE})",
        "",
    ]


def _buffers(tiles: Mapping[str, Any]) -> list[int | None]:
    """Bytes of every link; None behind ideal converters, and in rows of before they were told."""
    return list(tiles.get("buffer_bytes") or [None] * len(tiles["links"]))


def tiled_row(rows: Sequence[Row]) -> Row | None:
    """The first that sits on tiles and says where."""
    return next((row for row in rows if tiles_of(row).get("hops") and row.point), None)


def draw_tiles(rows: Sequence[Row], file: Path) -> None:
    """The mesh of tiles, a square for each, coloured by link; nothing where no machine has tiles."""
    row = tiled_row(rows)
    if row is None:
        return
    tiles = tiles_of(row)
    counts, across = tiles["tiles"], side(tiles["tiles"])
    figure = new_figure(0.25 * across + 2.2, 0.25 * across + 1.2)
    axes = figure.subplots()
    axes.set(xlim=(0, across), ylim=(across, 0), aspect="equal", xticks=[], yticks=[])
    axes.set_facecolor("#f4f4f4")
    named = []
    for index, (link, count) in enumerate(zip(tiles["links"], counts, strict=True)):
        column, down = places(counts, index)
        colour = MANY_COLOURS[index % len(MANY_COLOURS)]
        axes.bar(column + 0.5, 0.9, 0.9, down + 0.05, color=colour)
        named.append(Patch(color=colour, label=f"{link}: {count} tiles"))
    axes.set_title(f"{row.model} on {sum(counts):,} tiles")
    figure.legend(handles=named, loc="outside lower center", fontsize="small")
    save_figure(figure, file)


def _cores_lines(rows: Sequence[Row]) -> list[str]:
    """A table of layers, with how full their fullest core is, and the picture."""
    placed = placement_of(rows)
    if placed is None:
        return []
    chip, layers = CHIPS[placed["chip"]], placed["layers"]
    total = sum(layer["cores"] for layer in layers)
    lines = [
        [
            name_of(number),
            f"{layer['units']:,}",
            str(layer["cores"]),
            f"{layer['first']} to {layer['first'] + layer['cores'] - 1}",
            *(f"{100 * layer['full'][limit]:.0f} %" if limit in layer["full"] else NOTHING for limit in LIMITS),
        ]
        for number, layer in enumerate(layers)
    ]
    weights = "stored once for all places of a map" if chip.shares_weights else "one for every synapse"
    return [
        f"{total:,} cores of {placed['chip']}, {in_chips(ceil(total / chip.cores_per_chip))}; weights {weights}.",
        "How full the fullest core of every layer is, of each limit that is published:",
        "",
        *markdown(["layer", "units", "cores", "which", *LIMITS.values()], lines),
        "",
        f"![Layers on the mesh]({PICTURE})",
        "",
    ]


def name_of(layer: int) -> str:
    """Of a layer of a network."""
    return f"layer {layer}" if layer else "input"


def draw_placement(rows: Sequence[Row], file: Path) -> None:
    """The mesh of every chip, a square for each core: its layer by colour, how full it is by how dark it is."""
    placed = placement_of(rows)
    if placed is None:
        return
    chip, layers = CHIPS[placed["chip"]], placed["layers"]
    total = sum(layer["cores"] for layer in layers)
    chips = min(ceil(total / chip.cores_per_chip), MOST_CHIPS_DRAWN)
    across = chip.tiles_per_row * (2 if chip.cores_per_tile > 1 else 1)
    down = chip.cores_per_chip // across
    figure = new_figure(0.25 * across * chips + 1.6, 0.25 * down + 1.2)
    for number, axes in enumerate(np.atleast_1d(figure.subplots(1, chips))):
        axes.set(xlim=(0, across), ylim=(down, 0), aspect="equal", xticks=[], yticks=[], title=f"chip {number}")
        axes.set_facecolor("#f4f4f4")
        for index, layer in enumerate(layers):
            mine = np.arange(layer["first"], layer["first"] + layer["cores"]) - number * chip.cores_per_chip
            mine = mine[(mine >= 0) & (mine < chip.cores_per_chip)]
            column, row = on_mesh(mine, placed["chip"])
            full = min(1.0, max(layer["full"].values(), default=1.0))
            colour = MANY_COLOURS[index % len(MANY_COLOURS)]
            axes.bar(column + 0.5, 0.9, 0.9, row + 0.05, color=colour, alpha=0.3 + 0.7 * full)
    figure.suptitle(f"{rows[0].model} on {total:,} cores of {placed['chip']}", fontsize="large")
    named = [
        Patch(color=MANY_COLOURS[index % len(MANY_COLOURS)], label=f"{name_of(index)}: {layer['cores']} cores")
        for index, layer in enumerate(layers)
    ]
    figure.legend(handles=named, loc="outside lower center", ncols=max(1, chips), fontsize="small")
    save_figure(figure, file)


def on_mesh(cores: Any, chip: str) -> tuple[Any, Any]:
    """Column and row of every core of a chip; four cores of one tile are a square of two by two."""
    kind, cores = CHIPS[chip], np.asarray(cores)
    tile, inside = cores // kind.cores_per_tile, cores % kind.cores_per_tile
    column, row = tile % kind.tiles_per_row, tile // kind.tiles_per_row
    if kind.cores_per_tile == 1:
        return column, row
    return 2 * column + inside % 2, 2 * row + inside // 2
