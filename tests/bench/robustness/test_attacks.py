"""Attacks against other implementations of them, examples that are surely there, and the ball they stay in."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers.ep_examples import CLASSES, SHAPE, conv_network, random_images, random_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from bench.robustness.attacks.apgd import APGD, TargetedAPGD
from bench.robustness.attacks.noise import RandomNoise
from bench.robustness.attacks.pgd import PGD
from bench.robustness.attacks.square import Square
from bench.robustness.attacks.target import Attacked, Target
from bench.robustness.attacks.to_the_end import to_the_end
from bench.robustness.ball import Ball, Norm, lengths
from bench.robustness.free_phase import FreePhase
from bench.robustness.losses import Loss, crossed_entropy, lead
from bench.robustness.planted import planted, planted_target
from bench.robustness.slopes.engine import on_engine
from bench.robustness.slopes.resting import Implicit, Propagated
from bench.robustness.slopes.slope import Slope
from bench.robustness.slopes.unrolled import Summed, Truncated, unrolled
from models.ep.network import EPNetwork

STEPS = 12
BALLS = (Ball("L2", 0.3), Ball("Linf", 0.03))


@pytest.fixture(scope="module")
def target() -> Target:
    """100 images that the network answers right."""
    network, images = small(), random_images(100).float()
    with torch.no_grad():
        labels = FreePhase(network, STEPS)(images).argmax(dim=1)
    return Target(FreePhase(network, STEPS).forward, images, labels)


def small() -> EPNetwork:
    return conv_network(1, gain=0.5).map_parameters(Tensor.float)


@settings(deadline=None)
@given(st.sampled_from(["L2", "Linf"]), st.floats(1e-4, 5), st.integers(0, 99), st.integers(1, 5))
def test_what_is_projected_lies_in_the_ball_exactly(norm: Norm, eps: float, seed: int, batch: int) -> None:
    ball, clean = Ball(norm, eps), random_images(batch, seed).float()
    generator = torch.Generator().manual_seed(seed)
    moved = clean + 3 * eps * torch.randn(clean.shape, generator=generator)
    for images in (ball.project(moved, clean), ball.drawn(clean, generator), ball.edge(clean, generator)):
        assert ball.outside(images, clean).tolist() == [0.0] * batch
    inside = ball.project(clean + 0, clean)
    torch.testing.assert_close(inside, clean)
    assert (ball.outside(clean + 1.5, clean) > 0).all()


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_noise_of_a_ball_reaches_its_edge_and_fills_it(ball: Ball) -> None:
    clean, generator = torch.full((500, *SHAPE), 0.5), torch.Generator().manual_seed(0)
    at_edge = lengths(ball.edge(clean, generator) - clean, ball.norm)
    torch.testing.assert_close(at_edge, torch.full((500,), ball.eps), rtol=1e-4, atol=0)
    within = ball.drawn(clean, generator) - clean
    if ball.norm == "Linf":
        assert float(within.std()) == pytest.approx(ball.eps / 3**0.5, rel=0.01)
    else:
        # the radius of n dimensions is eps u^(1/n), its mean n / (n + 1) eps
        dimensions = within[0].numel()
        assert float(lengths(within, "L2").mean()) == pytest.approx(ball.eps * dimensions / (dimensions + 1), rel=1e-3)


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_pgd_is_that_of_foolbox(target: Target, ball: Ball) -> None:
    import foolbox

    network = small()
    attacks = {"L2": foolbox.attacks.L2PGD, "Linf": foolbox.attacks.LinfPGD}
    theirs = attacks[ball.norm](steps=20, rel_stepsize=2.5 / 20, random_start=False)
    model = foolbox.PyTorchModel(FreePhase(network, STEPS).eval(), bounds=(0, 1))
    _, found, fell = theirs(model, target.images, target.labels, epsilons=ball.eps)
    mine = PGD(ball).strongest(target, unrolled(network, STEPS))
    assert 10 < int(fell.sum()) < 90
    assert int((fell != mine.fell).sum()) == 0
    near = (mine.images - found).flatten(1).abs().amax(dim=1) < 1e-3
    assert float(near.double().mean()) > 0.95
    # images that leave when they fall are the same ones, but for those that would have come back
    left = PGD(ball).find(target, unrolled(network, STEPS))
    assert int((left.fell & ~fell).sum()) <= 1
    assert int((fell & ~left.fell).sum()) == 0
    assert float(ball.outside(left.images, target.images).max()) == 0


def classifier_of(network: EPNetwork) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        FreePhase(network, STEPS),
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def one_hot(shown: Target) -> NDArray[np.float32]:
    return np.eye(CLASSES, dtype=np.float32)[shown.labels.numpy()]


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_auto_pgd_is_as_strong_as_that_of_another_library(target: Target, ball: Ball) -> None:
    from art.attacks.evasion import AutoProjectedGradientDescent

    shown, norm = target, np.inf if ball.norm == "Linf" else 2
    theirs = AutoProjectedGradientDescent(
        classifier_of(small()), norm=norm, eps=ball.eps, eps_step=2 * ball.eps, max_iter=30, verbose=False
    )
    fell = int(shown.wrong(torch.from_numpy(theirs.generate(shown.images.numpy(), one_hot(shown)))).sum())
    mine = APGD(ball, steps=30).find(shown, Implicit(small(), STEPS))
    assert int(mine.fell.sum()) >= fell - 1


def test_square_is_as_strong_as_that_of_another_library(target: Target) -> None:
    from art.attacks.evasion import SquareAttack  # its L2 form divides by zero

    ball, shown = BALLS[1], target
    theirs = SquareAttack(
        classifier_of(small()), norm=np.inf, eps=ball.eps, max_iter=150, batch_size=100, verbose=False
    )
    fell = int(shown.wrong(torch.from_numpy(theirs.generate(shown.images.numpy(), one_hot(shown)))).sum())
    asked = Square(ball, queries=150).find(shown)
    # 100 images, each falls or not: two binomial standard deviations of a difference
    assert abs(int(asked.fell.sum()) - fell) <= 14


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_stronger_attacks_find_more(target: Target, ball: Ball) -> None:
    slope = Implicit(small(), STEPS)
    found = {
        "noise": RandomNoise(ball).find(target),
        "square": Square(ball, queries=200).find(target),
        "pgd": PGD(ball).find(target, slope),
        "three starts": PGD(ball, starts=3).find(target, slope),
        "auto": APGD(ball, steps=30, ratio=True).find(target, slope),
        "targeted": TargetedAPGD(ball, steps=30, targets=3).find(target, slope),
    }
    fallen = {name: int(attacked.fell.sum()) for name, attacked in found.items()}
    assert fallen["noise"] < fallen["square"] < fallen["pgd"] <= fallen["three starts"]
    for name in ("auto", "targeted"):
        assert fallen[name] >= fallen["pgd"] - 2
    for attacked in found.values():
        assert torch.equal(attacked.fell, target.wrong(attacked.images))
        assert float(ball.outside(attacked.images, target.images).max()) == 0


def every_slope(network: EPNetwork, images: Tensor) -> dict[str, Slope]:
    loss = partial(crossed_entropy, labels=torch.zeros(len(images), dtype=torch.int64))
    return {
        "unrolled": unrolled(network, STEPS),
        "last 4 steps": Truncated(network, STEPS, 4),
        "summed": Summed(network, STEPS),
        "implicit": Implicit(network, STEPS),
        "propagated": Propagated(network, STEPS, 0.01),
        "engine": on_engine(network, images, loss, steps=STEPS, dtype=torch.float32),
        "engine in bfloat16": on_engine(network, images, loss, steps=STEPS),
    }


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_every_attack_by_every_slope_finds_the_planted_example(ball: Ball) -> None:
    images = random_images(6, seed=9).float()
    for index, clean in enumerate(images):
        network, image = planted(small(), clean, ball, STEPS, torch.Generator().manual_seed(index))
        shown = planted_target(network, clean, STEPS)
        assert not bool(shown.wrong(clean[None]))
        assert bool(shown.wrong(image[None]))
        assert float(ball.outside(image[None], clean[None])) == 0
        for name, slope in every_slope(network, clean[None]).items():
            attacks: tuple[PGD | APGD | TargetedAPGD, ...] = (PGD(ball),)
            if name != "engine in bfloat16":
                attacks = (
                    PGD(ball),
                    APGD(ball, steps=20),
                    APGD(ball, steps=20, ratio=True),
                    TargetedAPGD(ball, steps=20),
                )
            missed = [type(attack).__name__ for attack in attacks if not bool(attack.find(shown, slope).fell)]
            assert not missed, f"{missed} by {name} miss the example planted near image {index}"
        assert bool(Square(ball, queries=300).find(shown).fell)


def test_a_dead_slope_is_counted_and_finds_nothing(target: Target) -> None:
    def dead(images: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        return target.predict(images), torch.zeros_like(images)

    found: Attacked = PGD(BALLS[1]).find(target.part(torch.arange(10)), dead)
    assert found.zero_slopes == 1.0
    assert not found.fell.any()


@pytest.mark.parametrize("eps", [0.02, 0.5])
def test_to_the_end_every_image_goes_as_far_as_it_can_also_those_that_are_wrong_already(eps: float) -> None:
    # of scores W x the largest lead in the ball is known: max over k of lead_k + eps |w_k - w_y|
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(CLASSES, int(np.prod(SHAPE)), generator=generator)
    images, labels = random_images(40).float() * 0.4 + 0.3, random_labels(40)

    def predict(shown: Tensor) -> Tensor:
        return shown.flatten(1) @ weight.T

    def slope(shown: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        shown = shown.clone().requires_grad_()
        scores = predict(shown)
        return scores.detach(), torch.autograd.grad(loss(scores).sum(), shown)[0]

    linear, ball = Target(predict, images, labels), Ball("L2", eps)
    assert 0 < int(linear.wrong(images).sum()) < 40
    between = weight[None] - weight[labels][:, None]
    possible = torch.einsum("bkp,bp->bk", between, images.flatten(1)) + eps * between.norm(dim=2)
    furthest = possible.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    auto, targeted = APGD(ball, steps=50), TargetedAPGD(ball, steps=50, targets=CLASSES - 1)
    found = to_the_end(linear, [partial(attack.find, slope=slope) for attack in (auto, targeted)])
    begun = lead(predict(images), labels)
    reached = (lead(predict(found.images), labels) - begun) / (furthest - begun)
    # losses of Auto-PGD are not quite the lead: of wrong answers the ratio of logits rewards a narrow spread as well
    assert 0.75 < float(reached.min()) <= float(reached.max()) < 1.0001
    assert float(reached.median()) > 0.98
    assert torch.equal(found.fell, linear.wrong(found.images))
    assert float(ball.outside(found.images, images).max()) == 0
    asked = to_the_end(linear, [Square(ball, queries=400).find])
    assert float(((lead(predict(asked.images), labels) - begun) / (furthest - begun)).min()) > 0.2
    assert asked.queries == 40 * 401


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ball("L1", 0.1), "norm 'L1' is none of L2, Linf"),  # type: ignore[arg-type]
        (lambda: Ball("L2", 0.0), "eps is 0.0"),
        (lambda: Ball("L2", float("nan")), "eps is nan"),
        (lambda: PGD(BALLS[0], steps=0), "0 steps"),
        (lambda: APGD(BALLS[0], steps=9), "9 steps"),
        (lambda: Square(BALLS[0], queries=0), "0 queries"),
        (lambda: Target(torch.nn.Identity(), random_images(2) * 255, random_labels(2)), "images go from"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]
