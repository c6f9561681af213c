"""What is said of feedback is what the matrices of the links say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.ep_examples import conv_network, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import ImageSet
from models.ep.energy import energy
from models.ep.evaluation import evaluate
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.feedback import measure_feedback, radii, shares, steps_until
from models.ep.network import Conv, Dense, EPNetwork, Span, build_network
from models.ep.relaxation import relax


def step_matrix(network: EPNetwork, image: torch.Tensor) -> np.ndarray:
    """Jacobian of one synchronous step at rest, by automatic differentiation of the reference."""
    states = relax(network, image, steps=200).states
    sizes = [state.numel() for state in states]

    def step(flat: torch.Tensor) -> torch.Tensor:
        parts = [part.view(state.shape) for part, state in zip(flat.split(sizes), states, strict=True)]
        moved = relax(network, image, steps=1, schedule="synchronous", start=tuple(parts)).states
        return torch.cat([state.flatten() for state in moved])

    flat = torch.cat([state.flatten() for state in states])
    return torch.autograd.functional.jacobian(step, flat).numpy()


def networks_of(kind: str, seed: int) -> EPNetwork:
    if kind == "skip":
        layers = (Conv(3, gain=0.5), Conv(3, gain=0.5), Conv(3, stride=2, gain=0.5), Conv(4, gain=0.5), Dense(5))
        spans = (Span(1, 4, kernel=2, stride=2),)
        drawn = build_network((2, 8, 8), layers, 4, torch.Generator().manual_seed(seed), spans)
        return drawn.map_parameters(lambda tensor: tensor.double() + 0.01 * (tensor.ndim == 1))
    return conv_network(seed, pooling="max" if kind == "max" else "average", gain=0.5)


@pytest.mark.parametrize("kind", ["average", "max", "skip"])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_radius_is_that_of_the_jacobian_of_a_step(kind: str, seed: int) -> None:
    network, images = networks_of(kind, seed), random_images(2, seed)
    rest = relax(network, images, steps=200).states
    found = radii(network, images, rest, iterations=400)
    for index, radius in enumerate(found.tolist()):
        truth = np.abs(np.linalg.eigvals(step_matrix(network, images[index : index + 1]))).max()
        assert radius == pytest.approx(truth, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_radius_is_how_fast_a_settle_comes_to_rest(seed: int) -> None:
    network, images = conv_network(seed, gain=0.5), random_images(1, seed)
    trace = relax(network, images, steps=300, schedule="synchronous", trace=True).trace
    assert trace is not None
    away = [sum(float((a - b).square().sum()) for a, b in zip(now, trace[-1], strict=True)) ** 0.5 for now in trace]
    # two steps, since the two chains of odd and even layers need not be equally far
    late = next(step for step, distance in enumerate(away) if distance < 1e-9)
    measured = (away[late] / away[late - 8]) ** (1 / 8)
    assert measured == pytest.approx(float(radii(network, images, trace[-1], iterations=400)), rel=0.02)


@given(kind=st.sampled_from(["average", "max", "skip"]), seed=st.integers(0, 50), batch=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_below_and_above_make_the_drive(kind: str, seed: int, batch: int) -> None:
    """share = |drive - below| / |below|, the drive being what one step at rest would clip."""
    network, images = networks_of(kind, seed), random_images(batch, seed)
    states = relax(network, images, steps=30).states
    share = shares(network, images, states)
    assert share.shape == (len(network.links) - 1,)
    leaves = [state.clone().requires_grad_() for state in states]
    slopes = torch.autograd.grad(energy(network, images, leaves).sum(), leaves)
    for layer in range(1, len(network.links)):
        drive = states[layer - 1] - slopes[layer - 1]
        link = network.links[layer - 1]
        below = link.up((images, *states)[layer - 1])[0] + link.spread_bias()
        for skip in network.skips_into(layer):
            below = below + skip.link.up(states[skip.source - 1])[0]
        assert float(share[layer - 1]) == pytest.approx(float((drive - below).norm() / below.norm()), rel=1e-6)


def test_all_that_is_measured_is_what_settling_and_cutting_give() -> None:
    network = conv_network(1, gain=0.6).map_parameters(torch.Tensor.float)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (30, 2, 8, 8), generator=generator, dtype=torch.uint8)
    images = ImageSet(pixels, torch.randint(4, (30,), generator=generator), scale=255)
    measured = measure_feedback(network, images, steps=12, batch_size=7)
    assert measured.accuracy == evaluate(network, images, steps=12).accuracy
    assert measured.accuracy_cut == evaluate_feed_forward(network, images).accuracy
    assert [round(30 * accuracy) for accuracy in measured.accuracy_by_step] == [
        evaluate(network, images, steps=step).correct for step in range(1, 13)
    ]
    answers = {
        steps: network.logits(relax(network, images.floats(), steps=steps, schedule="synchronous").states[-1]).argmax(1)
        for steps in (12, 24)
    }
    assert measured.agreement == pytest.approx(float((answers[12] == answers[24]).double().mean()))
    assert measured.images == 30


@pytest.mark.parametrize(
    ("curve", "step"),
    [([0.1, 0.5, 0.8, 0.8], 3), ([0.8], 1), ([0.796, 0.8, 0.7, 0.8], 4), ([0.795, 0.805, 0.8], 1)],
)
def test_accuracy_is_there_when_it_stays(curve: list[float], step: int) -> None:
    assert steps_until(curve) == step
