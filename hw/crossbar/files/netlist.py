"""A tile as a SPICE netlist: every device and every segment of wire is a resistor.

`subcircuit` is the tile, with a pin for each end of a wire that is driven or sensed: d0, d1, ... are the left ends of
its rows, s0, s1, ... the bottom ends of its columns, as in `hw.crossbar.tiles.wires`. `bench_of` puts sources at one
side and ammeters of 0 V at the other: upwards rows are driven, downwards columns, at the same pins. `ngspice -b FILE`
runs it, and prints a line i(vN) = AMPERES for every ammeter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from hw.crossbar.tiles.wires import Array, Wires, checked

PINS_PER_LINE = 16
Direction = Literal["up", "down"]


def subcircuit(name: str, g_s: Array, wires: Wires) -> str:
    """The tile of (rows, columns) conductances as `.subckt NAME d0 .. s0 ..`; a device of 0 S is left out.

    Raises ValueError for wires that read the transpose at other ends, which the pins do not have.
    """
    if wires.terminals != "same":
        raise ValueError(f"terminals are {wires.terminals!r}: a netlist has pins for 'same' only")
    rows, columns = checked(g_s).shape
    lines = [
        f"* {rows} x {columns} devices; a segment of a row has {wires.row_ohm!r} Ohm, of a column {wires.column_ohm!r}",
        *_wrapped(f".subckt {name}", pins(rows, columns)),
        *_wires(rows, columns, wires),
    ]
    for i in range(rows):
        for j in range(columns):
            if g_s[i, j] > 0:
                lines.append(f"Rg{i}_{j} {_row(i, j, wires)} {_column(i, j, wires)} {1 / float(g_s[i, j])!r}")
    return "\n".join([*lines, f".ends {name}", ""])


def bench_of(name: str, shape: tuple[int, int], voltages_v: Sequence[float], direction: Direction, file: str) -> str:
    """A read of the subcircuit that lies in `file`: voltages of its rows ("up") or columns ("down"), in volts.

    Raises ValueError for another number of voltages than there are lines to drive.
    """
    rows, columns = shape
    driven, sensed = ("d", "s") if direction == "up" else ("s", "d")
    drivers, ammeters = (rows, columns) if direction == "up" else (columns, rows)
    if len(voltages_v) != drivers:
        raise ValueError(f"{len(voltages_v)} voltages, expected {drivers}: one for every line driven {direction}")
    return "\n".join(
        [
            f"* {name} read {direction}",
            f".include {file}",
            *_wrapped("Xtile", [*pins(rows, columns), name]),
            *(f"Vin{k} {driven}{k} 0 {float(volts)!r}" for k, volts in enumerate(voltages_v)),
            *(f"V{k} {sensed}{k} 0 0" for k in range(ammeters)),
            ".control",
            "set numdgt=15",
            "op",
            *(f"print i(v{k})" for k in range(ammeters)),
            "quit",
            ".endc",
            ".end",
            "",
        ]
    )


def pins(rows: int, columns: int) -> list[str]:
    """Names of the pins in their order."""
    return [*(f"d{i}" for i in range(rows)), *(f"s{j}" for j in range(columns))]


def _wires(rows: int, columns: int, wires: Wires) -> Iterator[str]:
    """Segments, those to the pins too; a wire without resistance is one node and has none."""
    if wires.row_ohm > 0:
        for i in range(rows):
            yield f"Rd{i} d{i} r{i}_0 {wires.row_ohm!r}"
            yield from (f"Rr{i}_{j} r{i}_{j} r{i}_{j + 1} {wires.row_ohm!r}" for j in range(columns - 1))
    if wires.column_ohm > 0:
        for j in range(columns):
            yield from (f"Rc{i}_{j} c{i}_{j} c{i + 1}_{j} {wires.column_ohm!r}" for i in range(rows - 1))
            yield f"Rs{j} c{rows - 1}_{j} s{j} {wires.column_ohm!r}"


def _row(i: int, j: int, wires: Wires) -> str:
    return f"r{i}_{j}" if wires.row_ohm > 0 else f"d{i}"


def _column(i: int, j: int, wires: Wires) -> str:
    return f"c{i}_{j}" if wires.column_ohm > 0 else f"s{j}"


def _wrapped(head: str, words: Sequence[str]) -> list[str]:
    """A long line as SPICE continues it."""
    parts = [" ".join(words[k : k + PINS_PER_LINE]) for k in range(0, len(words), PINS_PER_LINE)]
    return [f"{head} {parts[0]}", *(f"+ {part}" for part in parts[1:])]
