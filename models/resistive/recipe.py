"""Recipes of resistive networks, each a file NAME.toml in the folder `recipes`: its keys are the fields below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, with_config

from models.files.typed import STRICT, read_text, read_toml

FOLDER = Path(__file__).parent / "recipes"
MOST = 10**7
"""Of nodes, epochs, images and sweeps."""


@with_config(STRICT)
@dataclass(frozen=True)
class ResistiveRecipe:
    """Everything that decides a trained network, besides the images and the seed."""

    data: str
    """Name of the data set, or the path of your own (`models.data.load_data`)."""
    hidden: tuple[int, ...]
    """Nodes of every hidden layer."""
    input_gain: float
    """Voltage of a pixel of 1, in units of an output's target: what a mean of positive conductances loses is put on
    before."""
    learning_rates: tuple[float, ...]
    """Of every link and the biases above it, in the first epoch."""
    epochs: int
    batch_size: int
    beta: float
    """Conductance of the nudge, in units of the reference conductance."""
    rate_decay: float = 0.99
    """Factor of the rates from epoch to epoch."""
    gain: float = 1.0
    """A of all hidden layers."""
    free_sweeps: int = 4
    """Odd-even sweeps of the free phase while learning."""
    nudged_sweeps: int = 4
    """Of each nudged phase."""
    sweeps: int = 20
    """That accuracy is measured after."""

    def __post_init__(self) -> None:
        counts = {"epochs": self.epochs, "batch_size": self.batch_size, "free_sweeps": self.free_sweeps}
        counts |= {"nudged_sweeps": self.nudged_sweeps, "sweeps": self.sweeps}
        counts |= {f"hidden layer {number}": units for number, units in enumerate(self.hidden, start=1)}
        for name, value in counts.items():
            if not 1 <= value <= MOST:
                raise ValueError(f"{name} is {value}, expected 1 to {MOST:,}")
        if not self.hidden:
            raise ValueError("hidden is empty, expected the nodes of at least one hidden layer")
        if len(self.learning_rates) != len(self.hidden) + 1:
            raise ValueError(
                f"learning_rates has {len(self.learning_rates)} values, expected {len(self.hidden) + 1}: one per link"
            )
        if not all(0 <= rate < float("inf") for rate in self.learning_rates):
            raise ValueError(f"learning_rates is {self.learning_rates}, expected finite values from 0")
        for name, strength in (("input_gain", self.input_gain), ("beta", self.beta), ("gain", self.gain)):
            if not 0 < strength < float("inf"):
                raise ValueError(f"{name} is {strength}, expected a positive number")
        if not 0 < self.rate_decay <= 1:
            raise ValueError(f"rate_decay is {self.rate_decay}, expected above 0 up to 1")


RECIPE = TypeAdapter(ResistiveRecipe)


def resistive_recipe_names() -> tuple[str, ...]:
    """The names `resistive_recipe` knows, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def resistive_recipe(name: str) -> ResistiveRecipe:
    """The recipe of that name, or the one in a .toml file; ValueError names the file, key and value, or the choices."""
    path = FOLDER / f"{name}.toml" if name in resistive_recipe_names() else Path(name)
    if path.suffix != ".toml":
        choices = ", ".join(resistive_recipe_names())
        raise ValueError(f"recipe {name!r} is neither one of {choices} nor a path to a .toml file")
    try:
        return read_toml(RECIPE, read_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
