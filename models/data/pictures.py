"""A folder of class folders of pictures as a data set.

    folder/cat/1.png  folder/cat/2.png  folder/dog/1.png ...            cut into train, validation and test here
    folder/train/cat/1.png ... folder/validation/... folder/test/...    cut already

Classes are numbered in the order of the names of their folders. All pictures have one size, and all are grey or all are
coloured. Files whose name begins with a dot are not read, nor are those beside the folders.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.own import SPLITS, dataset_of
from models.data.sets import Dataset

MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
"""Of what Pillow reads: grey values, or red, green and blue, of 8 bits."""


def load_pictures(folder: Path) -> Dataset:
    """The data set in a folder as described at the head of this module.

    Raises:
        ValueError: the message names the file or folder and what was expected.
    """
    files = picture_files(folder)
    pictures: list[NDArray[np.uint8]] = []
    for path in files:
        pictures.append(_read(path))
        if pictures[-1].shape != pictures[0].shape:
            first, last = (_size(picture) for picture in (pictures[0], pictures[-1]))
            raise ValueError(f"{path} is {last}, {files[0]} {first}: expected one size and kind")
    names = sorted({path.parent.name for path in files})
    labels = np.array([names.index(path.parent.name) for path in files])
    split = [path.parent.parent.name for path in files] if _is_cut(folder) else None
    images = np.stack(pictures)
    return dataset_of(
        images,
        labels,
        split=split,
        layout="NHWC" if images.ndim == 4 else None,
        name=str(folder),
        sha256=digest_of(folder),
    )


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, class by class in the order of names."""
    parts = [folder / name for name in SPLITS] if _is_cut(folder) else [folder]
    classes = [path for part in parts for path in _folders(part)]
    if not classes:
        raise ValueError(f"{folder} has no folders, expected one for every class with its pictures in it")
    files = []
    for place in classes:
        inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        if not inside:
            raise ValueError(f"{place} is empty, expected the pictures of the class {place.name!r}")
        files += inside
    return files


def digest_of(folder: Path) -> str:
    """sha256 of the names and the bytes of all pictures."""
    digest = hashlib.sha256()
    for path in picture_files(folder):
        name, content = str(path.relative_to(folder).as_posix()).encode(), path.read_bytes()
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def _is_cut(folder: Path) -> bool:
    return {path.name for path in _folders(folder)} == set(SPLITS)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _read(path: Path) -> NDArray[Any]:
    """(H, W) or (H, W, 3) uint8."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected a picture")
    try:
        with Image.open(path) as picture:
            if picture.mode not in MODES:
                raise ValueError(f"its pixels are {picture.mode}, expected one of {', '.join(MODES)}")
            return np.asarray(picture.convert(MODES[picture.mode]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a whole picture that can be read: {error}") from error


def _size(picture: NDArray[Any]) -> str:
    height, width = picture.shape[:2]
    return f"{width} x {height} {'grey' if picture.ndim == 2 else 'coloured'}"
