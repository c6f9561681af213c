"""MNIST from the idx files its authors publish."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from models.data.sets import Dataset, ImageSet
from models.data.splits import VALIDATION, hold_out

FOLDER = "MNIST/raw"
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CLASSES = 10
SIDE = 28


def load_mnist(
    data_dir: Path, train_count: int = 60_000, test_count: int = 10_000, validation: int = VALIDATION
) -> Dataset:
    """70,000 handwritten digits of 28 x 28 grey pixels.

    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, Proceedings
    of the IEEE 86(11), 1998, https://doi.org/10.1109/5.726791.
    """
    paths = mnist_files(data_dir)
    training = read_split(paths[TRAIN[0]], paths[TRAIN[1]], train_count)
    test = read_split(paths[TEST[0]], paths[TEST[1]], test_count)
    return hold_out("mnist", CLASSES, training, test, validation)


def mnist_files(data_dir: Path) -> dict[str, Path]:
    """The files of every name in `TRAIN` and `TEST`; FileNotFoundError names the first that is missing."""
    return {name: find(data_dir, name) for name in (*TRAIN, *TEST)}


def find(data_dir: Path, name: str) -> Path:
    """The file `name`, plain before compressed, in `data_dir`/MNIST/raw or else in `data_dir` itself."""
    places = [data_dir / folder / (name + ending) for folder in (FOLDER, "") for ending in ("", ".gz")]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"{places[0]} not found (nor {', nor '.join(str(place) for place in places[1:])}): expected the idx files of "
        "MNIST (LeCun et al. 1998), plain or .gz; put them there, or leave out --data-dir to download them"
    )


def read_split(images_path: Path, labels_path: Path, count: int) -> ImageSet:
    """`count` images and their labels from a pair of idx files."""
    pixels, labels = read_idx(images_path, 3, count * SIDE * SIDE), read_idx(labels_path, 1, count)
    for path, shape, expected in (
        (images_path, tuple(pixels.shape), (count, SIDE, SIDE)),
        (labels_path, tuple(labels.shape), (count,)),
    ):
        if shape != expected:
            raise ValueError(f"{path} holds an array {shape}, expected {expected}")
    if int(labels.max()) >= CLASSES:
        raise ValueError(f"{labels_path} holds the label {int(labels.max())}, expected 0..{CLASSES - 1}")
    return ImageSet(pixels.unsqueeze(1), labels.to(torch.int64), scale=255)


def read_idx(path: Path, dimensions: int, size: int) -> torch.Tensor:
    """The uint8 array, of at most `size` numbers, of an idx file: 00 00, type 08, dimensions, each size as a big-endian
    int32, then the bytes. No more is read, or unpacked, than that."""
    header = 4 + 4 * dimensions
    content = _read(path, header + size)
    if len(content) < header:
        raise ValueError(f"{path} has {len(content)} bytes, its header alone needs {header}")
    magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
    if magic != 0x0800 + dimensions:
        raise ValueError(f"{path} starts with {magic:#010x}, expected {0x0800 + dimensions:#010x}")
    needed = header + math.prod(shape)
    if len(content) != needed:
        found = f"more than {header + size}" if len(content) > header + size else len(content)
        raise ValueError(f"{path} has {found} bytes, expected {needed} for the sizes {tuple(shape)} in its header")
    # A copy, because torch wants memory it may write to.
    return torch.from_numpy(np.frombuffer(content[header:], np.uint8).reshape(shape).copy())


def _read(path: Path, most: int) -> bytes:
    """At most one byte more than `most`, which tells that there are too many."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content: bytes = file.read(most + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from error
    return content
