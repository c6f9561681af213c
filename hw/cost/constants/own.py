"""Constants of one's own, as profiles beside the published ones, read from TOML files.

    [my-board]
    like = "davies2018"                   # the group whose constants hold where the file gives none

    [my-board.synapse_energy]
    nominal = 30e-12
    low = 25e-12                          # low and high may be left out, both or neither
    high = 40e-12
    unit = "J"                            # that of the constant it stands for
    source = "our own board, report of March 2026, page 4"
    node = "14 nm, 0.75 V"                # node, kind and note may be left out: as published
    kind = "measured"

Every error is a ValueError that names the file, the profile, the constant and what was expected.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from hw.cost.constants import TABLE
from hw.cost.constants.constant import Constant, Group

MODELLED = ("davies2018", "sanafe", "isaac2016", "hermes2023", "zigzag-imc")
"""Groups of which a cost model makes a profile."""
NAMES_TAKEN = (*TABLE, "isaac-32nm", "hermes-14nm", "aimc-28nm", "accumulate-45nm", "spinnaker", "spinnaker2")
"""Of groups and published profiles."""
FIELDS = ("low", "nominal", "high", "unit", "node", "kind", "source", "note")
NEEDED = ("nominal", "unit", "source")


@dataclass(frozen=True)
class OwnProfile:
    """A published group with constants of the user's in the place of some of its own."""

    name: str
    like: str
    """One of `MODELLED`."""
    constants: Group


def read_own(paths: Sequence[Path]) -> tuple[OwnProfile, ...]:
    """The profiles of all files, in order; ValueError names what is missing, unknown or there twice."""
    made: dict[str, tuple[Path, OwnProfile]] = {}
    for path in paths:
        for name, table in _parse(path).items():
            if name in NAMES_TAKEN:
                raise ValueError(f"{path}: two profiles of one name: {name!r} is published, give yours another")
            if name in made:
                raise ValueError(f"{path}: two profiles of one name: {name!r} is in {made[name][0]} too")
            made[name] = (path, _profile(f"{path}: {name}", name, table))
    return tuple(profile for _, profile in made.values())


def _parse(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        # the parser moved into the standard library in Python 3.11
        tables = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # TOML itself refuses a table that is there twice
        raise ValueError(f"{path}: {error}") from None
    if not tables:
        raise ValueError(f"{path}: holds no profile: [NAME] with like = GROUP")
    return dict(tables)


def _profile(where: str, name: str, table: Any) -> OwnProfile:
    if not isinstance(table, Mapping) or not isinstance(table.get("like"), str):
        raise ValueError(f"{where} has no `like`: the group that it starts from, one of {', '.join(MODELLED)}")
    like = table["like"]
    if like not in MODELLED:
        raise ValueError(f"{where}.like is {like!r}{_nearest(like, MODELLED)}, choices are {', '.join(MODELLED)}")
    published = TABLE[like]
    constants = {key: _constant(f"{where}.{key}", key, like, value) for key, value in table.items() if key != "like"}
    return OwnProfile(name, like, {**published, **constants})


def _constant(where: str, key: str, like: str, given: Any) -> Constant:
    published = TABLE[like]
    if key not in published:
        choices = ", ".join(published)
        raise ValueError(f"{where} is no constant of {like}{_nearest(key, tuple(published))}, choices are {choices}")
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} is {given!r}, must be a table of {', '.join(NEEDED)}")
    for field in NEEDED:
        if field not in given:
            raise ValueError(f"{where} has no {field}")
    for field, value in given.items():
        if field not in FIELDS:
            raise ValueError(f"{where} has {field!r}, known are {', '.join(FIELDS)}")
        wanted: Any = (int, float) if field in FIELDS[:3] else str
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ValueError(f"{where}.{field} is {value!r}, must be {'a number' if field in FIELDS[:3] else 'text'}")
    old = published[key]
    if given["unit"] != old.unit:
        raise ValueError(f"{where}.unit is {given['unit']!r}, {like}.{key} is in {old.unit!r}")
    if ("low" in given) != ("high" in given):
        raise ValueError(f"{where} has {'low' if 'low' in given else 'high'} alone: give low and high, or neither")
    bounds = (float(given["low"]), float(given["high"])) if "low" in given else None
    words = {field: given.get(field, getattr(old, field)) for field in ("node", "kind")}
    try:
        return replace(
            old,
            nominal=float(given["nominal"]),
            source=given["source"],
            bounds=bounds,
            note=given.get("note", ""),
            **words,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _nearest(value: str, choices: Sequence[str]) -> str:
    near = get_close_matches(value, choices, n=1)
    return f" (nearest: {near[0]})" if near else ""
