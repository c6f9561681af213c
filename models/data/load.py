"""One name in, one data set out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from models.data.cifar import CIFAR10, CIFAR100, cifar_files, load_cifar
from models.data.digits import load_digits
from models.data.download import SOURCES, default_cache, download
from models.data.mnist import load_mnist, mnist_files
from models.data.own import load_npz
from models.data.pictures import digest_of, load_pictures
from models.data.sets import Dataset

FORMS: Mapping[str, tuple[tuple[int, int, int], int]] = {
    "digits": ((1, 8, 8), 10),
    "mnist": ((1, 28, 28), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
}
"""(C, H, W) of an image, and the number of classes."""
DATASETS = tuple(FORMS)
CIFAR = {"cifar10": CIFAR10, "cifar100": CIFAR100}
OWN_SUFFIX = ".npz"


def load_data(name: str | Path, data_dir: Path | None = None) -> Dataset:
    """The data set of that name, or your own: an .npz file (`models.data.own`) or a folder (`models.data.pictures`).

    Args:
        name: one of `DATASETS`, or the path of a file that ends in .npz or of a folder.
        data_dir: where the files of that name already are, in the layout and format of their authors; nothing is
            downloaded then. None downloads them once into the cache. Digits, embedded in scikit-learn, and your own
            data need none.

    Raises:
        ValueError: no such data set, or a damaged file.
        FileNotFoundError: a file is missing in `data_dir`.
        DownloadError: a file could not be downloaded, or was not the right one.
    """
    if (path := own_path(name)) is not None:
        return load_npz(path) if path.suffix == OWN_SUFFIX else load_pictures(path)
    if name == "digits":
        return load_digits()
    folder = download(SOURCES[str(name)], default_cache()) if data_dir is None else data_dir
    return load_mnist(folder) if name == "mnist" else load_cifar(folder, CIFAR[str(name)])


def check_data(name: str | Path, data_dir: Path | None = None) -> None:
    """Refuse what `load_data` could not load, before any work is begun; nothing is downloaded.

    Raises:
        ValueError: the message names the file, what is wrong in it and what was expected.
    """
    if own_path(name) is not None:
        load_data(name)
        return
    if data_dir is None or name == "digits":
        return
    if not data_dir.is_dir():
        raise ValueError(f"data_dir is {str(data_dir)!r}, expected a folder")
    try:
        _ = mnist_files(data_dir) if name == "mnist" else cifar_files(data_dir, CIFAR[str(name)])
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error


def form_of(name: str | Path) -> tuple[tuple[int, int, int], int]:
    """(C, H, W) of an image and the number of classes; only data of your own are read for it."""
    if own_path(name) is None:
        return FORMS[str(name)]
    data = load_data(name)
    return data.train.shape, data.classes


def data_sha256(name: str | Path) -> str | None:
    """Digest of data of your own, to tell two of them apart; None for a name, whose files are known."""
    path = own_path(name)
    if path is None:
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else digest_of(path)


def own_path(name: str | Path) -> Path | None:
    """The file or folder of your own that is meant, or None for one of `DATASETS`; ValueError for neither."""
    if name in DATASETS:
        return None
    path = Path(name)
    if path.is_dir() or (path.suffix == OWN_SUFFIX and path.is_file()):
        return path
    choices = f"choose from {', '.join(DATASETS)}, an existing file that ends in {OWN_SUFFIX}, or a folder of pictures"
    if path.exists():
        raise ValueError(f"data set {str(name)!r} is a file that does not end in {OWN_SUFFIX}: {choices}")
    near = get_close_matches(str(name), DATASETS, 1)
    hint = f" did you mean {near[0]}?" if near else ""
    raise ValueError(f"unknown data set {str(name)!r}:{hint} {choices}")
