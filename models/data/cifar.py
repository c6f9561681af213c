"""CIFAR-10 and CIFAR-100 from the "python version" pickles their author publishes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.data.sets import Dataset, ImageSet
from models.data.splits import VALIDATION, hold_out
from models.data.unpickle import PickledArray, read_pickle

SHAPE = (3, 32, 32)
VALUES = 3 * 32 * 32


@dataclass(frozen=True)
class FileLayout:
    """Where one of the two sets keeps what."""

    name: str
    """Name in `DATASETS`."""
    archive: str
    """The file it is published as."""
    folder: str
    """The folder in that archive."""
    train: tuple[str, ...]
    """Training files, in order."""
    train_rows: int
    """Images in each training file."""
    test: str
    """The test file."""
    test_rows: int
    """Images in the test file."""
    label_key: bytes
    """Which labels of a file are the classes."""
    classes: int
    """Number of classes."""


CIFAR10 = FileLayout(
    name="cifar10",
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    train_rows=10_000,
    test="test_batch",
    test_rows=10_000,
    label_key=b"labels",
    classes=10,
)
CIFAR100 = FileLayout(
    name="cifar100",
    archive="cifar-100-python.tar.gz",
    folder="cifar-100-python",
    train=("train",),
    train_rows=50_000,
    test="test",
    test_rows=10_000,
    label_key=b"fine_labels",
    classes=100,
)


def load_cifar(data_dir: Path, layout: FileLayout, validation: int = VALIDATION) -> Dataset:
    """60,000 colour photographs of 32 x 32 pixels, in 10 classes or in 100 (the fine labels).

    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    paths = cifar_files(data_dir, layout)
    training = _joined([read_batch(path, layout.train_rows, layout) for path in paths[:-1]])
    test = read_batch(paths[-1], layout.test_rows, layout)
    return hold_out(layout.name, layout.classes, training, test, validation)


def _joined(parts: list[ImageSet]) -> ImageSet:
    """All files as one; a function of its own, so that the parts do not stay in memory beside it."""
    return ImageSet(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]), 255)


def cifar_files(data_dir: Path, layout: FileLayout) -> list[Path]:
    """The files of training, then that of the test; FileNotFoundError names the first that is missing."""
    paths = [data_dir / layout.folder / name for name in (*layout.train, layout.test)]
    for path in paths:  # all of them, before the first is read
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} not found: expected the files of {layout.archive} (Krizhevsky 2009, "
                f"https://www.cs.toronto.edu/~kriz/cifar.html), unpacked in {data_dir}; "
                "put them there, or leave out --data-dir to download them"
            )
    return paths


def read_batch(path: Path, rows: int, layout: FileLayout) -> ImageSet:
    """The `rows` images of one file. Each is stored as its red rows, then its green, then its blue."""
    batch = read_pickle(path)
    for key in (b"data", layout.label_key):
        if key not in batch:
            raise ValueError(f"{path} has the keys {sorted(map(str, batch))}, expected {key!r} among them")
    values, labels = batch[b"data"], batch[layout.label_key]
    if not isinstance(values, PickledArray):
        raise ValueError(f"{path}: data is a {type(values).__name__}, expected an array")
    try:
        data = values.array()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if data.shape != (rows, VALUES):
        raise ValueError(f"{path}: data is {data.shape}, expected {(rows, VALUES)}")
    if not isinstance(labels, list) or len(labels) != rows:
        content = f"{len(labels)} of them" if isinstance(labels, list) else f"a {type(labels).__name__}"
        raise ValueError(f"{path}: {layout.label_key.decode()} are {content}, expected a list of {rows}")
    for label in labels:
        if type(label) is not int or not 0 <= label < layout.classes:
            told = label if isinstance(label, int | float) else f"of type {type(label).__name__}"
            raise ValueError(f"{path} holds the label {told}, expected an integer in 0..{layout.classes - 1}")
    # A copy, because torch wants memory it may write to.
    pixels = torch.from_numpy(data.reshape(rows, *SHAPE).copy())
    return ImageSet(pixels, torch.from_numpy(np.array(labels, dtype=np.int64)), scale=255)
