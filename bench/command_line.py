"""What all commands of the benchmark share: short help, machines' options as titled groups, and named refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import tyro

from models.command_line import ConfigError


def option(metavar: str | None = None, default: str | None = None) -> Any:
    """How an option stands in the help: what its value is called, and what holds without it, if not its default."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=lambda held: _hint(held if default is None else default))


def _hint(held: str) -> str:
    """Nothing where nothing is the default: "(default: None)" says less than the help itself."""
    plain = held.removeprefix("(default: ").removesuffix(")")
    return "" if plain in ("None", "", "True", "False") else f"[{plain}]"


def choose(option_name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is no choice, and name the nearest one."""
    if value in choices:
        return
    near = get_close_matches(value, choices, n=1)
    hint = f" (nearest: {near[0]})" if near else ""
    raise ConfigError(f"{option_name} {value!r} is unknown{hint}, choices are {', '.join(choices)}")


@dataclass(frozen=True)
class Group:
    """Options that are one dataclass."""

    default: Any
    title: str = ""
    """Of its panel in the help; groups of one title share a panel, "" is the first one."""


def parse(groups: Mapping[str, Group], arguments: Sequence[str], prog: str, description: str) -> Any:
    """Parse a command line into an object with one attribute per group; flags have no prefix."""
    command = make_dataclass(
        "Command",
        [
            (
                name,
                Annotated[type(group.default), tyro.conf.arg(name=group.title, help="")],
                dataclass_field(default=group.default),
            )
            for name, group in groups.items()
        ],
        frozen=True,
    )
    command.__doc__ = description
    return tyro.cli(
        command,
        args=list(arguments),
        prog=prog,
        description=description,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def flags(options: Any) -> dict[str, str]:
    """Flags of the fields of a dataclass, those of nested ones too: "--tile-size": "tile_size"."""
    named: dict[str, str] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            named |= flags(value)
        else:
            flag = field.name.replace("_", "-")
            named |= {f"--{flag}": field.name, f"--no-{flag}": field.name}
    return named


def flags_in(arguments: Sequence[str]) -> list[str]:
    """The flags of a command line; --tile_size and --tile-size=64 are --tile-size."""
    return [argument.partition("=")[0].replace("_", "-") for argument in arguments if argument.startswith("--")]


def flat(options: Any) -> dict[str, Any]:
    """Every option of nested dataclasses by name, as JSON types."""
    values: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            values |= flat(value)
        else:
            values[field.name] = [*map(_plain, value)] if isinstance(value, tuple) else _plain(value)
    return values


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
