"""Folders of pictures as data sets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.data import check_data, data_sha256, load_data


def picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def zoo(folder: Path, *parts: str, colours: tuple[int, ...] = (), count: int = 10) -> dict[str, np.ndarray]:
    """Pictures of two classes, by their place in the folder."""
    rng = np.random.default_rng(len(parts))
    made = {
        f"{part}/{name}/{number}.png".lstrip("/"): rng.integers(0, 256, (4, 6, *colours)).astype(np.uint8)
        for part in parts or ("",)
        for name in ("dog", "cat")
        for number in range(count)
    }
    for place, pixels in made.items():
        picture(folder / place, pixels)
    return made


@pytest.mark.parametrize("colours", [(), (3,)])
def test_pictures_come_back_as_they_were_drawn(tmp_path: Path, colours: tuple[int, ...]) -> None:
    made = zoo(tmp_path, colours=colours)
    (tmp_path / "README.txt").write_text("beside the folders")
    (tmp_path / "cat" / ".hidden").write_text("hidden")
    data = load_data(tmp_path)
    check_data(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test), data.classes) == (14, 2, 4, 2)
    assert data.train.shape == (*(colours or (1,)), 4, 6)
    expected = {
        (pixels.transpose(2, 0, 1) if colours else pixels[None]).tobytes(): ("cat", "dog").index(place.split("/")[0])
        for place, pixels in made.items()
    }
    parts = (data.train, data.validation, data.test)
    labels = {
        image.numpy().tobytes(): int(label)
        for part in parts
        for image, label in zip(part.pixels, part.labels, strict=True)
    }
    assert labels == expected


def test_folders_that_are_cut_already_stay_so(tmp_path: Path) -> None:
    made = zoo(tmp_path, "train", "validation", "test", count=3)
    data = load_data(str(tmp_path))
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 6, 6)
    expected = [made[f"test/{name}/{number}.png"] for name in ("cat", "dog") for number in range(3)]
    np.testing.assert_array_equal(data.test.pixels[:, 0].numpy(), expected)
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_the_digest_is_of_names_and_pictures_and_not_of_the_place(tmp_path: Path) -> None:
    for name in ("here", "there"):
        zoo(tmp_path / name)
    assert load_data(tmp_path / "here").sha256 == data_sha256(tmp_path / "there")
    (tmp_path / "there/dog/9.png").rename(tmp_path / "there/dog/a.png")
    renamed = data_sha256(tmp_path / "there")
    picture(tmp_path / "there/dog/a.png", np.zeros((4, 6), np.uint8))
    assert len({data_sha256(tmp_path / "here"), renamed, data_sha256(tmp_path / "there")}) == 3


def test_what_is_no_picture_or_does_not_go_with_the_others_is_refused_by_name(tmp_path: Path) -> None:
    zoo(tmp_path)
    odd = tmp_path / "dog" / "odd.png"

    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(str(odd))}.*{message}"):
            check_data(tmp_path)

    odd.write_text("no picture")
    refused("not a whole picture that can be read: cannot identify")
    odd.write_bytes((tmp_path / "dog/1.png").read_bytes()[:60])
    refused("not a whole picture")
    picture(odd, np.zeros((6, 4), np.uint8))
    refused("is 4 x 6 grey, .*0.png 6 x 4 grey: expected one size and kind")
    picture(odd, np.zeros((4, 6, 3), np.uint8))
    refused("is 6 x 4 coloured, .*0.png 6 x 4 grey")
    picture(odd, np.zeros((4, 6, 4), np.uint8))
    refused("its pixels are RGBA, expected one of 1, L, P, RGB")
    picture(odd, np.zeros((4, 6), np.uint16))
    refused("its pixels are I;16")
    odd.unlink()
    odd.mkdir()
    refused("is a folder, expected a picture")


def test_a_folder_without_classes_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path))} has no folders"):
        check_data(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"cat is empty, expected the pictures of the class 'cat'"):
        check_data(tmp_path)
    for number in range(12):
        picture(tmp_path / "cat" / f"{number}.png", np.full((2, 2), 9, np.uint8))
    with pytest.raises(ValueError, match="labels are all 0: one class"):
        check_data(tmp_path)
