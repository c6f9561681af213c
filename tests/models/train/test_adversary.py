"""Adversarial training: attacks stay where they may go and find what is there, and networks learn by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import (
    KilledError,
    assert_same_bits,
    bars,
    conv_network,
    kill_after,
    random_images,
    tiny_recipe,
)
from torch import Tensor

from models.ep.gradient import Phases, mean_cost
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.train import loop
from models.train.adversary import ADVERSARIES, Adversary, AdversaryName, adversary_of, attacked, start_of
from models.train.loop import train
from models.train.own_slope import OwnSlope
from models.twin.controls import Controls
from models.twin.loop import train_twin


def lengths(moves: Tensor, norm: str) -> Tensor:
    flat = moves.flatten(1)
    return flat.abs().amax(dim=1) if norm == "Linf" else flat.norm(dim=1)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_start_lies_in_the_ball_and_fills_it(name: str) -> None:
    adversary = ADVERSARIES[name]
    flat = Adversary(adversary.norm, 0.5, 1, 0.1)
    start = start_of(torch.zeros(4000, 1, 1, 2), flat, torch.Generator().manual_seed(0))
    sizes = lengths(start, adversary.norm)
    assert float(sizes.max()) <= 0.5 + 1e-6
    # in two dimensions a quarter of the volume lies within half of the radius
    assert float((sizes < 0.25).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert start.mean(dim=0).abs().max() < 0.02


@pytest.mark.parametrize("name", ADVERSARIES)
def test_of_a_linear_loss_an_attack_finds_the_largest_in_the_ball(name: str) -> None:
    """Away from 0 and 1 that is eps |g|_1 for Linf and eps |g|_2 for L2, wherever the attack begins."""
    adversary = ADVERSARIES[name]
    many = Adversary(adversary.norm, adversary.radius, 40, adversary.step)
    generator = torch.Generator().manual_seed(1)
    images = torch.full((5, 3, 8, 8), 0.5)
    slope = torch.randn(images.shape, generator=generator)
    moved = attacked(images, lambda _: slope, many, start_of(images, many, generator)) - images
    gained = (moved * slope).flatten(1).sum(dim=1)
    dual = slope.flatten(1).norm(p=1 if adversary.norm == "Linf" else 2, dim=1)
    torch.testing.assert_close(gained, adversary.radius * dual, rtol=1e-3, atol=0)
    assert float(lengths(moved, adversary.norm).max()) <= adversary.radius * (1 + 1e-5)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_an_attack_stays_in_the_ball_and_among_images(name: str) -> None:
    adversary, generator = ADVERSARIES[name], torch.Generator().manual_seed(2)
    images = torch.rand((6, 3, 8, 8), generator=generator).round()  # at the ends of the range
    moved = attacked(images, torch.randn_like, adversary, start_of(images, adversary, generator))
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    assert float(lengths(moved - images, adversary.norm).max()) <= adversary.radius * (1 + 1e-5)


def test_a_slope_of_zero_moves_nothing() -> None:
    images = torch.rand((2, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    for adversary in ADVERSARIES.values():
        assert torch.equal(attacked(images, torch.zeros_like, adversary, torch.zeros_like(images)), images)


def truth(network: EPNetwork, images: Tensor, labels: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    last = relax(network, leaf, steps=80, schedule="synchronous").states[-1]
    return torch.autograd.grad(mean_cost(network, last, labels), leaf)[0]


@pytest.mark.parametrize("pooling", ["average", "none"])
def test_its_own_slope_is_that_through_all_steps(pooling: str) -> None:
    network, images = conv_network(3, pooling), random_images(6)
    labels = torch.arange(6) % 4
    own = OwnSlope(network, labels, Phases(60, 60, schedule="symmetric"), torch.float64)(images)
    torch.testing.assert_close(own / len(images), truth(network, images, labels), rtol=1e-6, atol=1e-9)


def test_an_unknown_adversary_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="adversary is 'linf', choose from linf-fast, l2-pgd, or none at all"):
        adversary_of("linf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adversary linf-fast: the engine holds maxima"):
        tiny_recipe(adversary="linf-fast", phases=Phases(schedule="synchronous"))


def robust(network: EPNetwork, steps: int) -> float:
    """Share of the test bars that ten steps within 0.2 (Linf) leave right; one rising sweep is a pass upwards."""
    data, adversary = bars().test, Adversary("Linf", 0.2, 10, 0.05)
    images, labels = data.floats(), data.labels

    def scores(moved: Tensor) -> Tensor:
        return network.logits(relax(network, moved, steps=steps, schedule="rising").states[-1])

    def slope(moved: Tensor) -> Tensor:
        leaf = moved.clone().requires_grad_()
        return torch.autograd.grad(torch.nn.functional.cross_entropy(scores(leaf), labels), leaf)[0]

    moved = attacked(images, slope, adversary, torch.zeros_like(images))
    return float((scores(moved).argmax(dim=1) == labels).float().mean())


@pytest.mark.parametrize("learn", ["equilibrium propagation", "backpropagation"])
def test_who_learns_attacked_images_bears_attacks(learn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADVERSARIES, "linf-fast", Adversary("Linf", 0.2, 1, 0.25))
    recipe = tiny_recipe(14, learning_rates=(0.03, 0.03, 0.15))

    def learnt(name: AdversaryName | None) -> float:
        if learn == "backpropagation":
            return robust(train_twin(bars(), recipe, controls=Controls(adversary=name), seed=0).network, steps=1)
        return robust(train(bars(), replace(recipe, adversary=name), seed=0).network, steps=30)

    assert learnt("linf-fast") >= learnt(None) + 0.3


def test_a_run_that_was_killed_goes_on_bit_for_bit_and_says_who_attacked(tmp_path: Path) -> None:
    recipe, state = tiny_recipe(3, adversary="l2-pgd"), tmp_path / "net.training"
    whole = train(bars(), recipe, seed=1)
    with pytest.raises(KilledError):
        train(bars(), recipe, seed=1, state_path=state, report=kill_after(2))
    assert_same_bits(whole.network, train(bars(), recipe, seed=1, state_path=state, resume=True).network)
    assert loop.describe_run(bars(), recipe, 1, "cpu")["adversary"] == "l2-pgd"
    assert "adversary" not in loop.describe_run(bars(), tiny_recipe(3), 1, "cpu")
