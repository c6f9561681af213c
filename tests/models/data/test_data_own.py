"""Arrays and .npz files of one's own as data sets."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import Dataset, ImageSet, check_data, data_sha256, dataset_of, form_of, load_data
from models.train.normalisation import DEVIATIONS, normalisation_of
from models.zoo.fit import check_fit

WHOLE = {"images": np.arange(20 * 4 * 5, dtype=np.uint8).reshape(20, 4, 5), "labels": np.arange(20) % 2}


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def in_order(data: Dataset, marks: np.ndarray) -> np.ndarray:
    """Which images every split has, by the first pixel, which marks them."""
    parts = [data.train, data.validation, data.test]
    return np.concatenate([np.searchsorted(marks, part.floats()[:, 0, 0, 0].numpy()) for part in parts])


@given(
    count=st.integers(10, 60),
    classes=st.integers(2, 4),
    colours=st.sampled_from((None, 1, 3)),
    last=st.booleans(),
    floats=st.sampled_from((None, np.float16, np.float32, np.float64)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_every_image_comes_back_once_with_its_label(count, classes, colours, last, floats, seed) -> None:
    rng = np.random.default_rng(seed)
    shape = (count, 5, 7) if colours is None else (count, 5, 7, colours) if last else (count, colours, 5, 7)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    images[:, 0, 0] = np.arange(count).reshape(-1, *[1] * (len(shape) - 3)) if last or colours is None else 0
    if colours is not None and not last:
        images[:, 0, 0, 0] = np.arange(count)
    images.flat[-1] = 200
    images = images if floats is None else (images / 255).astype(floats)
    labels = rng.permutation(np.arange(count) % classes)
    data = dataset_of(images, labels)
    assert data.classes == classes
    assert data.train.shape == (colours or 1, 5, 7)
    assert (len(data.validation), len(data.test)) == (round(0.1 * count), round(0.2 * count))
    first_rows = images[:, None] if colours is None else images.transpose(0, 3, 1, 2) if last else images
    expected = (first_rows.astype(np.float32) / (255 if floats is None else 1)).astype(np.float32)
    order = in_order(data, expected[:, 0, 0, 0])
    assert sorted(order) == list(range(count))
    for part in (data.train, data.validation, data.test):
        chosen, order = order[: len(part)], order[len(part) :]
        np.testing.assert_array_equal(part.floats().numpy(), expected[chosen])
        np.testing.assert_array_equal(part.labels.numpy(), labels[chosen])
        shares = np.bincount(part.labels, minlength=classes) / len(part)
        assert np.abs(shares - np.bincount(labels) / count).max() <= 2 / len(part)  # stratified
    again = dataset_of(torch.from_numpy(images), torch.from_numpy(labels))
    assert torch.equal(again.test.pixels, data.test.pixels)
    assert again.sha256 == data.sha256
    assert dataset_of(images, (labels + 1) % classes).sha256 != data.sha256


def test_a_file_is_known_by_its_digest_and_keeps_its_own_split(tmp_path: Path) -> None:
    split = np.array(["test", "train", "validation", "train", "train"] * 4)
    path = saved(tmp_path, **WHOLE, split=split)
    data = load_data(path)
    assert data.name == str(path)
    assert data.sha256 == data_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert data.split == "as its array `split` says: 12 train, 4 validation, 4 test"
    np.testing.assert_array_equal(data.test.pixels[:, 0].numpy(), WHOLE["images"][::5])
    np.testing.assert_array_equal(data.validation.labels.numpy(), WHOLE["labels"][2::5])
    assert form_of(str(path)) == ((1, 4, 5), 2)
    assert data_sha256("digits") is None
    check_data(path)


def test_other_numbers_of_colours_need_the_layout(tmp_path: Path) -> None:
    events = np.random.default_rng(0).random((20, 2, 3, 3))
    for layout, shape in (("NCHW", (2, 3, 3)), ("NHWC", (3, 2, 3))):
        data = load_data(saved(tmp_path, images=events, labels=WHOLE["labels"], layout=layout))
        assert data.train.shape == shape
    for images, words in ((events[:, :, :, :2], "neither axis"), (events[:, [0, 1, 0]], "both axis")):
        with pytest.raises(ValueError, match=f"{words} .* colours; add layout, NCHW or NHWC"):
            dataset_of(images, WHOLE["labels"])


def changed(key: str, place: tuple[int, ...], value: float) -> np.ndarray:
    array = (WHOLE[key] / 255).astype(np.float32) if key == "images" else WHOLE[key].copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": None}, "lacks 'labels': it holds images, expected images and labels"),
        ({"images": None}, "lacks 'images'"),
        ({"spilt": np.zeros(20)}, "unknown array 'spilt'"),
        ({"images": WHOLE["images"].astype(np.int64)}, "images are int64, expected uint8 from 0 to 255 or floats"),
        ({"images": WHOLE["images"] > 3}, "images are bool"),
        ({"images": np.array([{}] * 20)}, "images cannot be read: Object arrays"),
        ({"images": WHOLE["images"].reshape(20, 20)}, "images are (20, 20), expected (N, H, W)"),
        ({"images": WHOLE["images"][:0]}, "images are (0, 4, 5)"),
        ({"images": changed("images", (3, 1, 2), np.nan)}, "images must lie in [0, 1]: image 3 holds nan at (1, 2)"),
        ({"images": changed("images", (3, 1, 2), 1.5)}, "image 3 holds 1.5 at (1, 2)"),
        ({"images": changed("images", (0, 0, 0), -0.1)}, "image 0 holds -0.1"),
        ({"images": WHOLE["images"] % 2}, "images are uint8 up to 1: 255 is full brightness"),
        ({"images": WHOLE["images"][:19]}, "images are 19, labels 20"),
        ({"layout": "NHWC"}, "layout is 'NHWC' for images (20, 4, 5), which have three axes"),
        ({"images": WHOLE["images"][..., None], "layout": "HWC"}, "layout is 'HWC', choose from NCHW, NHWC"),
        ({"labels": WHOLE["labels"] / 2}, "labels are float64, expected integers"),
        ({"labels": np.eye(20, dtype=int)}, "labels are (20, 20), expected (N,)"),
        ({"labels": np.zeros(20, int)}, "labels are all 0: one class"),
        ({"labels": WHOLE["labels"] - 1}, "labels hold -1"),
        ({"labels": WHOLE["labels"] + 1}, "labels span 1..2 and no image has 0"),
        ({"labels": WHOLE["labels"] * 2}, "labels span 0..2 and no image has 1"),
        (
            {"labels": changed("labels", (4,), 2), "split": ["test"] * 10 + ["train"] * 9 + ["validation"]},
            "class 2 has",
        ),
        ({"split": ["train"] * 20}, "split has no image in 'validation'"),
        ({"split": ["train", "val"] * 10}, "split holds 'val', choose from train, validation, test"),
        ({"split": ["train"] * 3}, "split is (3,), expected (20,)"),
        ({key: array[:9] for key, array in WHOLE.items()}, "images are 9: expected at least 10"),
    ],
)
def test_what_is_no_data_set_is_refused_by_file_and_array(arrays: dict, message: str, tmp_path: Path) -> None:
    contents = {key: array for key, array in {**WHOLE, **arrays}.items() if array is not None}
    path = saved(tmp_path, **contents)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}"):
        check_data(path)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = saved(tmp_path, **WHOLE).read_bytes()
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    flipped = bytearray(whole)
    flipped[200] ^= 255
    for content in (b"", b"no zip", whole[: len(whole) // 2], bytes(flipped), array.read_bytes()):
        path = tmp_path / "damaged.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}"):
            check_data(path)


def test_paths_that_are_no_data_set_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "mine.csv"
    text.write_text("1,2")
    for name, message in (
        (text, "is a file that does not end in .npz: choose from digits"),
        (tmp_path / "gone.npz", "unknown data set"),
        ("minst", "did you mean mnist"),
    ):
        with pytest.raises(ValueError, match=message):
            check_data(name)
    with pytest.raises(ValueError, match="expected the idx files of MNIST"):
        check_data("mnist", tmp_path)
    with pytest.raises(ValueError, match="data_batch_1 not found"):
        check_data("cifar10", tmp_path)
    with pytest.raises(ValueError, match="expected a folder"):
        check_data("cifar10", text)
    check_data("digits", text)


def test_float_images_are_kept_and_checked() -> None:
    pixels = torch.rand((4, 2, 3, 3), generator=torch.Generator().manual_seed(0))
    images = ImageSet(pixels, torch.arange(4), 1)
    assert torch.equal(images.floats(), pixels)
    assert torch.equal(images.select(torch.tensor([2, 0])).pixels, pixels[[2, 0]])
    normalisation = normalisation_of(images)
    torch.testing.assert_close(normalisation.mean, pixels.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(
        normalisation.size, DEVIATIONS * pixels.transpose(0, 1).flatten(1).std(dim=1, unbiased=False)
    )
    for wrong, scale in ((pixels * 1.5, 1), (pixels - 0.5, 1), (pixels * torch.nan, 1), (pixels, 255)):
        with pytest.raises(ValueError, match="pixels are floats"):
            ImageSet(wrong, torch.arange(4), scale)
    with pytest.raises(ValueError, match=r"colour 1 is 0\.5 in all images"):
        normalisation_of(ImageSet(torch.stack([pixels[:, 0], torch.full((4, 3, 3), 0.5)], 1), torch.arange(4), 1))


def test_a_network_that_data_do_not_fit_is_named_with_both_shapes(tmp_path: Path) -> None:
    check_fit("digits", "digits")
    with pytest.raises(ValueError, match=r"'mnist' reads .* \(1, 28, 28\), those of digits are \(1, 8, 8\)"):
        check_fit("mnist", "digits")
    path = saved(tmp_path, images=np.random.default_rng(0).random((20, 8, 8)), labels=WHOLE["labels"])
    with pytest.raises(ValueError, match=rf"'digits' tells 10 classes apart, {re.escape(str(path))} has 2"):
        check_fit("digits", path)
