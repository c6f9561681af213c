"""Averages of weights, filters of mean zero, and images mirrored in turn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.data import ImageSet
from models.train.averaging import Averages
from models.train.batches import batches
from models.train.loop import generator_of, train


def test_averages_are_the_weights_until_half_and_forget_geometrically_after() -> None:
    weights = {"w": torch.zeros(1)}
    averages = Averages(weights, 0.75)
    seen = []
    for step in range(1, 9):
        weights["w"].fill_(float(step))
        averages.follow(weights, step / 8)
        seen.append(float(averages.tensors["w"]))
    expected = [1.0, 2.0, 3.0]
    for step in range(4, 9):
        expected.append(0.75 * expected[-1] + 0.25 * step)
    assert seen == pytest.approx(expected)


def test_the_network_that_is_kept_and_watched_is_the_average() -> None:
    last = train(bars(), tiny_recipe(6), seed=0)
    # an average that forgets at once is the last
    same = train(bars(), tiny_recipe(6, averaged=0.0), seed=0)
    for name, tensor in last.network.named_parameters().items():
        torch.testing.assert_close(same.network.named_parameters()[name], tensor)
    slow = train(bars(), tiny_recipe(6, averaged=0.99), seed=0)
    name = "link1.weight"
    assert float((slow.network.named_parameters()[name] - last.network.named_parameters()[name]).norm()) > 1e-3
    assert [record.train_accuracy for record in slow.history] == [record.train_accuracy for record in last.history]


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_filters_of_mean_zero_stay_so(optimizer: str) -> None:
    changes = {"optimizer": "muon", "bias_rate": 1e-3} if optimizer == "muon" else {}
    trained = train(bars(), replace(tiny_recipe(10), zero_mean=True, **changes), seed=0)
    for link in trained.network.links:
        assert float(link.weight.flatten(1).mean(dim=1).abs().max()) < 1e-7
    assert trained.history[-1].validation_accuracy > 0.9


def test_images_that_alternate_are_mirrored_in_every_second_epoch() -> None:
    count = 200
    pixels = torch.zeros((count, 1, 1, 2), dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(count)
    images = ImageSet(pixels, torch.arange(count), scale=255)
    recipe = tiny_recipe(4, flip=True, flip_alternates=True, shift=0)
    turned = torch.zeros((4, count), dtype=torch.bool)
    for epoch in range(1, 5):
        for batch, labels in batches(images, recipe, generator_of(0, epoch), epoch):
            turned[epoch - 1, labels] = batch[:, 0, 0, 1] > 0
    shown = turned[:, 1:]  # image 0 is black, and its own mirror image
    assert torch.equal(shown[0], ~shown[1])
    assert torch.equal(shown[0], shown[2])
    assert torch.equal(shown[1], shown[3])
    assert 60 < int(shown[0].sum()) < 140
