"""Small networks and data sets for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models.data import Dataset, ImageSet
from models.ep.gradient import Phases
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.ep.pooling import PoolKind
from models.recipes import Recipe
from models.train.state import EpochRecord

SHAPE = (2, 8, 8)
CLASSES = 4


def conv_network(
    seed: int, pooling: PoolKind = "average", gain: float = 0.6, *, readout: bool = True, dense: bool = True
) -> EPNetwork:
    """Three layers in float64: conv with pooling, conv, dense; random biases, so that zeros are nothing special."""
    generator = torch.Generator().manual_seed(seed)
    size = 1 if pooling == "none" else 2
    layers: list[Conv | Dense] = [
        Conv(5, pooling=pooling, pool_size=size, gain=gain),
        Conv(6, stride=2, gain=gain),
    ]
    layers += [Dense(7 if readout else CLASSES, gain=gain)] if dense else []
    network = build_network(SHAPE, tuple(layers), CLASSES if readout else None, generator)
    biased = {
        name: tensor + 0.2 * torch.rand(tensor.shape, generator=generator) if name.endswith("bias") else tensor
        for name, tensor in network.named_parameters().items()
    }
    return network.with_parameters(biased).map_parameters(torch.Tensor.double)


def random_images(count: int, seed: int = 0) -> Tensor:
    """(count, *SHAPE) float64 in [0, 1]."""
    return torch.rand((count, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_labels(count: int, seed: int = 0) -> Tensor:
    """(count,) in 0..CLASSES - 1."""
    return torch.randint(CLASSES, (count,), generator=torch.Generator().manual_seed(seed))


def bars(train: int = 48, other: int = 16) -> Dataset:
    """An easy set in memory: 6 x 6 pixels of noise with a bright bar in the row that the label names, 3 classes."""
    generator = torch.Generator().manual_seed(7)

    def draw(count: int) -> ImageSet:
        labels = torch.arange(count) % 3
        pixels = torch.randint(0, 60, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
        pixels[torch.arange(count), 0, 1 + labels] = 250
        return ImageSet(pixels, labels, scale=255)

    return Dataset("bars", 3, draw(train), draw(other), draw(other), "made in memory")


def tiny_recipe(epochs: int = 3, **changes: object) -> Recipe:
    """A recipe for `bars` that takes a fraction of a second."""
    settings: dict[str, object] = {
        "data": "bars",
        "layers": (Conv(4, gain=0.4), Conv(6, pooling="average", pool_size=2, gain=0.4)),
        "learning_rates": (0.05, 0.05, 0.3),
        "weight_decay": (1e-3, 1e-3, 1e-3),
        "epochs": epochs,
        "batch_size": 8,
        "phases": Phases(free_steps=6, nudged_steps=3, beta=0.2),
        "shift": 1,
        "steps": 12,
    }
    return Recipe(**{**settings, **changes})  # type: ignore[arg-type]


class KilledError(Exception):
    """Stands for a signal."""


def kill_after(epoch: int) -> Callable[[EpochRecord], None]:
    """A report that stops a training once this epoch is done."""

    def report(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise KilledError

    return report


def assert_same_bits(a: EPNetwork, b: EPNetwork) -> None:
    """All weights and biases are equal."""
    for name, tensor in a.named_parameters().items():
        assert torch.equal(tensor, b.named_parameters()[name]), name
