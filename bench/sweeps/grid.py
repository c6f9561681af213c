"""A grid: which command runs, with which options everywhere, and which values every other option takes.

    command = "bench.run"                # or "bench.robustness", "bench.learn repair", ..

    [options]                            # names are those of the command line
    backend = ["crossbar"]
    limit = 100
    disturbances = []

    [grid]                               # every combination is run
    device-preset = ["pcm-nandakumar-2019", "reram-wan-2022-aihwkit"]
    noise-scale = [0, 1, 2]

A value that is a list gives an option several values at once. `true` gives a flag that takes no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config

from bench.command_line import ConfigError, choose
from bench.sweeps.commands import COMMANDS, Command
from models.files.typed import STRICT, read_text, read_toml

MOST_POINTS = 1_000_000


@with_config(STRICT)
@dataclass(frozen=True)
class Grid:
    """What a grid file says."""

    command: str = "bench.run"
    """bench.run, bench.robustness, or bench.learn and a study."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options that hold at every point, by name."""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """Values of the options that are varied, by name."""

    @property
    def size(self) -> int:
        """Points."""
        return prod(map(len, self.grid.values()))

    @property
    def runs(self) -> Command:
        """What is run at every point."""
        return COMMANDS[self.command]


def read_grid(file: Path | None, changes: Sequence[str]) -> Grid:
    """The grid of a file, or the empty one, with `key=v1,v2` of the command line in place of its own.

    Raises:
        ConfigError: names the file or the change, the key and the choices.
    """
    if file is None:
        grid = Grid()
    else:
        try:
            grid = read_toml(TypeAdapter(Grid), read_text(file))
        except ValueError as error:
            raise ConfigError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    for change in changes:
        grid = _changed(grid, change)
    where = "--set" if file is None else str(file)
    _check(grid, where)
    return grid


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """Options by name as a command line has them."""
    arguments = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [] if value is True else [value]
        arguments += [f"--{name}", *(one if isinstance(one, str) else json.dumps(one) for one in values)]
    return arguments


def _changed(grid: Grid, change: str) -> Grid:
    """With one `key=v1,v2`; a single value holds everywhere, of the key `command` as well."""
    name, given, text = change.partition("=")
    if not name or not given or (not text and name == "command"):
        raise ConfigError(f"--set {change!r}: expected key=v1,v2")
    if name == "command":
        return replace(grid, command=text)
    name = name.replace("_", "-")
    values = [_value(part) for part in text.split(",")] if text else [[]]  # `disturbances=` is none of them
    varied = {key: held for key, held in grid.grid.items() if key != name}
    fixed = {key: held for key, held in grid.options.items() if key != name}
    if len(values) == 1:
        return replace(grid, options={**fixed, name: values[0]}, grid=varied)
    return replace(grid, options=fixed, grid={**grid.grid, name: values})


def _value(text: str) -> Any:
    """A number, true or null as JSON has them, and anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check(grid: Grid, where: str) -> None:
    choose(f"{where}: command", grid.command, tuple(COMMANDS))
    flags = grid.runs.flags()
    for name in (*grid.options, *grid.grid):
        choose(f"{where}: option", name, flags)
    for name in grid.grid.keys() & grid.options.keys():
        raise ConfigError(f"{where}: {name} is in options and in grid, give it once")
    if not grid.grid:
        raise ConfigError(f"{where}: the grid is empty: no option is varied, use python -m {grid.command} instead")
    for name, values in grid.grid.items():
        if not values:
            raise ConfigError(f"{where}: grid.{name} has no values")
        if len({json.dumps(value) for value in values}) < len(values):
            raise ConfigError(f"{where}: grid.{name} is {values}: give each value once")
    if grid.size > MOST_POINTS:
        raise ConfigError(f"{where}: {grid.size:,} points, at most {MOST_POINTS:,} make a sweep")
    for name, value in [*grid.options.items(), *((name, one) for name, held in grid.grid.items() for one in held)]:
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, str | int | float) or part is False:
                raise ConfigError(f"{where}: {name} is {value!r}, expected numbers, text or true")
            if part == "" or str(part).startswith("--"):
                raise ConfigError(f"{where}: {name} is {value!r}, no value of an option")
