"""The digits embedded in scikit-learn: real data that needs no download."""

from __future__ import annotations

import numpy as np
import torch

from models.data.sets import Dataset, ImageSet
from models.data.splits import SPLIT_SEED, stratified_order

IMAGES = 1_797
TRAIN, VALIDATION, TEST = 1_257, 180, 360


def load_digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels with values 0..16, 13 writers, all splits drawn from the same writers.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49 (its test part), as distributed with scikit-learn.
    """
    images = embedded_digits()
    train, validation, test = split_digits(images.labels)
    split = (
        f"stratified_order of the {IMAGES} images of scikit-learn, seed={SPLIT_SEED}: "
        f"first {TRAIN} train, next {VALIDATION} validation, last {TEST} test"
    )
    return Dataset("digits", 10, images.select(train), images.select(validation), images.select(test), split)


def embedded_digits() -> ImageSet:
    """All digits in the order of scikit-learn."""
    # Here and not at the top: scikit-learn takes seconds to import, and the other data sets do without it.
    from sklearn import datasets

    bunch = datasets.load_digits()
    if bunch.images.shape != (IMAGES, 8, 8):
        raise ValueError(f"the digits of scikit-learn are {bunch.images.shape}, expected {(IMAGES, 8, 8)}")
    pixels = torch.from_numpy(bunch.images.astype(np.uint8)).unsqueeze(1)
    return ImageSet(pixels, torch.from_numpy(bunch.target.astype(np.int64)), scale=16)


def split_digits(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Indices (1257,), (180,) and (360,) of the train, validation and test images among all (1797,)."""
    train, validation, test = stratified_order(labels, SPLIT_SEED).split([TRAIN, VALIDATION, TEST])
    return train, validation, test
