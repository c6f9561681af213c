"""Evaluation: the same figures whatever the batches, under the dynamics that will be deployed."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.ep.evaluation import evaluate
from models.ep.network import build_network
from models.ep.relaxation import relax


def test_batches_do_not_matter_and_dynamics_are_synchronous_from_zero() -> None:
    images = bars().train
    network = build_network(images.shape, tiny_recipe().layers, 3, torch.Generator().manual_seed(1))
    whole, parts = (evaluate(network, images, steps=9, batch_size=size) for size in (500, 7))
    assert whole.correct == parts.correct
    assert whole.cost == pytest.approx(parts.cost)
    torch.testing.assert_close(whole.residual, parts.residual, rtol=0, atol=1e-6)
    relaxed = relax(network, images.floats(), steps=9, schedule="synchronous")
    guesses = network.logits(relaxed.states[-1]).argmax(dim=1)
    assert whole.correct == int((guesses == images.labels).sum())
    assert whole.count == len(images)
    assert whole.accuracy == whole.correct / len(images)
    torch.testing.assert_close(whole.residual, relaxed.residual)


def test_quantiles_of_the_residual() -> None:
    images = bars().train
    network = build_network(images.shape, tiny_recipe().layers, 3, torch.Generator().manual_seed(1))
    evaluation = evaluate(network, images, steps=3)
    assert evaluation.residual_quantile(1.0) == float(evaluation.residual.max())
    assert evaluation.residual_quantile(0.0) <= evaluation.residual_quantile(0.5) <= evaluation.residual_quantile(0.95)
