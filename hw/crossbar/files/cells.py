"""Conductances that were measured on the tiles of a chip, one file per tile, as CSV or NPZ.

- `TILE.npz`: the array `measured` (rows, columns); NaN marks a cell that was not measured.
- `TILE.csv`: the same matrix as numbers, or a table with the header `row,column,measured` and a line for every cell; an
  empty field or `nan` marks a cell that was not measured.
"""

from __future__ import annotations

import csv
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from hw.crossbar.devices.device import Array
from hw.crossbar.files.layout import named_tiles
from hw.crossbar.machine import Crossbar

COLUMNS = ("row", "column", "measured")
UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9}
"""Siemens in one of each."""


def write_cells(machine: Crossbar, folder: Path) -> None:
    """What the devices of a die conduct now, in siemens: a matrix in a CSV file for every tile.

    What a lab would measure, without an error of its own: for rehearsing, and to carry a simulated die elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, _, placed in named_tiles(machine):
        lines = [",".join(map(repr, row)) for row in placed.tile.array.conductance_s().tolist()]
        (folder / f"{name}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def read_cells(folder: Path, name: str, shape: tuple[int, int], unit: str) -> Array:
    """(rows, columns) siemens of a tile, NaN where a cell was not measured.

    Raises ValueError, naming the file, the cell and the value, for a file that is missing or is there twice, another
    shape, what is no number, and conductances that are negative or infinite.
    """
    files = [path for path in (folder / f"{name}.npz", folder / f"{name}.csv") if path.is_file()]
    if len(files) != 1:
        found = "both are there" if files else "neither is there"
        raise ValueError(f"{folder}: expected {name}.csv or {name}.npz for tile {name}, {found}")
    (path,) = files
    cells = _from_npz(path) if path.suffix == ".npz" else _from_csv(path, shape)
    if cells.shape != shape:
        raise ValueError(f"{path} has the shape {cells.shape}, the tile has {shape[0]} rows and {shape[1]} columns")
    wrong = np.argwhere((cells < 0) | np.isinf(cells))
    if len(wrong):
        row, column = (int(index) for index in wrong[0])
        raise ValueError(
            f"{path}: row {row}, column {column} is {cells[row, column]:g} {unit}: a conductance is a number from 0; "
            "leave the field empty where the cell could not be measured"
        )
    return cells * UNITS[unit]


def _from_npz(path: Path) -> Array:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no NPZ file: {error}") from None
    if "measured" not in arrays:
        raise ValueError(f"{path} holds {', '.join(arrays) or 'nothing'}, expected an array 'measured'")
    cells = arrays["measured"]
    if cells.dtype.kind not in "fiu":
        raise ValueError(f"{path}: measured is of {cells.dtype}, expected numbers")
    return cells.astype(np.float64)


def _from_csv(path: Path, shape: tuple[int, int]) -> Array:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise ValueError(f"{path} is empty")
    if [field.strip() for field in lines[0]] == [*COLUMNS]:
        return _from_table(path, lines[1:], shape)
    if len({len(line) for line in lines}) > 1:
        short = next(number for number, line in enumerate(lines, 1) if len(line) != len(lines[0]))
        raise ValueError(f"{path}: line {short} has {len(lines[short - 1])} fields, the first has {len(lines[0])}")
    return np.array([[_number(path, number, field) for field in line] for number, line in enumerate(lines, 1)])


def _from_table(path: Path, lines: list[list[str]], shape: tuple[int, int]) -> Array:
    cells, seen = np.full(shape, np.nan), np.zeros(shape, bool)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(COLUMNS):
            raise ValueError(f"{path}: line {number} has {len(line)} fields, expected {','.join(COLUMNS)}")
        try:
            row, column = int(line[0]), int(line[1])
        except ValueError:
            raise ValueError(f"{path}: line {number} is of cell {line[:2]}, expected two integers") from None
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            raise ValueError(
                f"{path}: line {number} is of row {row}, column {column}; the tile has {shape[0]} rows and "
                f"{shape[1]} columns, from 0"
            )
        if seen[row, column]:
            raise ValueError(f"{path}: line {number} is of row {row}, column {column}, as a line before")
        seen[row, column], cells[row, column] = True, _number(path, number, line[2])
    if not seen.all():
        row, column = (int(index) for index in np.argwhere(~seen)[0])
        raise ValueError(
            f"{path} has no line of row {row}, column {column}: a cell that was not measured is a line with an empty "
            "last field"
        )
    return cells


def _number(path: Path, line: int, field: str) -> float:
    text = field.strip()
    try:
        return float(text) if text else np.nan
    except ValueError:
        raise ValueError(
            f"{path}: line {line} holds {field!r}, expected a number, or nothing for a cell that was not measured; a "
            f"table begins with {','.join(COLUMNS)}"
        ) from None
