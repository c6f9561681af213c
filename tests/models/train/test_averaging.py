"""Averages of weights, filters of mean zero, and images mirrored in turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ep_examples import KilledError, assert_same_bits, bars, kill_after, tiny_recipe

from models.data import ImageSet
from models.train.averaging import Averages
from models.train.batches import batches
from models.train.loop import generator_of, train
from models.train.updates import Updates


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


def test_rates_annealed_by_batch_are_those_of_the_cosine_at_every_batch() -> None:
    tensors = {"link1.weight": torch.ones(2, 3), "link2.weight": torch.ones(2, 2), "readout.weight": torch.ones(3, 2)}
    held = {name: tensor.clone() for name, tensor in tensors.items()}
    updates = Updates(held, tiny_recipe(4, momentum=0.0))
    for progress in (0.0, 0.3, 0.9):
        updates.anneal(progress)
        before = {name: tensor.clone() for name, tensor in held.items()}
        updates.apply({name: torch.ones_like(tensor) for name, tensor in tensors.items()})
        for (name, tensor), rate in zip(held.items(), (0.05, 0.05, 0.3), strict=True):
            annealed = rate * (1 + np.cos(np.pi * progress)) / 2
            torch.testing.assert_close(
                before[name] - tensor, annealed * (1 + 1e-3 * before[name]), rtol=1e-5, atol=1e-7
            )


def test_a_run_annealed_by_batch_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    recipe = tiny_recipe(4, annealed_by="batch")
    whole = train(bars(), recipe, seed=1).network
    with pytest.raises(KilledError):
        train(bars(), recipe, seed=1, state_path=tmp_path / "state", report=kill_after(2))
    resumed = train(bars(), recipe, seed=1, state_path=tmp_path / "state", resume=True)
    assert_same_bits(resumed.network, whole)
