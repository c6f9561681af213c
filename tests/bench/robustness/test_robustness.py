"""Disturbances against independent truths: an attack written out by hand, scipy's interval, the statistics of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest

from bench.records.statistics import accuracy_interval
from bench.robustness import disturbances as robustness
from bench.robustness.disturbances import (
    ATTACK_BYTES,
    attack_batch,
    gaussian,
    pgd_linf,
)
from bench.robustness.free_phase import FreePhase, equal_sweeps
from mapping.machines import to_digital
from models.data import load_data
from models.ep.network import Conv, Dense, build_network
from models.ep.relaxation import relax
from models.recipes import recipe_for
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
    for _ in range(20):
        x.requires_grad_()
        loss = torch.nn.functional.cross_entropy(model.scores(x), y)
        (gradient,) = torch.autograd.grad(loss, x)
        x = (x + 2.5 * epsilon / 20 * gradient.sign()).detach()
        x = torch.minimum(torch.maximum(x, clean - epsilon), clean + epsilon).clamp(0, 1)
    attacked = attack(digits, epsilon)
    # a gradient of exactly zero at rounding level may flip a sign: allow a few pixels
    assert (np.abs(attacked - x.numpy()) > 1e-5).mean() < 0.005


def test_attack_stays_in_its_ball_raises_the_loss_and_breaks_the_network_when_large(digits):
    network, images, labels = digits
    losses, scores = [], []
    for epsilon in (0.02, 0.1, 0.6):
        attacked = attack(digits, epsilon)
        assert np.abs(attacked - images).max() <= epsilon + 1e-6
        assert attacked.min() >= 0
        assert attacked.max() <= 1
        with torch.no_grad():
            logits = FreePhase(network, STEPS)(torch.tensor(attacked))
        losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(labels))))
        scores.append(accuracy(digits, attacked))
    assert losses == sorted(losses)
    assert scores[-1] <= 0.1, "an attack that may change everything must reach chance"


def test_attack_takes_no_more_images_at_once_than_its_memory_holds_and_finds_the_same(digits, monkeypatch):
    attacked = attack(digits, 0.05)
    # 32 x 8 x 8 and 32 x 8 x 8 sums before the pool, 8 sweeps, 3 numbers of 4 bytes of each: room for 5 images
    monkeypatch.setattr(robustness, "ATTACK_BYTES", 5 * 4096 * 8 * 12 + 1)
    assert attack_batch(digits[0], STEPS) == 5
    assert (np.abs(attack(digits, 0.05) - attacked) > 1e-5).mean() < 0.005


@pytest.mark.parametrize("recipe", ["digits", "hw-cifar10-small", "seed-cifar10"])
def test_attack_keeps_no_more_than_it_is_given_room_for(recipe):
    layers = recipe_for(recipe).layers
    shape = (1, 8, 8) if recipe == "digits" else (3, 32, 32)
    network = build_network(shape, layers, 10, torch.Generator().manual_seed(0))
    own = {tensor.data_ptr() for tensor in network.named_parameters().values()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.rand(2, *shape).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = FreePhase(network, 6)(images)
    assert sum(kept.values()) / len(logits) <= ATTACK_BYTES / attack_batch(network, 6)


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


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9, 10])
def test_odd_even_short_cut_meets_the_last_layer_at_every_step(layers, steps):
    recipe = [Conv(5, gain=0.8), Conv(4, stride=2, gain=0.8), Conv(3, pooling="average", pool_size=2), Dense(6)]
    drawn = build_network((2, 8, 8), tuple(recipe[:layers]), 3, torch.Generator().manual_seed(layers))
    # layer 1 alone sees the image at first; biases of all signs make every layer move at once
    network = drawn.map_parameters(lambda tensor: tensor + 0.3 * torch.randn(tensor.shape, generator=torch.Generator()))
    network = network.map_parameters(torch.Tensor.double)
    images = torch.rand((5, 2, 8, 8), generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    truth = network.logits(relax(network, images, steps=steps, schedule="synchronous").states[-1])
    torch.testing.assert_close(FreePhase(network, steps)(images), truth, atol=1e-12, rtol=0)
    assert (equal_sweeps(network, steps) or steps) <= (steps + 1) // 2


def test_odd_even_short_cut_is_not_taken_where_maxima_couple_the_chains():
    network = build_network((1, 8, 8), (Conv(4, pooling="max", pool_size=2), Conv(3)), 3, torch.Generator())
    assert equal_sweeps(network, 40) is None


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
