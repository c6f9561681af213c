"""MNIST's idx files, written here as LeCun describes them."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from models.data import Dataset
from models.data.mnist import load_mnist, read_idx

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + np.ascontiguousarray(array, dtype=np.uint8).tobytes()


def files(train: int = 30, test: int = 10) -> dict[str, bytes]:
    """Image n is n + row + 2 column, its label n modulo 10."""
    row, column = np.ogrid[:28, :28]

    def images(n: int) -> np.ndarray:
        return np.arange(n)[:, None, None] + row + 2 * column

    return {
        TRAIN_IMAGES: idx(images(train)),
        TRAIN_LABELS: idx(np.arange(train) % 10),
        TEST_IMAGES: idx(images(test)),
        TEST_LABELS: idx(np.arange(test) % 10),
    }


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def load(data_dir: Path) -> Dataset:
    return load_mnist(data_dir, train_count=30, test_count=10, validation=5)


@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_pixel_is_where_it_was_written(tmp_path: Path, folder: str, ending: str) -> None:
    pack = gzip.compress if ending else bytes
    write(tmp_path / folder, {name + ending: pack(content) for name, content in files().items()})
    data = load(tmp_path)
    assert (data.name, data.classes, data.test.shape) == ("mnist", 10, (1, 28, 28))
    assert (len(data.train), len(data.validation), len(data.test)) == (25, 5, 10)
    row, column = torch.arange(28)[:, None], torch.arange(28)[None, :]
    assert torch.equal(data.test.labels, torch.arange(10))
    for n in range(10):
        assert torch.equal(data.test.pixels[n, 0].to(torch.int64), n + row + 2 * column)
    for split in (data.train, data.validation):
        assert torch.equal(split.pixels[:, 0, 0, 0].to(torch.int64) % 10, split.labels)


def test_the_folder_of_the_authors_comes_before_the_directory(tmp_path: Path) -> None:
    write(tmp_path / "MNIST/raw", files())
    write(tmp_path, dict.fromkeys(files(), b"not read"))
    assert len(load(tmp_path).test) == 10


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, {other: content for other, content in files().items() if other != name})
    with pytest.raises(FileNotFoundError, match=rf"MNIST/raw/{name} not found .*LeCun.* --data-dir"):
        load(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere/MNIST/raw/train-images"):
        load(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (TRAIN_IMAGES, b"", r"has 0 bytes, its header alone needs 16"),
        (TRAIN_IMAGES, files()[TRAIN_LABELS], r"starts with 0x00000801, expected 0x00000803"),
        (TRAIN_LABELS, files()[TRAIN_IMAGES], r"starts with 0x00000803, expected 0x00000801"),
        (TRAIN_IMAGES, files()[TRAIN_IMAGES][:-1], r"has 23535 bytes, expected 23536"),
        (TRAIN_IMAGES, files()[TRAIN_IMAGES] + b"\0", r"has more than 23536 bytes, expected 23536"),
        (TEST_LABELS, files()[TEST_LABELS] + b"\0", r"has more than 18 bytes, expected 18"),
        (TRAIN_IMAGES, files(29)[TRAIN_IMAGES], r"array \(29, 28, 28\), expected \(30, 28, 28\)"),
        (TRAIN_IMAGES, idx(np.zeros((0, 28, 28))), r"array \(0, 28, 28\), expected \(30, 28, 28\)"),
        (TRAIN_IMAGES, idx(np.zeros((30, 28, 27))), r"array \(30, 28, 27\), expected \(30, 28, 28\)"),
        (TRAIN_LABELS, files(31)[TRAIN_LABELS], r"array \(31,\), expected \(30,\)"),
        (TEST_LABELS, idx(np.arange(10) + 1), r"label 10, expected 0..9"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path, files() | {name: content})
    with pytest.raises(ValueError, match=f"{name} .*{message}"):
        load(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "flipped"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: str) -> None:
    packed = gzip.compress(files()[TRAIN_IMAGES])
    middle = len(packed) // 2
    content = {
        "truncated": packed[:middle],
        "not gzip": b"<html>404</html>",
        "flipped": packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :],
    }[damage]
    path = write(tmp_path, {f"{TRAIN_IMAGES}.gz": content}) / f"{TRAIN_IMAGES}.gz"
    with pytest.raises(ValueError, match=rf"{TRAIN_IMAGES}\.gz is not a whole gzip file"):
        read_idx(path, 3, 30 * 28 * 28)


def test_a_compressed_file_is_unpacked_no_further_than_it_should_reach(tmp_path: Path) -> None:
    """652 kB that would unpack to 650 MB."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(struct.pack(">4I", 0x0803, 2**20, 25, 25))
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="has more than 796 bytes, expected 655360016 for the sizes"):
        read_idx(path, 3, 780)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
