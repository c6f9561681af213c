"""How much memory trainings really take: peak resident size of a process that does nothing else.

    python peak_rss.py '[["maxima", "float32", 96, 1], ...]'

takes name of network, arithmetic, images of the only batch and images of validation; prints a JSON list of bytes. Every
training runs in a fork of a process that has loaded torch, so that nothing another has freed is taken again.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys

import torch

from helpers.ep_examples import tiny_recipe
from models.data import Dataset, ImageSet
from models.ep.gradient import Phases
from models.ep.network import Conv, Dense
from models.recipes import Recipe
from models.train.loop import train

LAYERS: dict[str, tuple[Conv | Dense, ...]] = {
    "maxima": (Conv(32, pooling="max", pool_size=2), Conv(64, pooling="max", pool_size=2), Conv(64)),
    "averages": (Conv(32, pooling="average", pool_size=2), Conv(64, pooling="average", pool_size=2)),
    "strides": (Conv(64, stride=2), Conv(128, stride=2), Conv(256, stride=2)),
    "dense": (Dense(512), Dense(512)),
}
SHAPE = (3, 32, 32)
CLASSES = 10


def recipe_of(name: str, arithmetic: str, batch: int) -> Recipe:
    rates = (1e-3,) * (len(LAYERS[name]) + 1)
    return tiny_recipe(
        1,
        layers=LAYERS[name],
        learning_rates=rates,
        weight_decay=rates,
        arithmetic=arithmetic,
        optimizer="adamw",
        batch_size=batch,
        phases=Phases(free_steps=2, nudged_steps=2, schedule="symmetric"),
        steps=4,
    )


def noise(count: int) -> ImageSet:
    pixels = torch.randint(256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
    return ImageSet(pixels, torch.arange(count) % CLASSES, 255)


def grown(case: tuple[str, str, int, int]) -> int:
    """Bytes by which a training makes the process grow."""
    name, arithmetic, batch, watched = case
    before = peak()
    training, other = noise(batch), noise(watched)
    train(
        Dataset("noise", CLASSES, training, other, other, "made in memory"), recipe_of(name, arithmetic, batch), seed=0
    )
    return peak() - before


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # code that is there before memory is checked
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        print(json.dumps(pool.map(grown, json.loads(sys.argv[1]), chunksize=1)))
