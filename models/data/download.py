"""Downloads, each file checked against its known digest before anything reads it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from models.data import cifar, mnist

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"


class DownloadError(OSError):
    """A file could not be had, or was not the right one."""


@dataclass(frozen=True)
class RemoteFile:
    """Where a data set is published."""

    base: str
    """Address of the files, up to their names."""
    md5: Mapping[str, str]
    """The digest of each file, by name."""
    folder: str
    """Where in the cache the loader looks for its files."""
    members: tuple[str, ...] = ()
    """If the one file is a tar archive: which files of `folder` to take out of it."""


def _cifar_source(layout: cifar.FileLayout, md5: str) -> RemoteFile:
    return RemoteFile(_CIFAR, {layout.archive: md5}, layout.folder, (*layout.train, layout.test))


SOURCES: Mapping[str, RemoteFile] = {
    "mnist": RemoteFile(
        _MNIST,
        {
            f"{mnist.TRAIN[0]}.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            f"{mnist.TRAIN[1]}.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            f"{mnist.TEST[0]}.gz": "9fb629c4189551a2d022fa330f9573f3",
            f"{mnist.TEST[1]}.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        mnist.FOLDER,
    ),
    "cifar10": _cifar_source(cifar.CIFAR10, "c58f30108f718f92721af3b95e74349a"),
    "cifar100": _cifar_source(cifar.CIFAR100, "eb9058c3a382ffc7106e4002c42a8d85"),
}


def default_cache() -> Path:
    """The folder the platform keeps caches in, e.g. ~/.cache/ep-hardware."""
    return Path(pooch.os_cache("ep-hardware"))


def download(source: RemoteFile, cache: Path) -> Path:
    """Bring what is not there yet into `cache`, and return it: it is laid out like any other data directory."""
    folder = cache / source.folder
    if not source.members:
        for name, md5 in source.md5.items():
            fetch(source.base + name, md5, folder)
    elif not all((folder / name).is_file() for name in source.members):
        for name, md5 in source.md5.items():
            unpack(fetch(source.base + name, md5, cache), source.members, folder)
    return cache


def fetch(url: str, md5: str, folder: Path) -> Path:
    """The file of that digest in `folder`, downloaded if it is not there."""
    name = url.rsplit("/", 1)[-1]
    try:
        return Path(pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=folder))
    except (OSError, ValueError) as error:  # the network or the disk; the digest
        raise DownloadError(
            f"could not download {url}: {error}. Without a network, get the files elsewhere and pass the directory "
            "that holds them as --data-dir"
        ) from error


def unpack(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Write the files `folder.name`/member of a tar archive to `folder`, each complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in members:
            stream = tar.extractfile(f"{folder.name}/{name}")
            if stream is None:
                raise ValueError(f"{folder.name}/{name} in {archive} is not a file")
            # Renamed when whole, so that neither an interruption nor a second process leaves half a file to be found.
            part = folder / f"{name}.part{os.getpid()}"
            try:
                part.write_bytes(stream.read())
                part.replace(folder / name)
            finally:
                part.unlink(missing_ok=True)
