"""Recipes: how each data set's network is built and trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.learning import Phases
from models.network import Conv, Dense


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained network, besides the data and the seed."""

    layers: tuple[Conv | Dense, ...]
    """The layers, from the bottom; a softmax readout comes on top."""
    learning_rates: tuple[float, ...]
    """Of every layer and of the readout, at the start: a cosine takes them to 0 over the epochs."""
    weight_decay: tuple[float, ...]
    """Of every layer and of the readout. Small weights settle fast: decay buys rest, most of all above layer 1."""
    epochs: int
    batch_size: int
    phases: Phases
    """How the EP gradient is taken."""
    momentum: float = 0.9
    shift: int = 0
    """Augmentation: shift an image by up to this many pixels along each axis."""
    shift_chance: float = 0.5
    """Share of the images that are shifted at all."""
    steps: int = 40
    """Synchronous steps from zero that accuracy is measured after: the dynamics a clocked machine runs."""

    weight_noise: tuple[float, ...] = ()
    """Noise-aware training: c_0, c_1, ... of the programming noise of `models.weight_noise`; none by default."""
    weight_limit: float | None = None
    """Clip each weight tensor at so many of its standard deviations after every update; None clips nothing."""

    def __post_init__(self) -> None:
        for name in ("learning_rates", "weight_decay"):
            values: tuple[float, ...] = getattr(self, name)
            if len(values) != len(self.layers) + 1:
                raise ValueError(
                    f"{name} has {len(values)} values, expected {len(self.layers) + 1}: "
                    f"one for each of {len(self.layers)} layers and one for the readout"
                )
            if not all(0 <= value < float("inf") for value in values):
                raise ValueError(f"{name} is {values}, expected finite values from 0")
        for name, least in (("epochs", 1), ("batch_size", 1), ("steps", 1), ("shift", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if not all(abs(value) < float("inf") for value in self.weight_noise):
            raise ValueError(f"weight_noise is {self.weight_noise}, expected finite coefficients")
        shares = [index / 100 for index in range(101)]
        if any(sum(c * share**power for power, c in enumerate(self.weight_noise)) < 0 for share in shares):
            raise ValueError(f"weight_noise is {self.weight_noise}: a standard deviation below 0 for some weights")
        if self.weight_limit is not None and not 1 <= self.weight_limit < float("inf"):
            raise ValueError(f"weight_limit is {self.weight_limit}, expected at least 1 standard deviation")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}, expected 0 up to but not 1")
        if not 0 <= self.shift_chance <= 1:
            raise ValueError(f"shift_chance is {self.shift_chance}, expected 0 to 1")


RECIPES: Mapping[str, Recipe] = {
    # The bottom link costs little, since its input never changes: a wide one with large kernels saturates its units.
    # Decay on link 2 keeps the feedback weak, so that the network comes to rest soon: delta coding thrives on both.
    "digits": Recipe(
        layers=(Conv(32, kernel=5, padding=2, gain=0.4), Conv(32, pooling="average", pool_size=2, gain=0.4)),
        learning_rates=(0.08, 0.03, 0.3),
        weight_decay=(1e-4, 1e-2, 3e-4),
        epochs=40,
        batch_size=16,
        phases=Phases(free_steps=20, nudged_steps=10, beta=0.2),
        shift=1,
        shift_chance=0.6,
    ),
    "mnist": Recipe(
        layers=(
            Conv(32, padding=0, pooling="average", pool_size=2, gain=0.4),
            Conv(64, padding=0, pooling="average", pool_size=2, gain=0.4),
        ),
        learning_rates=(0.03, 0.03, 0.3),
        weight_decay=(3e-4, 3e-3, 3e-4),
        epochs=20,
        batch_size=64,
        phases=Phases(free_steps=20, nudged_steps=10, beta=0.2),
        shift=1,
    ),
}


def recipe_for(data: str) -> Recipe:
    """The recipe of that data set, or a ValueError that lists those there are."""
    if data not in RECIPES:
        raise ValueError(f"no recipe for the data set {data!r}: there are recipes for {', '.join(RECIPES)}")
    return RECIPES[data]
