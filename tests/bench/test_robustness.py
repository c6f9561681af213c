"""Disturbances against independent truths: an attack written out by hand, scipy's interval, the statistics of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest

from bench.robustness import PGD_STEPS, PGD_TRAVEL, FreePhase, accuracy_interval, equal_sweeps, gaussian, pgd_linf
from mapping.machines import to_digital
from models.data import load_data
from models.relaxation import relax
from models.zoo import load_model

STEPS = 15


@pytest.fixture(scope="module")
def digits():
    test = load_data("digits").test.first(48)
    return load_model("digits"), test.floats().numpy(), test.labels.numpy()


def attack(digits, epsilon):
    network, images, labels = digits
    return pgd_linf(network, images, labels, epsilon, steps=STEPS, batch_size=32, device="cpu")


def accuracy(digits, images):
    with to_digital(digits[0], steps=STEPS) as machine:
        return float((machine.settle(images).logits.argmax(axis=1) == digits[2]).mean())


def test_pgd_equals_the_textbook_written_out(digits):
    network, images, labels = digits
    epsilon, model = 0.05, FreePhase(network, STEPS)
    clean, y = torch.tensor(images), torch.tensor(labels)
    x = clean.clone()
    for _ in range(PGD_STEPS):
        x.requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        (gradient,) = torch.autograd.grad(loss, x)
        x = (x + PGD_TRAVEL * epsilon / PGD_STEPS * gradient.sign()).detach()
        x = torch.minimum(torch.maximum(x, clean - epsilon), clean + epsilon).clamp(0, 1)
    found = attack(digits, epsilon)
    # a gradient of exactly zero at rounding level may flip a sign: allow a few pixels
    assert (np.abs(found - x.numpy()) > 1e-5).mean() < 0.005


def test_attack_stays_in_its_ball_raises_the_loss_and_breaks_the_network_when_large(digits):
    network, images, labels = digits
    losses, scores = [], []
    for epsilon in (0.02, 0.1, 0.6):
        found = attack(digits, epsilon)
        assert np.abs(found - images).max() <= epsilon + 1e-6
        assert found.min() >= 0
        assert found.max() <= 1
        with torch.no_grad():
            logits = FreePhase(network, STEPS)(torch.tensor(found))
        losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(labels))))
        scores.append(accuracy(digits, found))
    assert losses == sorted(losses)
    assert scores[-1] <= 0.1, "an attack that may change everything must reach chance"


@pytest.mark.parametrize("steps", [2, 15, 16])
def test_attacked_module_is_the_machine_that_predicts(digits, steps):
    """Also where the attack takes the short way of odd-even sweeps, and in every gradient."""
    network, images, labels = digits
    with torch.no_grad():
        attacked = FreePhase(network, steps)(torch.tensor(images)).numpy()
    with to_digital(network, steps=steps) as machine:
        np.testing.assert_allclose(attacked, machine.settle(images).logits, atol=1e-4)

    def slope(logits_of):
        x = torch.tensor(images, requires_grad=True)
        return torch.autograd.grad(torch.nn.functional.cross_entropy(logits_of(x), torch.tensor(labels)), x)[0]

    every_step = slope(lambda x: network.logits(relax(network, x, steps=steps, schedule="synchronous").states[-1]))
    torch.testing.assert_close(slope(FreePhase(network, steps)), every_step, atol=1e-7, rtol=1e-3)


def test_odd_even_short_cut_is_taken_only_where_it_is_exact(digits):
    assert equal_sweeps(digits[0], 40) == 20
    assert equal_sweeps(digits[0], 39) is None


def test_gaussian_noise_has_its_law_and_its_seed():
    images = np.full((40, 1, 50, 50), 0.5, np.float32)
    noisy = gaussian(images, 0.1, seed=3)
    assert kstest((noisy - 0.5).ravel() / 0.1, "norm", mode="asymp").pvalue > 0.01  # clipping is five sigma away
    np.testing.assert_array_equal(noisy, gaussian(images, 0.1, seed=3))
    assert not np.array_equal(noisy, gaussian(images, 0.1, seed=4))
    assert gaussian(images, 0.9, seed=3).min() == 0
    assert gaussian(images, 0.9, seed=3).max() == 1


@pytest.mark.parametrize(("correct", "images"), [(0, 7), (7, 7), (3, 7), (353, 360), (9_950, 10_000)])
def test_interval_is_wilsons(correct, images):
    truth = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    assert accuracy_interval(correct, images) == pytest.approx((truth.low, truth.high), abs=1e-12)
