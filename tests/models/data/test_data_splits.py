"""Cuts: complete, disjoint, and the same everywhere."""

from __future__ import annotations

import hashlib

import pytest
import torch

from models.data import ImageSet
from models.data.splits import SPLIT_SEED, hold_out, permutation, stratified_order


def digest(indices: torch.Tensor) -> str:
    return hashlib.sha256(indices.numpy().astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("n", "sha256"),
    [
        (50_000, "005f08ab93052246e0a898e97fc26678bf721745efee109736bf4e4eb605d645"),
        (60_000, "c9c72e3bfb1e9a703c39f3c8200ab1e8e94fd61cb9ab10028b4a77813bc2edde"),
    ],
)
def test_the_permutations_of_the_official_training_sets_are_pinned(n: int, sha256: str) -> None:
    order = permutation(n, SPLIT_SEED)
    assert torch.equal(order.sort().values, torch.arange(n))
    assert digest(order) == sha256


def test_seeds_differ_and_torch_plays_no_part() -> None:
    torch.manual_seed(1)
    one = permutation(100, 0)
    torch.manual_seed(2)
    assert torch.equal(one, permutation(100, 0))
    assert not torch.equal(one, permutation(100, 1))


def test_every_run_of_a_stratified_order_mixes_the_classes() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    order = stratified_order(labels, 3)
    assert torch.equal(order.sort().values, torch.arange(100))
    for start in range(0, 100, 10):
        counts = labels[order[start : start + 10]].bincount(minlength=3)
        assert torch.all((counts - torch.tensor([6, 3, 1])).abs() <= 1)


def test_hold_out_is_complete_disjoint_and_last() -> None:
    pixels = torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1)  # each image says which one it is
    training = ImageSet(pixels, torch.arange(40) % 2, 255)
    test = ImageSet(pixels[:5] + 100, torch.zeros(5, dtype=torch.int64), 255)
    data = hold_out("toy", 2, training, test, 8)
    seen = torch.cat([data.train.pixels, data.validation.pixels]).flatten().to(torch.int64)
    assert torch.equal(seen, permutation(40, SPLIT_SEED))
    assert (len(data.train), len(data.validation)) == (32, 8)
    assert torch.equal(data.validation.labels, data.validation.pixels.flatten().to(torch.int64) % 2)
    assert data.test is test
    assert "seed=0" in data.split
    assert "last 8 validation" in data.split
    assert "\n" not in data.split


@pytest.mark.parametrize("count", [0, 40, -3])
def test_hold_out_refuses_an_empty_split(count: int) -> None:
    training = ImageSet(torch.zeros(40, 1, 1, 1, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64), 255)
    with pytest.raises(ValueError, match=f"{count} validation images out of 40 of toy"):
        hold_out("toy", 2, training, training, count)
