"""Augmentation: images move as a whole, some of them, and by no more than they may."""

from __future__ import annotations

import torch

from models.data.augment import shifted


def dots(count: int) -> torch.Tensor:
    """One bright pixel of two colours in the middle of 7 x 9."""
    images = torch.zeros(count, 2, 7, 9)
    images[:, 0, 3, 4], images[:, 1, 3, 4] = 1.0, 0.5
    return images


def places(images: torch.Tensor) -> list[tuple[int, int]]:
    return [tuple((image[0] == 1).nonzero()[0].tolist()) for image in images]


def test_images_move_as_a_whole_to_every_place_in_reach() -> None:
    moved = shifted(dots(600), 2, 1.0, torch.Generator().manual_seed(0))
    shifts = places(moved)
    assert set(shifts) == {(y, x) for y in range(1, 6) for x in range(2, 7)}
    for image, (y, x) in zip(moved, shifts, strict=True):
        assert image[1, y, x] == 0.5
        assert float(image.sum()) == 1.5


def test_what_moves_in_from_outside_is_zero() -> None:
    moved = shifted(torch.ones(50, 1, 5, 5), 1, 1.0, torch.Generator().manual_seed(0))
    assert set(moved.flatten(1).sum(1).tolist()) == {25.0, 20.0, 16.0}


def test_chance_is_the_share_that_moves() -> None:
    images = dots(900)
    assert torch.equal(shifted(images, 1, 0.0, torch.Generator().manual_seed(0)), images)
    still = places(shifted(images, 1, 0.5, torch.Generator().manual_seed(0))).count((3, 4))
    assert abs(still / 900 - (0.5 + 0.5 / 9)) < 0.06


def test_no_reach_moves_nothing_and_draws_nothing() -> None:
    images, generator = dots(3), torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert shifted(images, 0, 1.0, generator) is images
    assert torch.equal(generator.get_state(), before)
