"""Recipes as TOML files: the keys are the fields of `Recipe`, those of layers of `Conv` or `Dense`, of skips of `Span`.

data = "digits"
learning_rates = [0.08, 0.03, 0.3]
...
phases = {free_steps = 20, nudged_steps = 10, beta = 0.2}

[[layers]]
kind = "conv"
channels = 32
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from models.ep.gradient import Phases
from models.ep.network import Conv, Dense, Span
from models.recipes.recipe import Recipe

FOLDER = Path(__file__).parent
KINDS: dict[str, type[Conv | Dense]] = {"conv": Conv, "dense": Dense}


def recipe_names() -> tuple[str, ...]:
    """The names `recipe_for` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def recipe_for(name: str) -> Recipe:
    """The recipe of that name, or the one in a .toml file; a ValueError lists those there are."""
    if name in recipe_names():
        return read_recipe(FOLDER / f"{name}.toml")
    if not name.endswith(".toml"):
        raise ValueError(f"recipe {name!r} is neither one of {', '.join(recipe_names())} nor a path to a .toml file")
    return read_recipe(Path(name))


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        ValueError: the message names the file, the key, the value and what was expected.
    """
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document = toml.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    try:
        recipe = dict(document)
        recipe["layers"] = tuple(
            _layer(number, table) for number, table in enumerate(recipe.get("layers", ()), start=1)
        )
        spans = enumerate(recipe.get("skips", ()), start=1)
        recipe["skips"] = tuple(_made(f"skip {number}", Span, table) for number, table in spans)
        recipe["phases"] = _made("phases", Phases, recipe.get("phases", {}))
        return _made("the recipe", Recipe, recipe)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _layer(number: int, table: dict[str, Any]) -> Conv | Dense:
    kind = table.get("kind")
    if kind not in KINDS:
        raise ValueError(f"layer {number} has the kind {kind!r}, choose from {', '.join(KINDS)}")
    return _made(f"layer {number}", KINDS[kind], {key: value for key, value in table.items() if key != "kind"})


def _made(place: str, made: type[Any], table: dict[str, Any]) -> Any:
    """An object of a dataclass from its fields: all those without a default, none that it does not have."""
    known, hints = {field.name: field for field in fields(made)}, get_type_hints(made)
    for key in sorted(table.keys() - known.keys()):
        raise ValueError(f"{place} has the key {key!r}, choose from {', '.join(known)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for name, field in known.items():
        if name not in values and field.default is MISSING:
            raise ValueError(f"{place} lacks {name}")
        if name in values and not _fits(values[name], hints[name]):
            raise ValueError(f"{place} has {name} {table[name]!r}, expected {_words(hints[name])}")
    return made(**values)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a file is what a field asks for; a whole number is a float too, True is no number."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return any(_fits(value, choice) for choice in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin is tuple:
        return f"a list of {_words(arguments[0])}s"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    kinds = [kind for kind in arguments or (hint,) if kind is not NoneType]
    return " or ".join(names.get(kind, getattr(kind, "__name__", str(kind))) for kind in kinds)
