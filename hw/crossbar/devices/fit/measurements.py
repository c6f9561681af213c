"""The table of measurements that a device is fitted to.

A CSV file with the header `kind,device,target_s,seconds,pulse,g_s`, one conductance per line, in siemens and seconds; a
cell that a kind does not need stays empty:

| kind | needs | what it is |
|---|---|---|
| program | target_s, g_s | a device read right after it was programmed to `target_s` |
| drift | device, target_s, seconds, g_s | the same device again, `seconds` after its last write pulse |
| read | device, g_s | a device that rests, read again and again |
| pulse | device, pulse, g_s | a device after one pulse up (1) or down (-1); 0 for what it held before the first |

Lines of one device are in the order they were measured in.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

NEEDS = {
    "program": ("target_s", "g_s"),
    "drift": ("device", "target_s", "seconds", "g_s"),
    "read": ("device", "g_s"),
    "pulse": ("device", "pulse", "g_s"),
}
COLUMNS = ("kind", "device", "target_s", "seconds", "pulse", "g_s")
LARGEST_S = 0.1
"""No memory cell conducts more: a conductance beyond is in another unit."""


@dataclass(frozen=True)
class Measured:
    """One line; NaN where a number is not given."""

    kind: str
    device: str
    target_s: float
    seconds: float
    pulse: float
    g_s: float


def read_measurements(path: Path) -> tuple[Measured, ...]:
    """The lines of a table; ValueError names the file, the line, the column, the value and what was expected."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return tuple(_lines(csv.DictReader(file), str(path)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV file ({error})") from None


Key = TypeVar("Key", bound=Hashable)


def grouped(lines: Iterable[Measured], key: Callable[[Measured], Key]) -> dict[Key, list[Measured]]:
    """Lines by key, keys in the order they appear in."""
    groups: dict[Key, list[Measured]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return groups


def _lines(reader: csv.DictReader[str], path: str) -> Iterator[Measured]:
    found = tuple(reader.fieldnames or ())
    if set(found) != set(COLUMNS) or len(found) != len(COLUMNS):
        raise ValueError(f"{path}: columns are {', '.join(found) or 'missing'}, expected {', '.join(COLUMNS)}")
    for line in reader:
        where = f"{path}, line {reader.line_num}"
        kind = line["kind"]
        if kind not in NEEDS:
            raise ValueError(f"{where}: kind is {kind!r}, choices are {', '.join(NEEDS)}")
        if None in line or None in line.values():  # what DictReader makes of too many and of too few
            raise ValueError(f"{where}: expected {len(COLUMNS)} cells")
        missing = [name for name in NEEDS[kind] if not line[name].strip()]
        if missing:
            raise ValueError(f"{where}: {missing[0]} is missing, {kind} needs {', '.join(NEEDS[kind])}")
        numbers = {name: _number(line[name], f"{where}: {name}") for name in COLUMNS[2:]}
        yield Measured(kind, line["device"].strip(), **numbers)


def _number(cell: str, where: str) -> float:
    """A checked number; NaN for an empty cell."""
    if not cell.strip():
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    checks: dict[str, tuple[Callable[[float], bool], str]] = {
        "target_s": (lambda g: 0 <= g < LARGEST_S, f"siemens, 0 to {LARGEST_S}"),
        "g_s": (lambda g: 0 <= g < LARGEST_S, f"siemens, 0 to {LARGEST_S}"),
        "seconds": (lambda t: 0 < t < np.inf, "seconds since the last write pulse, more than 0"),
        "pulse": (lambda p: p in (-1, 0, 1), "1 for a pulse up, -1 for one down, 0 for before the first"),
    }
    holds, expected = checks[where.rpartition(" ")[2]]
    if not holds(value):
        raise ValueError(f"{where} is {cell!r}, expected {expected}")
    return value
