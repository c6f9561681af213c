"""Options of every command that trains by a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from models.files.checkpoint import SUFFIX


@dataclass(frozen=True)
class CheckpointOptions:
    """Of whatever is trained: on what, how long, and where the results go. What is not given comes from the recipe."""

    recipe: Annotated[str, tyro.conf.Positional] = "digits"
    """Name of a recipe, or a .toml file of your own."""
    data: str | None = None
    """Data set to learn: digits, mnist, cifar10, cifar100, or your own .npz file or folder of pictures."""
    data_dir: Path | None = None
    """Where the files of the data set are; they are downloaded otherwise. Digits and your own need none."""
    output: Path | None = None
    """Checkpoint to write, ending in .safetensors; results/RECIPE.safetensors if not given."""
    seed: int = 0
    """Seed of all random numbers."""
    epochs: int | None = None
    """Times every training image is seen."""
    batch_size: int | None = None
    """Images per gradient."""
    resume: bool = False
    """Continue a run that was stopped, with the same options."""

    @property
    def name(self) -> str:
        """Of the checkpoint, if the options name none."""
        return Path(self.recipe).stem

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint goes."""
        return Path("results", f"{self.name}{SUFFIX}") if self.output is None else self.output

    @property
    def state(self) -> Path:
        """Where the state of a running training is kept."""
        return self.checkpoint.with_name(f"{self.checkpoint.name}.training")


@dataclass(frozen=True)
class TrainingOptions(CheckpointOptions):
    """Of a network of links, by equilibrium propagation or as a twin."""

    recipe: Annotated[str, tyro.conf.Positional] = "digits"
    """Name of a recipe in models/recipes, or a .toml file of your own."""
    learning_rates: tuple[float, ...] | None = None
    """One value per layer and one for the readout."""
    weight_decay: tuple[float, ...] | None = None
    """One value per layer and one for the readout."""
    device: str = "cpu"
    """cpu, cuda, or a device of that kind such as cuda:1."""
