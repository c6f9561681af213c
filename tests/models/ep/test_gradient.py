"""Equilibrium propagation: its gradient is the one of backpropagation through the relaxation."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import conv_network, random_images, random_labels

from models.data import load_data
from models.ep.gradient import Estimator, Gradient, Maxima, Phases, backprop_gradient, cosine, ep_gradient, nudge_signs
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.ep.pooling import PoolKind
from models.zoo import load_model


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def both(
    network: EPNetwork,
    images: torch.Tensor,
    labels: torch.Tensor,
    beta: float,
    estimator: Estimator = "centered",
    steps: int = 200,
) -> tuple[Gradient, Gradient]:
    phases = Phases(free_steps=steps, nudged_steps=steps, beta=beta, estimator=estimator)
    estimate, _ = ep_gradient(network, images, labels, phases, generator())
    return estimate, backprop_gradient(network, images, labels, steps=steps)


def worst_cosine(estimate: Gradient, truth: Gradient) -> float:
    assert set(estimate) == set(truth)
    return min(cosine(estimate, truth, list(truth)).values())


@pytest.mark.parametrize("readout", [True, False], ids=["softmax", "squared error"])
@pytest.mark.parametrize("pooling", ["none", "average"])
def test_the_gradient_is_that_of_backprop(pooling: PoolKind, readout: bool) -> None:
    for seed in range(3):
        network = conv_network(seed, pooling, gain=0.4, readout=readout)
        estimate, truth = both(network, random_images(8, seed), random_labels(8, seed), beta=1e-4, steps=150)
        assert worst_cosine(estimate, truth) >= 0.9999
        for name in truth:
            torch.testing.assert_close(estimate[name], truth[name], rtol=0, atol=0.01 * float(truth[name].abs().max()))
        # a stronger nudge pushes states over the corners of the clip, which a handful of images does not average out
        estimate, truth = both(network, random_images(8, seed), random_labels(8, seed), beta=0.01, steps=150)
        assert worst_cosine(estimate, truth) >= 0.98


def test_the_gradient_is_that_of_backprop_in_a_dense_network() -> None:
    network = build_network((6,), (Dense(9, gain=0.5), Dense(8, gain=0.5)), 3, generator())
    network = network.map_parameters(lambda tensor: tensor.double() + 0.05)
    images = torch.rand(10, 6, generator=generator(), dtype=torch.float64)
    estimate, truth = both(network, images, torch.arange(10) % 3, beta=0.01)
    assert worst_cosine(estimate, truth) >= 0.999


def test_the_gradient_is_that_of_backprop_on_the_trained_digits_network() -> None:
    network = load_model("digits").map_parameters(torch.Tensor.double)
    images, labels = load_data("digits").train.batch(torch.arange(32))
    estimate, truth = both(network, images.double(), labels, beta=0.01, steps=60)
    assert worst_cosine(estimate, truth) >= 0.999


def test_float32_keeps_what_a_small_nudge_moves() -> None:
    """128 images, a thousand places: the sums of both phases are so large that float32 would lose their difference."""
    layers = (Conv(16, padding=1, pooling="max", pool_size=2, gain=0.6), Conv(16, stride=2, gain=0.4))
    network = build_network((3, 32, 32), layers, 10, generator())
    images, labels = torch.rand((128, 3, 32, 32), generator=generator()), torch.arange(128) % 10
    phases = Phases(12, 6, beta=0.005)
    estimate, _ = ep_gradient(network, images, labels, phases, generator())
    double = network.map_parameters(torch.Tensor.double)
    truth, _ = ep_gradient(double, images.double(), labels, phases, generator())
    assert worst_cosine({name: tensor.double() for name, tensor in estimate.items()}, truth) >= 0.9999


def test_with_max_pooling_the_gradient_is_that_of_backprop_if_maxima_are_held() -> None:
    """Three pooled layers: where a nudge moves a maximum, live ones add a difference of states over 2 beta."""
    random = torch.Generator().manual_seed(2)
    layers = (
        Conv(6, pooling="max", pool_size=2, gain=0.5),
        Conv(8, pooling="max", pool_size=2, gain=0.5),
        Conv(8, pooling="max", pool_size=3, gain=0.5),
    )
    network = build_network((2, 12, 12), layers, 4, random)
    named = network.named_parameters()
    for name in [name for name in named if name.endswith("bias")]:
        named[name] = 0.2 * torch.rand(named[name].shape, generator=random)
    network = network.with_parameters(named).map_parameters(torch.Tensor.double)
    images, labels = torch.rand((64, 2, 12, 12), generator=random, dtype=torch.float64), random_labels(64, 2)
    truth = backprop_gradient(network, images, labels, steps=100)

    def error(beta: float, maxima: Maxima) -> float:
        estimate, _ = ep_gradient(network, images, labels, Phases(100, 60, beta=beta, maxima=maxima), generator())
        return max(float((estimate[name] - truth[name]).norm() / truth[name].norm()) for name in truth)

    assert [error(beta, "held") < most for beta, most in ((0.1, 0.1), (0.01, 0.02), (1e-3, 1e-4))] == [True] * 3
    assert error(0.01, "live") > 10 * error(0.01, "held")
    # no maximum is so close to another that this moves it
    assert error(1e-3, "live") == pytest.approx(error(1e-3, "held"), rel=1e-6)


@pytest.mark.parametrize("estimator", ["one_sided", "random_sign"])
def test_the_other_estimators_agree_at_small_beta(estimator: Estimator) -> None:
    network, images, labels = conv_network(2, gain=0.4), random_images(8), random_labels(8)
    assert worst_cosine(*both(network, images, labels, beta=1e-4, estimator=estimator)) >= 0.999


def smooth_network() -> EPNetwork:
    """All states settle well inside (0, 1), where nothing is clipped and the energy is smooth."""
    network = conv_network(3, gain=0.15)
    centred = {
        name: torch.full_like(tensor, 0.5) if name.startswith("link") and name.endswith("bias") else tensor
        for name, tensor in network.named_parameters().items()
    }
    return network.with_parameters(centred)


@pytest.mark.parametrize(("estimator", "order"), [("centered", 2), ("one_sided", 1)])
def test_order_of_the_error_in_beta(estimator: Estimator, order: int) -> None:
    """Half of beta: half of the error of the one-sided estimator, a quarter of that of the centered one."""
    network, images, labels = smooth_network(), random_images(6), random_labels(6)

    def error(beta: float) -> float:
        estimate, truth = both(network, images, labels, beta, estimator, steps=100)
        return sum(float((estimate[name] - truth[name]).square().sum()) for name in truth) ** 0.5

    assert error(0.1) / error(0.05) == pytest.approx(2**order, rel=0.1)


def test_nudges_of_each_estimator() -> None:
    assert nudge_signs("one_sided", 3, generator()).tolist() == [1, 1, 1]
    assert nudge_signs("centered", 2, generator()).tolist() == [1, 1, -1, -1]
    drawn = nudge_signs("random_sign", 4000, generator())
    assert set(drawn.tolist()) == {1.0, -1.0}
    # 4,000 fair coins: 5 standard deviations of their mean
    assert abs(float(drawn.mean())) < 5 / 4000**0.5


def test_random_signs_come_from_the_generator_alone() -> None:
    def signs() -> list[float]:
        return nudge_signs("random_sign", 20, torch.Generator().manual_seed(5)).tolist()

    first = signs()
    torch.manual_seed(99)
    assert signs() == first


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="'both' is none of one_sided, centered, random_sign"):
        nudge_signs("both", 2, generator())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beta": 0.0}, "beta is 0.0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0, expected 0 up to but not 1"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"free_steps": 0}, "free_steps 0"),
        ({"nudged_steps": 0}, "nudged_steps 0"),
    ],
)
def test_phases_that_make_no_sense_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phases(**fields)
