"""The embedded digits, pinned to the byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from models.data import load_data
from models.data.digits import embedded_digits, split_digits


def test_the_images_are_pinned() -> None:
    pixels = embedded_digits().pixels.numpy()
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


def test_the_split_is_pinned_complete_and_disjoint() -> None:
    indices = torch.cat(split_digits(embedded_digits().labels))
    assert torch.equal(indices.sort().values, torch.arange(1_797))
    digest = hashlib.sha256(indices.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "8d9510eb258f0331c1ab9717bb60fade3a07190ea37bf1c40e2e10ee299c95e6"


def test_the_splits_have_their_sizes_and_mix_the_classes_alike() -> None:
    data = load_data("digits", Path("/nowhere"))  # embedded: no file is looked for
    whole = embedded_digits().labels.bincount()
    assert (data.name, data.classes, data.train.shape) == ("digits", 10, (1, 8, 8))
    for split, size in ((data.train, 1_257), (data.validation, 180), (data.test, 360)):
        assert len(split) == size
        assert split.scale == 16
        assert torch.all((split.labels.bincount() - whole * size / 1_797).abs() < 2)
        floats = split.floats()
        assert (float(floats.min()), float(floats.max())) == (0, 1)
