"""CIFAR's batches, written here as Python 2 and Python 3 pickle them."""

from __future__ import annotations

import dataclasses
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from models.data import Dataset
from models.data.cifar import CIFAR10, CIFAR100, FileLayout, load_cifar

ROWS = 8
SMALL = {
    "cifar10": dataclasses.replace(CIFAR10, train_rows=ROWS, test_rows=ROWS),
    "cifar100": dataclasses.replace(CIFAR100, train_rows=5 * ROWS, test_rows=ROWS),
}


def images(n: int, offset: int = 0) -> np.ndarray:
    """(n, 3, 32, 32): image i is offset + i + 80 channel + row + 2 column, modulo 256."""
    channel, row, column = np.ogrid[:3, :32, :32]
    return (offset + np.arange(n)[:, None, None, None] + 80 * channel + row + 2 * column).astype(np.uint8)


def batch(n: int, layout: FileLayout, offset: int = 0) -> dict[bytes, object]:
    return {
        b"batch_label": b"a batch",
        b"data": images(n, offset).reshape(n, 3072),
        layout.label_key: [(offset + i) % layout.classes for i in range(n)],
        b"filenames": [b"a.png"] * n,
    }


def write(data_dir: Path, layout: FileLayout) -> Path:
    """All files of a layout; returns the first training file."""
    folder = data_dir / layout.folder
    folder.mkdir(parents=True)
    for i, name in enumerate(layout.train):
        content = batch(layout.train_rows, layout, offset=i * layout.train_rows)
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    (folder / layout.test).write_bytes(pickle.dumps(batch(layout.test_rows, layout, offset=90), protocol=2))
    return folder / layout.train[0]


def load(data_dir: Path, layout: FileLayout) -> Dataset:
    return load_cifar(data_dir, layout, validation=4)


def python2_pickle(n: int) -> bytes:
    """A batch in the opcodes of the official archive: Python 2 strings, array content as one of them."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    content = images(n).tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R(K\x01"
        b"K"
        + bytes([n])
        + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    )
    labels = b"](" + b"".join(b"K" + bytes([i % 10]) for i in range(n)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."


def test_the_layouts_hold_the_official_counts() -> None:
    for layout in (CIFAR10, CIFAR100):
        assert len(layout.train) * layout.train_rows == 50_000
        assert layout.test_rows == 10_000


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_every_pixel_is_where_it_was_written(tmp_path: Path, name: str) -> None:
    layout = SMALL[name]
    write(tmp_path, layout)
    data = load(tmp_path, layout)
    assert (data.name, data.classes, data.train.shape) == (name, layout.classes, (3, 32, 32))
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 8)
    assert torch.equal(data.test.labels, torch.arange(90, 98) % layout.classes)
    assert torch.equal(data.test.pixels, torch.from_numpy(images(8, 90)))
    assert data.test.pixels[0, :, 1, 2].tolist() == [95, 175, 255]  # red, green, blue of row 1, column 2
    first = torch.cat([data.train.pixels, data.validation.pixels])[:, 0, 0, 0].to(torch.int64)
    labels = torch.cat([data.train.labels, data.validation.labels])
    assert torch.equal(first.sort().values, torch.arange(40))
    assert torch.equal(first % layout.classes, labels)


def test_a_python_2_pickle_reads_the_same(tmp_path: Path) -> None:
    layout = SMALL["cifar10"]
    path = write(tmp_path, layout)
    expected = load(tmp_path, layout)
    path.write_bytes(python2_pickle(ROWS))
    data = load(tmp_path, layout)
    assert torch.equal(data.train.pixels, expected.train.pixels)
    assert torch.equal(data.train.labels, expected.train.labels)


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    layout = SMALL["cifar10"]
    write(tmp_path, layout)
    (tmp_path / layout.folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name} not found: .*cifar-10-python.tar.gz .*--data-dir"):
        load(tmp_path, layout)


GOOD = batch(ROWS, CIFAR10)
DATA = images(ROWS).reshape(ROWS, 3072)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch(7, CIFAR10), r"data is \(7, 3072\), expected \(8, 3072\)"),
        (GOOD | {b"data": DATA[:, :3000].copy()}, r"data is \(8, 3000\), expected \(8, 3072\)"),
        (GOOD | {b"data": DATA.astype(np.int16)}, r"\(8, 3072\) of type 'i2'"),
        (GOOD | {b"data": np.asfortranarray(DATA)}, r"Fortran order True"),
        (GOOD | {b"data": DATA.reshape(-1)}, r"array without a \(rows, columns\) shape"),
        (GOOD | {b"data": [1, 2]}, r"data is a list, expected an array"),
        (GOOD | {b"labels": [1] * 7}, r"labels are 7 of them, expected a list of 8"),
        (GOOD | {b"labels": b"12345678"}, r"labels are a bytes, expected a list of 8"),
        (GOOD | {b"labels": [0] * 7 + [10]}, r"label 10, expected an integer in 0..9"),
        (GOOD | {b"labels": [0] * 7 + [-1]}, r"label -1, expected"),
        (GOOD | {b"labels": [0] * 7 + [1.0]}, r"label 1.0, expected"),
        ({b"data": DATA}, r"keys \[\"b'data'\"\], expected b'labels' among them"),
        ([1, 2, 3], r"holds a list, expected a dict"),
    ],
)
def test_a_wrong_batch_is_named(tmp_path: Path, content: object, message: str) -> None:
    layout = SMALL["cifar10"]
    path = write(tmp_path, layout)
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=rf"data_batch_1.*{message}"):
        load(tmp_path, layout)


@pytest.mark.parametrize("key", [b"labels", b"coarse_labels"])
def test_cifar100_takes_fine_labels_only(tmp_path: Path, key: bytes) -> None:
    layout = SMALL["cifar100"]
    path = write(tmp_path, layout)
    path.write_bytes(pickle.dumps({b"data": images(40).reshape(40, 3072), key: [0] * 40}, protocol=2))
    with pytest.raises(ValueError, match=r"expected b'fine_labels' among them"):
        load(tmp_path, layout)
