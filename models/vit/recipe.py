"""Recipes of vision transformers, as TOML files: the keys are the fields of `VitRecipe`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, with_config

from models.data.augment import Border
from models.files.typed import STRICT, read_text, read_toml
from models.recipes.recipe import MOST
from models.vit.network import Form

FOLDER = Path(__file__).parent / "recipes"


@with_config(STRICT)
@dataclass(frozen=True)
class VitRecipe:
    """Everything that decides a trained transformer, besides the images and the seed."""

    data: str
    """Name of the data set, or the path of your own."""
    epochs: int
    batch_size: int
    rate: float
    """Of Muon, which learns the matrices of patches and layers, at its highest; a cosine takes it to 0, batch by
    batch."""
    other_rate: float
    """Of AdamW, which learns places, norms, biases and the head."""
    weight_decay: float
    """Of the matrices."""
    patch: int = 4
    width: int = 96
    depth: int = 4
    heads: int = 3
    warming: float = 0.05
    """Part of the training in which rates rise from 0."""
    shift: int = 0
    """Augmentation, as in `models.recipes.Recipe`, as are those below."""
    shift_chance: float = 0.5
    shift_border: Border = "black"
    flip: bool = False
    flip_alternates: bool = False
    watched: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("shift", 0), ("watched", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= MOST:
                raise ValueError(f"{name} is {value}, expected {least} to {MOST}")
        for name in ("rate", "other_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite value from 0")
        for name in ("warming", "shift_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if self.shift_border not in get_args(Border):
            raise ValueError(f"shift_border is {self.shift_border!r}, choose from {', '.join(get_args(Border))}")

    def form(self, shape: tuple[int, int, int], classes: int) -> Form:
        """The sizes of its transformer for images of a shape (C, H, W)."""
        return Form(shape, classes, self.patch, self.width, self.depth, self.heads)


_RECIPE = TypeAdapter(VitRecipe)


def vit_recipe_names() -> tuple[str, ...]:
    """The names `vit_recipe` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def vit_recipe(name: str) -> VitRecipe:
    """The recipe of that name, or the one in a .toml file; a ValueError lists those there are, or names the key."""
    known = name in vit_recipe_names()
    if not known and not name.endswith(".toml"):
        raise ValueError(
            f"recipe {name!r} is neither one of {', '.join(vit_recipe_names())} nor a path to a .toml file"
        )
    path = FOLDER / f"{name}.toml" if known else Path(name)
    try:
        return read_toml(_RECIPE, read_text(path))
    except ValueError as error:
        raise ValueError(f"{str(error) if str(path) in str(error) else f'{path}: {error}'}") from None
