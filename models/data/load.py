"""One name in, one data set out."""

from __future__ import annotations

from pathlib import Path

from models.data.cifar import CIFAR10, CIFAR100, load_cifar
from models.data.digits import load_digits
from models.data.download import SOURCES, default_cache, download
from models.data.mnist import load_mnist
from models.data.sets import Dataset

DATASETS = ("digits", "mnist", "cifar10", "cifar100")


def load_data(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set of that name.

    Args:
        name: one of `DATASETS`.
        data_dir: where its files already are, in the layout and format of their authors; nothing is downloaded then.
            None downloads them once into the cache. Digits are embedded in scikit-learn and read no files.

    Raises:
        ValueError: no such data set, or a damaged file.
        FileNotFoundError: a file is missing in `data_dir`.
        DownloadError: a file could not be downloaded, or was not the right one.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}, choose from {', '.join(DATASETS)}")
    if name == "digits":
        return load_digits()
    folder = download(SOURCES[name], default_cache()) if data_dir is None else data_dir
    if name == "mnist":
        return load_mnist(folder)
    return load_cifar(folder, {"cifar10": CIFAR10, "cifar100": CIFAR100}[name])
