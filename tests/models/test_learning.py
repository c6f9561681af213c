"""Equilibrium propagation: its gradient is the one of backpropagation through the relaxation."""

from __future__ import annotations

import pytest
import torch
from ep_examples import conv_network, random_images, random_labels

from models.data import load_data
from models.learning import Estimator, Gradient, Phases, backprop_gradient, cosine, ep_gradient, nudges
from models.network import Dense, EPNetwork, build_network
from models.pooling import PoolKind
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
    found, _ = ep_gradient(network, images, labels, phases, generator())
    return found, backprop_gradient(network, images, labels, steps=steps)


def worst_cosine(found: Gradient, truth: Gradient) -> float:
    assert set(found) == set(truth)
    return min(cosine(found, truth, list(truth)).values())


@pytest.mark.parametrize("readout", [True, False], ids=["softmax", "squared error"])
@pytest.mark.parametrize("pooling", ["none", "average"])
def test_the_gradient_is_that_of_backprop(pooling: PoolKind, readout: bool) -> None:
    for seed in range(3):
        network = conv_network(seed, pooling, gain=0.4, readout=readout)
        found, truth = both(network, random_images(8, seed), random_labels(8, seed), beta=1e-4, steps=150)
        assert worst_cosine(found, truth) >= 0.9999
        for name in truth:
            torch.testing.assert_close(found[name], truth[name], rtol=0, atol=0.01 * float(truth[name].abs().max()))
        # a stronger nudge pushes states over the corners of the clip, which a handful of images does not average out
        found, truth = both(network, random_images(8, seed), random_labels(8, seed), beta=0.01, steps=150)
        assert worst_cosine(found, truth) >= 0.98


def test_the_gradient_is_that_of_backprop_in_a_dense_network() -> None:
    network = build_network((6,), (Dense(9, gain=0.5), Dense(8, gain=0.5)), 3, generator())
    network = network.map_parameters(lambda tensor: tensor.double() + 0.05)
    images = torch.rand(10, 6, generator=generator(), dtype=torch.float64)
    found, truth = both(network, images, torch.arange(10) % 3, beta=0.01)
    assert worst_cosine(found, truth) >= 0.999


def test_the_gradient_is_that_of_backprop_on_the_trained_digits_network() -> None:
    network = load_model("digits").map_parameters(torch.Tensor.double)
    images, labels = load_data("digits").train.batch(torch.arange(32))
    found, truth = both(network, images.double(), labels, beta=0.01, steps=60)
    assert worst_cosine(found, truth) >= 0.999


def test_with_max_pooling_the_cosine_goes_to_one_as_beta_shrinks() -> None:
    """A nudge may tip the winner of a window; a smaller one tips fewer."""
    network, images, labels = conv_network(1, "max", gain=0.4), random_images(8), random_labels(8)
    cosines = [worst_cosine(*both(network, images, labels, beta)) for beta in (0.3, 1e-4)]
    assert cosines[-1] >= 0.999
    assert cosines[-1] >= cosines[0]


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
        found, truth = both(network, images, labels, beta, estimator, steps=100)
        return sum(float((found[name] - truth[name]).square().sum()) for name in truth) ** 0.5

    assert error(0.1) / error(0.05) == pytest.approx(2**order, rel=0.1)


def test_nudges_of_each_estimator() -> None:
    assert nudges("one_sided", 0.3, generator()) == (0.0, 0.3)
    assert nudges("centered", 0.3, generator()) == (-0.3, 0.3)
    stream = generator()
    drawn = [nudges("random_sign", 0.3, stream) for _ in range(40)]
    assert set(drawn) == {(0.0, 0.3), (0.0, -0.3)}


def test_random_signs_come_from_the_generator_alone() -> None:
    def signs() -> list[float]:
        stream = torch.Generator().manual_seed(5)
        return [nudges("random_sign", 1.0, stream)[1] for _ in range(20)]

    first = signs()
    torch.manual_seed(99)
    assert signs() == first


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="'both' is none of one_sided, centered, random_sign"):
        nudges("both", 0.1, generator())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beta": 0.0}, "beta is 0.0"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"free_steps": 0}, "free_steps 0"),
        ({"nudged_steps": 0}, "nudged_steps 0"),
    ],
)
def test_phases_that_make_no_sense_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phases(**fields)
