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

from pathlib import Path

from pydantic import TypeAdapter

from models.files.typed import read_text, read_toml
from models.recipes.recipe import Recipe
from models.resistive.recipe import resistive_recipe_names

FOLDER = Path(__file__).parent
RECIPE = TypeAdapter(Recipe)
"""Reads recipes, and makes their JSON schema."""


def recipe_names() -> tuple[str, ...]:
    """The names `recipe_for` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def recipe_for(name: str) -> Recipe:
    """The recipe of that name, or the one in a .toml file; a ValueError lists those there are."""
    if name in recipe_names():
        return read_recipe(FOLDER / f"{name}.toml")
    if name in resistive_recipe_names():
        raise ValueError(f"recipe {name!r} makes a network of resistors: python -m models.resistive {name}")
    if not name.endswith(".toml"):
        raise ValueError(f"recipe {name!r} is neither one of {', '.join(recipe_names())} nor a path to a .toml file")
    return read_recipe(Path(name))


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        ValueError: the message names the file, the key, the value and what was expected.
    """
    content = read_text(path)
    try:
        return read_toml(RECIPE, content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
