"""From a name to a data set."""

from __future__ import annotations

import gzip
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from models.data import DATASETS, load, load_data
from models.data.cifar import CIFAR10, CIFAR100, FileLayout


def refuse(*_: object) -> Path:
    raise AssertionError("a download was tried")


def write_mnist(folder: Path, train: int = 60_000, test: int = 10_000) -> None:
    """Black images of the official sizes, which compress to nothing."""
    folder.mkdir(parents=True)
    for prefix, count in (("train", train), ("t10k", test)):
        images = struct.pack(">4I", 0x803, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images, 1))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, 1))


def test_an_unknown_name_is_named_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "download", refuse)
    with pytest.raises(ValueError, match=r"'cifar11': did you mean cifar10\? choose from digits, mnist, cifar10"):
        load_data("cifar11")


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_given_directory_is_never_topped_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(load, "download", refuse)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        load_data(name, tmp_path)


def test_mnist_has_its_official_sizes_from_a_directory_and_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "MNIST/raw")
    monkeypatch.setattr(load, "download", lambda _source, _cache: tmp_path)
    for data in (load_data("mnist", tmp_path), load_data("mnist")):
        assert (data.name, data.classes) == ("mnist", 10)
        assert (len(data.train), len(data.validation), len(data.test)) == (55_000, 5_000, 10_000)
        assert "55000 train, last 5000 validation" in data.split


def test_another_number_of_images_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST/raw", train=100)
    with pytest.raises(ValueError, match=r"train-images.*\(100, 28, 28\), expected \(60000, 28, 28\)"):
        load_data("mnist", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [CIFAR10, CIFAR100], ids=lambda layout: layout.name)
def test_cifar_has_its_official_sizes(tmp_path: Path, layout: FileLayout) -> None:
    folder = tmp_path / layout.folder
    folder.mkdir()
    rows = dict.fromkeys(layout.train, layout.train_rows) | {layout.test: layout.test_rows}
    for name, count in rows.items():
        labels = [i % layout.classes for i in range(count)]
        batch = {b"data": np.zeros((count, 3072), np.uint8), layout.label_key: labels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    data = load_data(layout.name, tmp_path)
    assert (data.name, data.classes) == (layout.name, layout.classes)
    assert (len(data.train), len(data.validation), len(data.test)) == (45_000, 5_000, 10_000)
