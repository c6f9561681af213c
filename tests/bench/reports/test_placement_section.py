"""The report of a run says which layer sits where, how full, and draws it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from bench.records.row import Row
from bench.reports.placement import draw_placement, draw_tiles, on_mesh, placement_section
from mapping.circuit import circuit_of
from mapping.placement.chip import LOIHI_1, Chip
from models.zoo import load_model


def placed_row(chip: Chip) -> Row:
    """As `LavaBackend` tells it."""
    circuit = circuit_of(load_model("digits"), chip)
    layers = [
        {"units": int(np.prod(shape)), **asdict(on)} for shape, on in zip(circuit.layers, circuit.placed, strict=True)
    ]
    return Row(
        "lava", "delta", "digits", "digits", 0, details={"lava": {"placement": {"chip": chip.name, "layers": layers}}}
    )


def test_the_table_names_every_layer_its_cores_and_how_full_they_are() -> None:
    lines = placement_section([Row("torch", "float", "digits", "digits", 0), placed_row(LOIHI_1)])
    text = "\n".join(lines)
    assert "12 cores of loihi1, 1 chip; weights one for every synapse" in text
    assert "| input | 64 | 1 | 0 to 0 | 6 % | 0 % | 0 % | 6 % |" in text
    # 2048 units of 32 channels of 8 x 8 on 6 cores: 384 units on the fullest, 313 synapses each
    assert "| layer 1 | 2,048 | 6 | 1 to 6 | 38 % | 92 % |" in text
    assert placement_section([Row("torch", "float", "digits", "digits", 0)]) == []


def test_tiles_of_four_cores_are_squares_of_the_mesh() -> None:
    columns, rows = on_mesh([0, 1, 2, 3, 4, 31, 32], "loihi1")
    assert columns.tolist() == [0, 1, 0, 1, 2, 15, 0]
    assert rows.tolist() == [0, 0, 1, 1, 0, 1, 2]
    columns, rows = on_mesh([0, 7, 8], "loihi2")
    assert (columns.tolist(), rows.tolist()) == ([0, 7, 0], [0, 0, 1])


def test_the_picture_shows_the_colours_of_all_layers(tmp_path: Path) -> None:
    draw_placement([placed_row(LOIHI_1)], tmp_path / "placement.png")
    colours = {colour for _, colour in Image.open(tmp_path / "placement.png").convert("RGB").getcolors(10**6) or []}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77), (0x22, 0x88, 0x33)} <= colours
    draw_placement([Row("torch", "float", "digits", "digits", 0)], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


TILES = {
    "links": ["link1", "readout"],
    "tiles": [2, 1],
    "rows": [128, 10],
    "columns": [64, 10],
    "hops": [[1.5, 0.0], [1.0, 1.5]],
    "network": "mesh",
    "buffer_bytes": [32768, 100],
}


def tiled_row() -> Row:
    """As `CrossbarBackend` tells it."""
    return Row("crossbar", "fixed", "m", "d", 0, point={"tile_size": 128}, details={"crossbar": {"tiles": TILES}})


def test_the_table_of_tiles_names_every_link_and_the_way_of_what_it_makes() -> None:
    text = "\n".join(placement_section([tiled_row()]))
    assert "3 tiles of 128 x 128 weights on a mesh of 2 x 2, 1 chip of" in text
    assert "| link1 | 2 | 0 to 1 | 128 x 64 | 50 % | 1.5 | - | 32,768 B, 50 % |" in text
    assert "| readout | 1 | 2 to 2 | 10 x 10 | 1 % | 1 | 1.5 | 100 B, 0 % |" in text


def test_tiles_behind_ideal_converters_have_no_bytes() -> None:
    row = tiled_row()
    row.details["crossbar"] = {"tiles": {**TILES, "buffer_bytes": []}}
    assert "| link1 | 2 | 0 to 1 | 128 x 64 | 50 % | 1.5 | - | - |" in "\n".join(placement_section([row]))


def test_the_picture_of_tiles_shows_the_colours_of_all_links(tmp_path: Path) -> None:
    draw_tiles([tiled_row()], tmp_path / "tiles.png")
    colours = {colour for _, colour in Image.open(tmp_path / "tiles.png").convert("RGB").getcolors(10**6) or []}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)} <= colours
    draw_tiles([Row("torch", "float", "digits", "digits", 0)], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
