"""What an attacker has besides the network's own gradients: another network's, a die's, the official ensemble."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.ep_examples import conv_network, random_images, random_labels
from torch import Tensor

from bench.robustness.attacks.official import PACKAGE, official, official_is_here
from bench.robustness.attacks.pgd import PGD
from bench.robustness.ball import Ball
from bench.robustness.hardware import OnDie, held_by
from bench.robustness.losses import crossed_entropy
from bench.robustness.slopes.resting import Implicit
from bench.robustness.slopes.unrolled import Differentiated
from bench.robustness.suites import COLOUR, OFFICIAL, PGD_, SUITES, WHITE, Means, Trial, trials_of
from bench.robustness.trials import Plan, carry_out
from bench.robustness.victim import OnePass, Settling
from hw.crossbar.fabrication import Fabrication
from mapping.machines import to_crossbar
from models.controls.classifier import FeedForward

STEPS = 40
BALL = Ball("Linf", 0.1)


def planned(folder: Path, **others: Any) -> Plan:
    victim = Settling(conv_network(1, "average", 0.5).map_parameters(Tensor.float), STEPS)
    return Plan(victim, victim.target(random_images(12).float(), random_labels(12)), 0, 1, folder, {}, others)


def test_a_surrogate_that_is_the_network_itself_finds_what_its_own_gradient_finds(tmp_path: Path) -> None:
    alone = planned(tmp_path / "alone")
    beside = planned(tmp_path / "beside", same=alone.victim)
    own = carry_out(alone, Trial(PGD_, WHITE, "Linf", 0.1, alone.victim.main, 10), lambda _: None)
    followed = carry_out(beside, Trial(PGD_, WHITE, "Linf", 0.1, "of same", 10), lambda _: None)
    assert torch.equal(own.fell, followed.fell)
    assert torch.equal(own.images, followed.images)


def test_surrogates_and_the_official_ensemble_are_tried_where_they_are_there() -> None:
    bare, equipped = Means(("implicit",), "implicit"), Means(("implicit",), "implicit", ("twin",), official=True)
    suite = SUITES["standard"]
    more = set(trials_of(suite, COLOUR, equipped)) - set(trials_of(suite, COLOUR, bare))
    assert {(trial.attack, trial.gradient, trial.norm) for trial in more} == {
        (attack, gradient, norm)
        for attack, gradient in ((PGD_, "of twin"), (OFFICIAL, "implicit"))
        for norm in ("L2", "Linf")
    }
    assert not any(trial.attack == OFFICIAL for trial in trials_of(SUITES["quick"], COLOUR, equipped))


def test_the_official_ensemble_goes_back_through_the_network_and_its_images_are_judged_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan, asked = planned(tmp_path), []

    class Stub:
        """One step of the sign of the gradient, as large as the ball and a little larger."""

        def __init__(self, model: Any, **options: Any) -> None:
            self.model = model
            asked.append(options)

        def run_standard_evaluation(self, images: Tensor, labels: Tensor, bs: int) -> Tensor:
            assert bs == len(images)
            leaf = images.clone().requires_grad_()
            (slope,) = torch.autograd.grad(crossed_entropy(self.model(leaf), labels).sum(), leaf)
            return images + 0.11 * slope.sign()

    monkeypatch.setitem(sys.modules, PACKAGE, SimpleNamespace(AutoAttack=Stub))  # type: ignore[arg-type]
    found = official(plan.victim.differentiable, plan.target, BALL, seed=3)
    loss = partial(crossed_entropy, labels=plan.target.labels)
    _, slopes = Implicit(plan.victim.network, STEPS)(plan.target.images, loss)
    by_hand = BALL.project(plan.target.images + 0.11 * slopes.sign(), plan.target.images)
    assert torch.equal(found.images, by_hand)
    assert torch.equal(found.fell, plan.target.wrong(by_hand))
    assert float(BALL.outside(found.images, plan.target.images).max()) == 0
    told = {name: asked[0][name] for name in ("norm", "eps", "seed", "version", "verbose")}
    assert told == {"norm": "Linf", "eps": 0.1, "seed": 3, "version": "standard", "verbose": False}


@pytest.mark.skipif(not official_is_here(), reason="autoattack is not installed: it is on no package registry")
def test_the_official_ensemble_finds_what_pgd_finds(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = official(plan.victim.differentiable, plan.target, BALL, seed=3)
    pgd = PGD(BALL).find(plan.target, Implicit(plan.victim.network, STEPS))
    assert int(found.fell.sum()) >= int(pgd.fell.sum())


@pytest.mark.parametrize("feedback", [True, False])
def test_the_slope_of_a_die_is_that_of_the_network_it_holds(feedback: bool) -> None:
    network = replace(conv_network(1, "average", 0.5).map_parameters(Tensor.float), feedback=feedback)
    images, loss = random_images(4).float(), partial(crossed_entropy, labels=random_labels(4))
    with to_crossbar(network, Fabrication(IDEAL, EXACT), steps=STEPS) as machine:
        held = held_by(machine, network)
        assert held.feedback == feedback
        scores, slope = OnDie(machine, held, STEPS, draws=2)(images, loss)
    victim = Settling(network, STEPS) if feedback else OnePass(FeedForward(network))
    truth = Implicit(network, STEPS) if feedback else Differentiated(FeedForward(network))
    expected_scores, expected = truth(images, loss)
    torch.testing.assert_close(scores, expected_scores, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(slope, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().max()))
    torch.testing.assert_close(victim.predict(images), scores, rtol=1e-4, atol=1e-4)
