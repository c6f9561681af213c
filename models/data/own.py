"""Images of your own as a data set: arrays in memory, or those in an .npz file.

images   (N, H, W), (N, H, W, C) or (N, C, H, W): uint8 from 0 (black) to 255, or floats in [0, 1]
labels   (N,) integers from 0, without a gap
split    (N,) of "train", "validation" and "test", if you have a split; 70, 10 and 20 % of every class if not
layout   "NCHW" or "NHWC", where the shape of images does not tell: it does if C is 1 or 3
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import ArrayLike, NDArray

from models.data.sets import Dataset, ImageSet
from models.data.splits import SPLIT_SEED, stratified_order

SPLITS = ("train", "validation", "test")
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
"""Of all images, where nobody has cut them; as in digits."""
LAYOUTS = ("NCHW", "NHWC")
REQUIRED, OPTIONAL = ("images", "labels"), ("split", "layout")
DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
"""What reading a damaged .npz file may raise, beside ValueError."""


def dataset_of(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    split: ArrayLike | None = None,
    layout: str | None = None,
    name: str = "arrays",
    sha256: str | None = None,
) -> Dataset:
    """A data set of arrays as described at the head of this module; torch tensors are welcome.

    Without a split they are cut the same way on every machine. `name` is what results call it, `sha256` the digest of
    the file they are from; None digests the arrays.

    Raises:
        ValueError: arrays that are no such data set; the message names the array, its value and what was expected.
    """
    try:
        numbers = _labels(np.asarray(labels))
        pixels, scale = _pixels(np.asarray(images), layout)
        if len(pixels) != len(numbers):
            raise ValueError(f"images are {len(pixels)}, labels {len(numbers)}: expected one label per image")
        whole = ImageSet(torch.from_numpy(pixels), torch.from_numpy(numbers), scale)
        parts, cut = _cut(whole.labels, None if split is None else np.asarray(split))
        lacking = set(range(int(numbers.max()) + 1)) - set(whole.labels[parts["train"]].tolist())
        if lacking:
            raise ValueError(f"class {min(lacking)} has no image in train: it could not be learnt")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if sha256 is None:
        sha256 = _digest(pixels, numbers)
    named = {part: whole.select(indices) for part, indices in parts.items()}
    return Dataset(name, int(numbers.max()) + 1, **named, split=cut, sha256=sha256)


def load_npz(path: Path) -> Dataset:
    """The data set in an .npz file (`numpy.savez`) with the arrays named at the head of this module.

    Raises:
        ValueError: the message names the file, the array, its value and what was expected.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    try:
        file = np.load(BytesIO(content), allow_pickle=False)
        if not isinstance(file, NpzFile):
            raise ValueError("it is one bare array")
    except (*DAMAGED, ValueError) as error:
        raise ValueError(f"{path}: truncated or not an .npz file: {error}") from error
    with file:
        _check_keys(path, file)
        arrays = {key: _array(path, file, key) for key in file.files}
    layout = str(arrays["layout"]) if "layout" in arrays else None
    sha256 = hashlib.sha256(content).hexdigest()
    return dataset_of(
        arrays["images"], arrays["labels"], split=arrays.get("split"), layout=layout, name=str(path), sha256=sha256
    )


def _check_keys(path: Path, file: Mapping[str, Any]) -> None:
    lacking = [key for key in REQUIRED if key not in file]
    unknown = [key for key in file if key not in (*REQUIRED, *OPTIONAL)]
    if lacking or unknown:
        wrong = f"lacks {lacking[0]!r}" if lacking else f"has the unknown array {unknown[0]!r}"
        raise ValueError(
            f"{path} {wrong}: it holds {', '.join(file) or 'nothing'}, expected {' and '.join(REQUIRED)}, "
            f"and if you like {' and '.join(OPTIONAL)}"
        )


def _array(path: Path, file: Mapping[str, Any], key: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[key]
    except (*DAMAGED, ValueError) as error:  # a ValueError for objects too, which only unpickling would give
        raise ValueError(f"{path}: {key} cannot be read: {error}") from error
    return array


def _pixels(images: NDArray[Any], layout: str | None) -> tuple[NDArray[Any], int]:
    """Pixels (N, C, H, W), uint8 or float32, and the value of full brightness."""
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"images are {images.dtype}, expected uint8 from 0 to 255 or floats in [0, 1]")
    if 0 in images.shape or images.ndim not in (3, 4):
        raise ValueError(f"images are {images.shape}, expected (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if images.dtype == np.uint8 and images.max() <= 1:
        raise ValueError(
            f"images are uint8 up to {images.max()}: 255 is full brightness, so that all are black; give floats"
        )
    if images.dtype != np.uint8:
        wrong = np.argwhere(~((images >= 0) & (images <= 1)))  # NaN is wrong too
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            raise ValueError(f"images must lie in [0, 1]: image {place[0]} holds {images[place]} at {place[1:]}")
        images = images.astype(np.float32)
    if images.ndim == 3:
        if layout is not None:
            raise ValueError(f"layout is {layout!r} for images {images.shape}, which have three axes: leave it out")
        images = images[:, None]
    elif (_layout(images.shape) if layout is None else layout) == "NHWC":
        images = images.transpose(0, 3, 1, 2)
    elif layout not in (None, *LAYOUTS):
        raise ValueError(f"layout is {layout!r}, choose from {', '.join(LAYOUTS)}")
    return np.array(images, order="C"), 255 if images.dtype == np.uint8 else 1


def _layout(shape: tuple[int, ...]) -> str:
    """Which axis the colours are on, if one of the two has 1 or 3 of them and the other has not."""
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        which = "both axis 1 and axis 3 could be" if first else "neither axis 1 nor axis 3 looks like"
        raise ValueError(f"images are {shape}: {which} the 1 or 3 colours; add layout, {' or '.join(LAYOUTS)}")
    return "NCHW" if first else "NHWC"


def _labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype}, expected integers from 0")
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels are {labels.shape}, expected (N,), one integer per image")
    present = np.unique(labels)
    if present[0] < 0:
        raise ValueError(f"labels hold {present[0]}, expected integers from 0")
    if len(present) < 2:
        raise ValueError(f"labels are all {present[0]}: one class, expected at least 2")
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        raise ValueError(
            f"labels span {present[0]}..{present[-1]} and no image has {gaps[0]}: number the classes without a gap"
        )
    return labels.astype(np.int64)


def _cut(labels: torch.Tensor, split: NDArray[Any] | None) -> tuple[dict[str, torch.Tensor], str]:
    """Indices of every split, and one line on how it was cut."""
    count = len(labels)
    if split is not None:
        parts = _own_parts(split, count)
        counts = ", ".join(f"{len(indices)} {part}" for part, indices in parts.items())
        return parts, f"as its array `split` says: {counts}"
    if count < 10:
        raise ValueError(f"images are {count}: expected at least 10 to cut into {', '.join(SPLITS)}, or a split")
    validation, test = round(VALIDATION_SHARE * count), round(TEST_SHARE * count)
    sizes = [count - validation - test, validation, test]
    pieces = stratified_order(labels, SPLIT_SEED).split(sizes)
    text = (
        f"stratified_order of the {count} images, seed={SPLIT_SEED}: "
        f"first {sizes[0]} train, next {validation} validation, last {test} test"
    )
    return dict(zip(SPLITS, pieces, strict=True)), text


def _own_parts(split: NDArray[Any], count: int) -> dict[str, torch.Tensor]:
    if split.shape != (count,):
        raise ValueError(f"split is {split.shape}, expected ({count},), one word per image")
    words = [str(word) for word in split.tolist()]
    for word in words:
        if word not in SPLITS:
            raise ValueError(f"split holds {word!r}, choose from {', '.join(SPLITS)}")
    parts = {part: torch.from_numpy(np.flatnonzero(np.array(words) == part)) for part in SPLITS}
    for part, indices in parts.items():
        if not len(indices):
            raise ValueError(f"split has no image in {part!r}, expected some in each of {', '.join(SPLITS)}")
    return parts


def _digest(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
