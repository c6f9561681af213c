"""Everything that a page is about: the rows of all folders, whatever made them, and what each row is of."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.command_line import ConfigError, flags
from bench.machines.registry import BACKENDS
from bench.records.folders import ROWS, environment_of
from bench.records.learning_row import LearningRow
from bench.records.robust_row import RobustRow
from bench.records.row import SCHEMA, Row
from bench.records.rows_file import read_rows
from bench.reports.command import command_of
from bench.sweeps.place import Place

POINT_OF_OPTION = {"device_preset": "device"}
"""Options that are called otherwise in the point of a row."""
ROW_FILES = "rows"


@dataclass(frozen=True)
class Source:
    """A folder."""

    folder: Path
    name: str
    environment: str
    """Where and when its rows were made."""
    command: str
    failed: int = 0
    """Points of a sweep that could not be run."""


@dataclass(frozen=True)
class Entry:
    """A row of `bench.run`."""

    source: str
    where: Mapping[str, Any]
    """What it is of: network, machine, point, and what a sweep varied."""
    row: Mapping[str, Any]
    """As JSON has it, of the present version."""

    @property
    def accuracy(self) -> float | None:
        """None where nothing was run."""
        return self.row["accuracy"]

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %."""
        held = self.row["accuracy_ci95"]
        return None if held is None else (held[0], held[1])

    @property
    def dies(self) -> list[float]:
        """Accuracy of every die; none on machines without."""
        block = self.row.get(self.row["backend"])
        return list(block.get("accuracy_by_die") or ()) if isinstance(block, Mapping) else []

    @property
    def machine(self) -> str:
        """As tables call it."""
        return f"{self.row['backend']} {self.row['precision']}"


@dataclass(frozen=True)
class Lesson:
    """A row of `bench.learn`."""

    source: str
    where: Mapping[str, Any]
    """What a sweep varied."""
    row: LearningRow


@dataclass(frozen=True)
class Attack:
    """A row of `bench.robustness`."""

    source: str
    where: Mapping[str, Any]
    """What a sweep varied."""
    row: RobustRow

    @property
    def machine(self) -> str:
        """As tables call it."""
        return f"{self.row.backend} {self.row.precision}"


@dataclass(frozen=True)
class Gathered:
    """All of it."""

    sources: tuple[Source, ...]
    entries: tuple[Entry, ...]
    lessons: tuple[Lesson, ...]
    attacks: tuple[Attack, ...]

    def varied(self) -> list[str]:
        """What rows of runs are of that is not the same everywhere it is said."""
        return varied(self.entries)


def varied(entries: Sequence[Entry]) -> list[str]:
    """What entries are of that is not the same everywhere it is said."""
    values: dict[str, set[Any]] = {}
    for entry in entries:
        for name, value in entry.where.items():
            values.setdefault(name, set()).add(value)
    return [name for name, held in values.items() if len(held) > 1]


def gather(folders: Sequence[Path]) -> Gathered:
    """Read every folder; ConfigError names one that is none of a run, study or sweep, or what is damaged in it."""
    gc.disable()  # ten thousand rows are millions of objects, and nothing of them is garbage
    try:
        return _gathered(folders, _names(folders))
    finally:
        gc.enable()
        gc.freeze()


def _gathered(folders: Sequence[Path], names: Sequence[str]) -> Gathered:
    sources, entries, lessons, attacks = [], [], [], []
    for folder, name in zip(folders, names, strict=True):
        place = Place(folder)
        failed = len(place.keys("failed"))
        rows = list(_rows(folder))
        if not rows:
            raise ConfigError(f"{folder} holds no finished row")
        sources.append(Source(folder, name, environment_of(folder).words, command_of(folder), failed))
        for coordinates, row in rows:
            if "learn" in row:
                lessons.append(Lesson(name, coordinates, LearningRow.from_json(row)))
            elif "threat" in row:
                attacks.append(Attack(name, coordinates, RobustRow.from_json(row)))
            else:
                entries.append(_entry(name, coordinates, row, len(folders) > 1))
    return Gathered(tuple(sources), tuple(entries), tuple(lessons), tuple(attacks))


def attacked_in(folder: Path) -> Path | None:
    """The first folder in it that holds attacked images; of a sweep, points share them."""
    return next(iter(sorted({file.parent for file in folder.rglob("pgd-*.safetensors")})), None)


def _names(folders: Sequence[Path]) -> list[str]:
    """The last parts of paths, or all of them where those are the same."""
    if len(set(folders)) < len(folders):
        raise ConfigError(f"{', '.join(map(str, folders))}: name each folder once")
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _rows(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(coordinates of a sweep, row as JSON)."""
    if (folder / ROWS).is_file():
        for row in read_rows(folder / ROWS):
            if "step_limit" in row:
                raise ConfigError(f"{folder} is of bench.zoo, whose report lies in it already")
            yield {}, row
    elif (folder / ROW_FILES).is_dir():
        place = Place(folder)
        for key in sorted(place.keys(ROW_FILES)):
            point = place.get(ROW_FILES, key)
            for row in point["rows"]:
                yield point["coordinates"], row
    else:
        raise ConfigError(f"{folder} is no folder of a run, a study or a sweep: it has neither {ROWS} nor {ROW_FILES}")


def _entry(source: str, coordinates: Mapping[str, Any], row: dict[str, Any], several: bool) -> Entry:
    if row.get("schema") != SCHEMA:
        try:
            row = Row.from_json(row).to_json()
        except ValueError as error:
            raise ConfigError(f"{source}: {error}") from error
    point = dict(row["point"] or {})
    where = {"folder": source} if several else {}
    where |= {"model": row["model"], "data": row["data"], "machine": f"{row['backend']} {row['precision']}", **point}
    for option, value in coordinates.items():
        name = option.replace("-", "_")
        owner = _owners().get(name)
        name = POINT_OF_OPTION.get(name, name)
        # one machine says where it stands itself, and what others were told is nothing to it
        if name not in where and name != "backend" and owner in (None, row["backend"]):
            where[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return Entry(source, where, row)


@cache
def _owners() -> dict[str, str]:
    """Machines by the names of their own options."""
    return {option: name for name, kind in BACKENDS.items() for option in flags(kind()).values()}
