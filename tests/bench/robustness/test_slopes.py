"""Every gradient by the image is held to the one through all steps, where the network has come to rest."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from helpers.ep_examples import conv_network, random_images, random_labels
from torch import Tensor

from bench.robustness.losses import Loss, crossed_entropy, lead, logit_ratio, targeted_ratio
from bench.robustness.slopes.engine import LADDER, LEAST_COSINE, STEERS, OnEngine, on_engine
from bench.robustness.slopes.resting import Implicit, Propagated, at_rest
from bench.robustness.slopes.slope import Slope
from bench.robustness.slopes.unrolled import Differentiated, Summed, Truncated, unrolled
from bench.speed.pictures import pictures
from models.ep.adjoint import scores_of
from models.ep.network import EPNetwork
from models.ep.pooling import PoolKind
from models.ep.relaxation import relax
from models.fast.settling import Engine
from models.zoo import load_model

STEPS, LABELS = 60, random_labels(6)


def example(kind: PoolKind = "average", *, readout: bool = True) -> tuple[EPNetwork, Tensor, Loss]:
    return conv_network(1, kind, 0.5, readout=readout), random_images(6), partial(crossed_entropy, labels=LABELS)


@pytest.mark.parametrize("kind", ["average", "max"])
@pytest.mark.parametrize("readout", [True, False])
def test_slopes_agree_at_rest(kind: PoolKind, readout: bool) -> None:
    network, images, loss = example(kind, readout=readout)
    truth_scores, truth = unrolled(network, STEPS)(images, loss)
    slopes: dict[str, Slope] = {
        "implicit": Implicit(network, STEPS),
        "implicit, by autograd": Differentiated(partial(at_rest, network, STEPS)),
        "all steps": Truncated(network, STEPS, STEPS),
        "last 50": Truncated(network, STEPS, 50),
    }
    for name, slope in slopes.items():
        scores, found = slope(images, loss)
        torch.testing.assert_close(scores, truth_scores, rtol=1e-6, atol=1e-9, msg=name)
        torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-4 * float(truth.abs().max()), msg=name)


def test_what_two_nudged_phases_measure_is_the_slope_to_second_order() -> None:
    network, images, loss = example()
    _, truth = unrolled(network, STEPS)(images, loss)
    errors = [
        float((Propagated(network, STEPS, beta)(images, loss)[1] - truth).norm() / truth.norm())
        for beta in (1e-4, 1e-5)
    ]
    assert errors[0] < 1e-2
    assert errors[1] < 1e-4


def test_the_sum_over_states_is_that_of_the_truncated_settles() -> None:
    network, images, loss = example()
    _, found = Summed(network, 16)(images, loss)
    # steps 2 does not reach the top of three layers: it is read at 3
    parts = [Truncated(network, steps, steps)(images, loss)[1] for steps in (3, 4, 6, 8, 10, 12, 14, 16)]
    torch.testing.assert_close(found, torch.stack(parts).sum(dim=0), rtol=1e-8, atol=1e-12)


def test_a_truncated_settle_is_the_whole_one_with_a_constant_start() -> None:
    network, images, loss = example()
    scores, found = Truncated(network, 10, 4)(images, loss)
    start = relax(network, images, steps=6, schedule="synchronous").states
    leaf = images.clone().requires_grad_()
    states = relax(network, leaf, steps=4, schedule="synchronous", start=start).states
    torch.testing.assert_close(scores, scores_of(network, images, states).detach())
    torch.testing.assert_close(found, torch.autograd.grad(loss(scores_of(network, leaf, states)).sum(), leaf)[0])


@pytest.mark.parametrize("kind", ["average", "max"])
def test_the_engine_takes_as_many_sweeps_as_the_slope_needs(kind: PoolKind) -> None:
    network, images, loss = example(kind)
    network = network.map_parameters(Tensor.float)
    chosen = on_engine(network, images.float(), loss, steps=STEPS)
    _, truth = Implicit(network, STEPS)(images.float(), loss)

    def cosine(slope: OnEngine) -> float:
        return float(alike(slope(images.float(), loss)[1], truth).median())

    assert cosine(chosen) >= LEAST_COSINE[torch.bfloat16]
    strong = conv_network(1, kind, 0.75).map_parameters(Tensor.float)
    assert on_engine(strong, images.float(), loss, steps=200).sweeps > chosen.sweeps


def test_the_engine_may_rest_elsewhere_where_maxima_are_taken() -> None:
    """Two schedules bring a network with maxima to two states of rest, and the slope of either is good to steer by."""
    network, images = load_model("seed-cifar10-small"), pictures(10)
    first = relax(network, images, steps=60, schedule="synchronous")
    second = relax(network, images, steps=60, schedule="odd_even")
    assert max(float(one.residual.max()) for one in (first, second)) < 1e-6
    assert max(float((a - b).abs().max()) for a, b in zip(first.states, second.states, strict=True)) > 1e-3

    loss = partial(crossed_entropy, labels=torch.zeros(10, dtype=torch.int64))
    longest = OnEngine(Engine(network, torch.float32, torch.float32), *LADDER[-1])
    apart = alike(longest(images, loss)[1], Implicit(network, 60)(images, loss)[1]) < LEAST_COSINE[torch.float32]
    assert 2 <= int(apart.sum()) < 10
    images, loss = images[apart], partial(crossed_entropy, labels=torch.zeros(int(apart.sum()), dtype=torch.int64))
    chosen = on_engine(network, images, loss, steps=60, dtype=torch.float32)
    assert chosen.sweeps < LADDER[-1][0]
    _, found = chosen(images, loss)
    assert float(alike(found, longest(images, loss)[1]).median()) >= LEAST_COSINE[torch.float32]
    assert STEERS <= float(alike(found, Implicit(network, 60)(images, loss)[1]).median()) < LEAST_COSINE[torch.float32]


def test_the_engine_refuses_a_network_that_settles_too_slowly_for_it() -> None:
    network, images = conv_network(2, "max", 0.8).map_parameters(Tensor.float), random_images(8, 2).float()
    loss = partial(crossed_entropy, labels=random_labels(8))
    with pytest.raises(ValueError, match="43 sweeps find the slope of rest to a cosine of 0"):
        on_engine(network, images, loss, steps=300, dtype=torch.float32)


def alike(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of every image's slope."""
    return torch.cosine_similarity(one.flatten(1), other.flatten(1), dim=1)


def test_truncations_that_miss_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match="the last 2 of 10 steps: fewer than 3 layers"):
        Truncated(conv_network(0), 10, 2)
    with pytest.raises(ValueError, match="beta is 0"):
        Propagated(conv_network(0), 10, 0.0)


def test_losses_by_hand() -> None:
    scores, labels = torch.tensor([[3.0, 1.0, 2.0, -1.0], [0.0, 4.0, 1.0, 2.0]]), torch.tensor([0, 3])
    assert lead(scores, labels).tolist() == [-1.0, 2.0]
    # (best other - label) / (first - third) = (2 - 3) / (3 - 1), (4 - 2) / (4 - 1)
    assert logit_ratio(scores, labels).tolist() == pytest.approx([-0.5, 2 / 3])
    # (target - label) / (first - (third + fourth) / 2)
    ratios = targeted_ratio(scores, labels, torch.tensor([3, 0]))
    assert ratios.tolist() == pytest.approx([(-1 - 3) / (3 - 0), (0 - 2) / (4 - 0.5)])
    assert crossed_entropy(scores, labels)[0] == pytest.approx(
        -float(torch.log(scores[0].exp()[0] / scores[0].exp().sum()))
    )
