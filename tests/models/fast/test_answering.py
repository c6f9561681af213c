"""Answers that do not wait: the same as of whole settles, image by image."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import conv_network, random_images

from models.data import load_data
from models.ep.relaxation import relax
from models.fast.answering import answer
from models.fast.settling import Engine
from models.zoo import load_model


def test_digits_get_the_answer_of_the_equilibrium_in_fewer_sweeps() -> None:
    network, images = load_model("digits"), load_data("digits").test.floats()[:200]
    answers = answer(Engine(network, torch.float32), images, limit=100)
    rest = relax(network, images, steps=200).states[-1]
    assert torch.equal(answers.scores.argmax(dim=1), network.logits(rest).argmax(dim=1))
    assert float(answers.sweeps.double().mean()) < 12
    # images differ, and each has the scores of its own last sweep
    for sweeps in answers.sweeps.unique().tolist():
        chosen = answers.sweeps == sweeps
        states = relax(network, images[chosen], steps=sweeps, schedule="rising").states[-1]
        torch.testing.assert_close(answers.scores[chosen], network.logits(states), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_without_an_assurance_to_reach_all_run_to_the_limit(pooling: str) -> None:
    network, images = conv_network(2, pooling=pooling), random_images(5)
    engine = Engine(network, torch.float64)
    answers = answer(engine, images, limit=4, assurance=float("inf"))
    expected = network.logits(relax(network, images, steps=4, schedule="rising").states[-1])
    assert answers.sweeps.tolist() == [4] * 5
    torch.testing.assert_close(answers.scores, expected, rtol=0, atol=1e-12)


def test_images_leave_a_batch_with_max_pooling_too() -> None:
    network, images = conv_network(2, pooling="max"), random_images(40)
    answers = answer(Engine(network, torch.float64), images, limit=60)
    assert len(answers.sweeps.unique()) > 1
    rest = network.logits(relax(network, images, steps=300).states[-1])
    assert torch.equal(answers.scores.argmax(dim=1), rest.argmax(dim=1))


@pytest.mark.parametrize(("limit", "assurance"), [(0, 8.0), (5, -1.0), (5, float("nan"))])
def test_limits_that_make_no_sense_are_refused(limit: int, assurance: float) -> None:
    engine = Engine(conv_network(0), torch.float64)
    with pytest.raises(ValueError, match=f"limit is {limit} and assurance {assurance}"):
        answer(engine, random_images(2), limit=limit, assurance=assurance)
