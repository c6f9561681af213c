"""What a network takes of a chip on each machine: cores, tiles and the fullest of their buffers, or resistors."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from bench.reports.format import NOTHING
from bench.reports.placement import LIMITS, name_of
from mapping.placement.chip import CHIPS
from mapping.placement.cores import in_chips
from mapping.placement.tiles import BUFFER_BYTES, TILES_PER_CHIP

HEADING = ("network", "machine", "takes", "fullest")


def place_of(details: Mapping[str, Any] | None) -> dict[str, str] | None:
    """In words, of what a backend tells of its machine; None of machines that have no places."""
    if details and "placement" in details:
        return _on_cores(details["placement"])
    if details and "tiles" in details:
        return _on_tiles(details["tiles"])
    if details and (dies := details.get("dies")) and "resistors" in dies[0]:
        return {"takes": f"{dies[0]['resistors']:,} resistors between {dies[0]['nodes']:,} nodes", "fullest": NOTHING}
    return None


def _on_cores(placed: Mapping[str, Any]) -> dict[str, str]:
    layers, chip = placed["layers"], CHIPS[placed["chip"]]
    cores = sum(layer["cores"] for layer in layers)
    share, layer, limit = max(
        (share, number, name) for number, layer in enumerate(layers) for name, share in layer["full"].items()
    )
    return {
        "takes": f"{cores:,} cores of {chip.name}, {in_chips(ceil(cores / chip.cores_per_chip))}",
        "fullest": f"{LIMITS[limit]} of {name_of(layer)}, {100 * share:.0f} %",
    }


def _on_tiles(tiles: Mapping[str, Any]) -> dict[str, str]:
    count, held = sum(tiles["tiles"]), tiles["buffer_bytes"]
    most = max(zip(held, tiles["links"], strict=True), default=None) if held else None
    return {
        "takes": f"{count:,} tiles on a {tiles['network']}, {in_chips(ceil(count / TILES_PER_CHIP))}",
        "fullest": "no buffer: ideal converters"
        if most is None
        else f"buffer of {most[1]}, {most[0]:,} of {BUFFER_BYTES:,} bytes, {100 * most[0] / BUFFER_BYTES:.0f} %",
    }
