"""Answers by few sweeps are those of all steps; a search steered by near scores is judged by what predicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
import torch
from helpers.ep_examples import conv_network, random_images
from torch import Tensor

from bench.robustness import swift
from bench.robustness.attacks.square import Square
from bench.robustness.attacks.target import Target
from bench.robustness.ball import Ball
from bench.robustness.swift import WithoutDoubt, scores_near, wrong_by
from bench.robustness.victim import Settling
from models.ep.network import EPNetwork

STEPS = 40


@pytest.fixture(scope="module")
def victim() -> Settling:
    """A network whose answers lie close together: its readout is small."""
    drawn = conv_network(1, gain=0.5).map_parameters(Tensor.float)
    return Settling(drawn, STEPS)


def test_answers_are_those_of_all_steps_also_where_classes_nearly_tie(victim: Settling) -> None:
    images = random_images(400).float()
    # between any two images of different classes lie images that are nearly between the classes: bisected
    with torch.no_grad():
        labels = victim.predict(images).argmax(dim=1)
        low, high, truth = images[:200], images[200:], labels[:200]
        for _ in range(16):
            middle = (low + high) / 2
            same = (victim.predict(middle).argmax(dim=1) == truth)[:, None, None, None]
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    shown = torch.cat([images, low, high])
    answers = torch.cat([labels, truth, truth])
    wrong = victim.judge(images[:50], labels[:50])
    assert isinstance(wrong, WithoutDoubt), "few sweeps pay on this network"
    assert wrong(shown, answers).tolist() == victim.target(shown, answers).wrong(shown).tolist()
    assert bool(wrong(high, truth).any()), "some of the bisected images crossed a border"


@dataclass(frozen=True)
class Fixed:
    """Scores of images whose pixels they are, and how much the last sweep changed."""

    changed: float

    def last_two(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores = images.flatten(1)
        return scores - self.changed, scores


@pytest.mark.parametrize(("error", "changed"), [(0.01, 0.0), (0.0, 0.01), (0.01, 0.005), (0.002, 0.01)])
def test_only_what_is_in_doubt_is_asked_again(error: float, changed: float) -> None:
    """A lead of 8 times the larger of error and change, 0.08, is the border."""
    leads = torch.tensor([-1.0, -0.09, -0.079, 0.0, 0.079, 0.09, 1.0])
    images = torch.stack([torch.zeros_like(leads), leads], dim=1)[:, :, None, None]
    seen: list[float] = []

    def closer(shown: Tensor, labels: Tensor) -> Tensor:
        seen.extend(shown[:, 1, 0, 0].tolist())
        return torch.ones(len(labels), dtype=torch.bool)

    judge = WithoutDoubt(Fixed(changed), error, closer)  # type: ignore[arg-type]
    wrong = judge(images, torch.zeros(len(leads), dtype=torch.int64))
    assert seen == pytest.approx([-0.079, 0.0, 0.079])
    assert wrong.tolist() == [False, False, True, True, True, True, True]


def test_a_network_that_needs_many_sweeps_is_asked_by_all_its_steps(victim: Settling, monkeypatch) -> None:
    monkeypatch.setattr(swift, "MOST_DOUBT", {torch.float32: -1.0, torch.bfloat16: -1.0})
    images = random_images(20).float()
    labels = victim.predict(images).argmax(dim=1)
    wrong = wrong_by(victim.network, victim.predict, images, labels)
    assert not isinstance(wrong, WithoutDoubt)
    assert not bool(wrong(images, labels).any())


def test_scores_of_queries_are_near_or_those_that_predict(victim: Settling, monkeypatch) -> None:
    images = random_images(60, 1).float()
    near = scores_near(victim.network, victim.predict, images[:16])
    assert near is not victim.predict
    assert float((near(images) - victim.predict(images)).abs().max()) < 2 * swift.NEAR
    monkeypatch.setattr(swift, "NEAR", -1.0)
    exact = victim.predict
    assert scores_near(victim.network, exact, images[:16]) is exact


def test_square_by_scores_that_lie_brings_down_nothing_that_stands(victim: Settling) -> None:
    """Steered by the scores of another network it may find less, and never claims what is not wrong."""
    images = random_images(40, 2).float()
    labels = victim.predict(images).argmax(dim=1)
    target = victim.target(images, labels)
    other: EPNetwork = conv_network(9, gain=0.5).map_parameters(Tensor.float)
    ball = Ball("Linf", 0.05)
    for lying in (Settling(other, STEPS).predict, partial(_label_last, classes=victim.predict(images).shape[1])):
        found = Square(ball, queries=30).find(target, lying)
        assert found.fell.tolist() == target.wrong(found.images).tolist()
    near = Square(ball, queries=60).find(target, victim.asked(images[:16]))
    exact = Square(ball, queries=60).find(target)
    assert int((near.fell != exact.fell).sum()) <= 1
    assert near.fell.tolist() == target.wrong(near.images).tolist()
    assert Target(victim.predict, images, labels).wrong(near.images).any()


def _label_last(images: Tensor, classes: int) -> Tensor:
    """Scores by which every image is wrong, and more so every time."""
    return torch.rand(len(images), classes, generator=torch.Generator().manual_seed(int(images.sum() * 1e3)))
