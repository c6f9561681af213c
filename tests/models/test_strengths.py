"""The strengths of feedback in the zoo are what they are called, learnt at rest, and EP has their gradient.

CIFAR-10 is not needed: what feedback did on its images stands in the manifests, and settling is looked at on pictures
with the spectrum of photographs.
"""

from __future__ import annotations

import pytest
import torch

from bench.speed.pictures import pictures
from models.ep.feedback import radii
from models.ep.gradient import Phases, backprop_gradient, cosine, ep_gradient
from models.ep.relaxation import relax
from models.zoo import load_model
from models.zoo.manifests import manifest_of

STRENGTHS = ("feedback-weak", "feedback-medium", "feedback-high", "feedback-strong")
ON_HARDWARE = tuple(f"hw-{name}" for name in STRENGTHS)


@pytest.mark.parametrize(("names", "least"), [(STRENGTHS, 0.76), (ON_HARDWARE, 0.747)])
def test_one_architecture_with_more_and_more_feedback(names: tuple[str, ...], least: float) -> None:
    shapes = [[tuple(link.weight.shape) for link in load_model(name).links] for name in names]
    assert all(shape == shapes[0] for shape in shapes)
    tested = [manifest_of(name)["test"]["accuracy"] for name in names]
    assert min(tested) >= least
    assert max(tested) - min(tested) < 0.025
    weak, medium, high, strong = (manifest_of(name)["feedback"] for name in names)
    assert max(weak["share"]) < 0.1
    assert 0.15 <= max(medium["share"]) <= 0.25
    assert max(high["share"]) >= 0.35
    assert max(strong["share"]) >= 0.5
    lost = [feedback["accuracy"] - feedback["accuracy_cut"] for feedback in (weak, medium, high, strong)]
    assert lost[0] < 0.01
    assert min(lost[1:]) > 0.05
    assert lost[3] >= 0.15
    for feedback in (weak, medium, high, strong):
        assert feedback["agreement"] >= 0.99
        assert feedback["radius_max"] < 1


@pytest.mark.parametrize("name", [*STRENGTHS, ON_HARDWARE[-1]])
def test_they_come_to_rest_on_pictures_that_they_never_saw(name: str) -> None:
    network, images = load_model(name), pictures(16)
    relaxed = relax(network, images, steps=300, schedule="synchronous", tolerance=5e-6)
    assert float(relaxed.residual.max()) < 1e-5
    assert float(radii(network, images, relaxed.states).max()) < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", [*STRENGTHS, *ON_HARDWARE])
def test_the_gradient_of_ep_is_that_of_backprop_through_the_settled_network(name: str) -> None:
    network, images, labels = (
        load_model(name).map_parameters(torch.Tensor.double),
        pictures(16).double(),
        torch.arange(16) % 10,
    )
    estimate, _ = ep_gradient(network, images, labels, Phases(80, 40, beta=1e-3), torch.Generator())
    truth = backprop_gradient(network, images, labels, steps=80)
    found = cosine(estimate, truth, list(truth))
    assert min(found.values()) >= 0.98, found
