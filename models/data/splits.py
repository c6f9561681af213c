"""How images are cut into splits: the same cut on every machine and with every version of every library."""

from __future__ import annotations

import numpy as np
import torch

from models.data.sets import Dataset, ImageSet

SPLIT_SEED = 0
"""Seed of every cut. A constant and not an option: two runs that differ here could not be compared."""
VALIDATION = 5_000
"""Images held out of an official training set."""


def permutation(n: int, seed: int) -> torch.Tensor:
    """(n,) int64, the order that sorts n random 64-bit keys.

    Not `Generator.permutation` or `torch.randperm`: their authors may change what a seed gives, whereas the raw stream
    of a numpy bit generator is promised to stay (NEP 19).
    """
    keys = np.random.PCG64(seed).random_raw(n)
    return torch.from_numpy(np.argsort(keys, kind="stable"))


def stratified_order(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """(N,) int64, a random order in which every run of consecutive images mixes the classes as the whole (N,) does.

    The r-th of a class's m images, in random order, goes to position (r + 1/2) / m, and positions are sorted.
    """
    order = permutation(len(labels), seed)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = order[labels[order] == label]
        position[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[torch.argsort(position[order], stable=True)]


def hold_out(name: str, classes: int, training: ImageSet, test: ImageSet, count: int) -> Dataset:
    """The official test set, and the official training set less the last `count` images of a fixed permutation."""
    if not 0 < count < len(training):
        raise ValueError(f"cannot hold {count} validation images out of {len(training)} of {name}")
    order = permutation(len(training), SPLIT_SEED)
    split = (
        f"official training set permuted by permutation({len(training)}, seed={SPLIT_SEED}): "
        f"first {len(training) - count} train, last {count} validation; official test set, {len(test)} test"
    )
    return Dataset(name, classes, training.select(order[:-count]), training.select(order[-count:]), test, split)
