"""Labelled images: what they hold, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from models.data import Dataset, ImageSet


def image_set(n: int = 6, scale: int = 255, classes: int = 3) -> ImageSet:
    pixels = (torch.arange(n * 2 * 3 * 4) % (scale + 1)).to(torch.uint8).reshape(n, 2, 3, 4)
    return ImageSet(pixels, torch.arange(n) % classes, scale)


@pytest.mark.parametrize("scale", [255, 16])
def test_floats_are_pixels_over_scale(scale: int) -> None:
    images = image_set(20, scale)
    floats = images.floats()
    assert floats.dtype == torch.float32
    assert float(floats.min()) == 0
    assert float(floats.max()) == 1
    assert torch.equal((floats * scale).round().to(torch.uint8), images.pixels)


def test_batch_takes_images_in_the_order_asked() -> None:
    images = image_set()
    indices = torch.tensor([4, 0, 4])
    floats, labels = images.batch(indices)
    assert torch.equal(floats, images.floats()[indices])
    assert torch.equal(labels, images.labels[indices])
    assert torch.equal(images.select(indices).floats(), floats)


def test_first_is_a_view_of_the_first() -> None:
    images = image_set()
    some = images.first(2)
    assert len(some) == 2
    assert some.shape == images.shape == (2, 3, 4)
    assert some.pixels.data_ptr() == images.pixels.data_ptr()
    assert len(images.first(6)) == 6
    for n in (0, 7, -1):
        with pytest.raises(ValueError, match=rf"first {n} of 6"):
            images.first(n)


def test_to_keeps_the_integers() -> None:
    moved = image_set().to("cpu")
    assert moved.pixels.dtype == torch.uint8
    assert torch.equal(moved.pixels, image_set().pixels)


def test_refuses_what_is_no_image_set() -> None:
    pixels, labels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"float64, expected \(N, C, H, W\)"):
        ImageSet(pixels.double(), labels, 255)
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        ImageSet(pixels[:, 0], labels, 255)
    with pytest.raises(ValueError, match="N > 0"):
        ImageSet(pixels[:0], labels[:0], 255)
    with pytest.raises(ValueError, match=r"labels are \(1,\)"):
        ImageSet(pixels, labels[:1], 255)
    with pytest.raises(ValueError, match=r"labels are .* torch\.int32"):
        ImageSet(pixels, labels.to(torch.int32), 255)
    with pytest.raises(ValueError, match="scale 256"):
        ImageSet(pixels, labels, 256)
    with pytest.raises(ValueError, match="pixel value 17 exceeds the scale 16"):
        ImageSet(pixels + 17, labels, 16)


def test_a_data_set_checks_its_splits() -> None:
    images = image_set()
    with pytest.raises(ValueError, match=r"toy test labels span 0..2, expected 0..1"):
        Dataset("toy", 2, image_set(classes=2), image_set(classes=2), images, "by hand")
    other = ImageSet(images.pixels[:, :1], images.labels, 255)
    with pytest.raises(ValueError, match=r"toy validation images are \(1, 3, 4\), those of train \(2, 3, 4\)"):
        Dataset("toy", 3, images, other, images, "by hand")
