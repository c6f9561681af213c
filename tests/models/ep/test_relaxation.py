"""Relaxation: the energy falls, the two schedules agree, rest holds, and gradients flow."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from helpers.ep_examples import CLASSES, conv_network, random_images, random_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ep.energy import energy, one_hot
from models.ep.network import EPNetwork
from models.ep.pooling import PoolKind
from models.ep.relaxation import Nudge, relax, start_states

POOLINGS: tuple[PoolKind, ...] = ("none", "average", "max")
CLOSE = {"rtol": 0.0, "atol": 1e-12}


@given(seed=st.integers(0, 10_000), pooling=st.sampled_from(POOLINGS), gain=st.sampled_from((0.3, 0.8, 1.5, 3.0)))
@settings(max_examples=30, deadline=None)
def test_energy_never_rises_under_odd_even_sweeps(seed: int, pooling: PoolKind, gain: float) -> None:
    """At every gain: each sweep minimises exactly over half of the layers, given the other half."""
    network, images = conv_network(seed, pooling, gain), random_images(4, seed)
    relaxed = relax(network, images, steps=15, trace=True)
    assert relaxed.trace is not None
    energies = torch.stack([energy(network, images, states) for states in relaxed.trace])
    assert float(energies.diff(dim=0).max()) <= 1e-10
    assert float((energies[0] - energies[-1]).min()) > 0


@given(seed=st.integers(0, 10_000), pooling=st.sampled_from(("none", "average")), readout=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_sweep_is_two_synchronous_steps(seed: int, pooling: PoolKind, readout: bool) -> None:
    """After sweep k odd layers are where 2k - 1 synchronous steps put them, even layers where 2k do."""
    network, images = conv_network(seed, pooling, readout=readout), random_images(3, seed)
    sweeps = relax(network, images, steps=6, trace=True).trace
    clocked = relax(network, images, steps=12, schedule="synchronous", trace=True).trace
    assert sweeps is not None
    assert clocked is not None
    for k in range(1, 7):
        for layer, state in enumerate(sweeps[k - 1], start=1):
            step = 2 * k - 1 if layer % 2 else 2 * k
            torch.testing.assert_close(state, clocked[step - 1][layer - 1], **CLOSE)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_both_schedules_rest_at_a_fixed_point(pooling: PoolKind) -> None:
    network, images = conv_network(3, pooling, gain=0.4), random_images(4)
    swept = relax(network, images, steps=200)
    clocked = relax(network, images, steps=400, schedule="synchronous")
    assert float(swept.residual.max()) <= 1e-12
    for a, b in zip(swept.states, clocked.states, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    # the equation itself, written out for the middle layer
    lower, upper = network.links[1], network.links[2]
    drive = lower.up(swept.states[0])[0] + lower.spread_bias() + upper.down(swept.states[2])
    torch.testing.assert_close(swept.states[1], drive.clamp(0, 1), rtol=0, atol=1e-10)


@pytest.mark.parametrize("schedule", ["synchronous", "odd_even"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_image_comes_to_rest_whatever_else_is_in_the_batch(pooling: PoolKind, schedule: str) -> None:
    network, images = conv_network(5, pooling, gain=0.7), random_images(5)
    images[0] = 0.0  # rests at once or nearly so
    settle = {"steps": 60, "schedule": schedule, "tolerance": 1e-3}
    together = relax(network, images, **settle)
    assert len(together.steps.unique()) > 1
    for index in range(len(images)):
        alone = relax(network, images[index : index + 1], **settle)
        assert int(alone.steps) == int(together.steps[index])
        torch.testing.assert_close(alone.residual[0], together.residual[index], **CLOSE)
        for a, b in zip(alone.states, together.states, strict=True):
            torch.testing.assert_close(a[0], b[index], **CLOSE)


def test_rest_means_that_the_last_step_moved_no_more_than_the_tolerance() -> None:
    network, images = conv_network(5, gain=0.7), random_images(5)
    relaxed = relax(network, images, steps=60, tolerance=1e-3)
    trace = relax(network, images, steps=60, trace=True).trace
    assert trace is not None
    assert float(relaxed.residual.max()) <= 1e-3
    for index, step in enumerate(relaxed.steps.tolist()):
        for state, then in zip(relaxed.states, trace[step - 1], strict=True):
            torch.testing.assert_close(state[index], then[index], **CLOSE)
        moved = [
            max(float((b[index] - a[index]).abs().max()) for a, b in zip(before, after, strict=True))
            for before, after in pairwise(trace[:step])
        ]
        assert moved[-1] <= 1e-3 < min(moved[:-1], default=1.0)


def test_step_limit_is_reported_where_nothing_rests() -> None:
    relaxed = relax(conv_network(5, gain=3.0), random_images(3), steps=7, schedule="synchronous", tolerance=0.0)
    assert relaxed.steps.tolist() == [7, 7, 7]
    assert float(relaxed.residual.min()) > 0


def test_feed_forward_start_is_one_pass_without_feedback() -> None:
    network, images = conv_network(1, "max"), random_images(2)
    states = start_states(network, images, "feed_forward")
    below = images
    for link, state in zip(network.links, states, strict=True):
        torch.testing.assert_close(state, (link.up(below)[0] + link.spread_bias()).clamp(0, 1))
        below = state
    assert not any(bool(state.any()) for state in start_states(network, images, "zero"))


def test_a_start_does_not_move_the_fixed_point() -> None:
    network, images = conv_network(1, gain=0.4), random_images(2)
    ends = [relax(network, images, steps=200, start=start).states for start in ("zero", "feed_forward")]
    handed = relax(network, images, steps=1, start=ends[0]).states
    for zero, forward, again in zip(*ends, handed, strict=True):
        torch.testing.assert_close(zero, forward, rtol=0, atol=1e-10)
        torch.testing.assert_close(zero, again, rtol=0, atol=1e-10)


def logits(network: EPNetwork, images: torch.Tensor) -> torch.Tensor:
    return network.logits(relax(network, images, steps=5).states[-1])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_agree_with_finite_differences(pooling: PoolKind) -> None:
    network, images = conv_network(2, pooling), random_images(1).requires_grad_()
    named = {name: tensor.requires_grad_() for name, tensor in network.named_parameters().items()}

    def scores(images: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        return logits(network.with_parameters(dict(zip(named, tensors, strict=True))), images)

    # fast mode: along random directions, which is enough to see a wrong term anywhere
    assert torch.autograd.gradcheck(scores, (images, *named.values()), fast_mode=True)


def test_nothing_is_kept_for_autograd_under_no_grad() -> None:
    network, images = conv_network(2), random_images(1).requires_grad_()
    assert logits(network, images).grad_fn is not None
    with torch.no_grad():
        relaxed = relax(network, images, steps=5)
    assert all(state.grad_fn is None and not state.requires_grad for state in relaxed.states)
    assert relaxed.trace is None


@pytest.mark.parametrize("beta", [0.4, -0.4])
def test_a_nudged_squared_error_output_minimises_energy_and_cost(beta: float) -> None:
    network, images = conv_network(4, readout=False, gain=0.4), random_images(3)
    target = one_hot(random_labels(3), CLASSES, images)
    states = relax(network, images, steps=300, nudge=Nudge(beta, target)).states
    free = relax(network, images, steps=300).states[-1]
    assert bool(((states[-1] - target).abs().sum(1) < (free - target).abs().sum(1)).all()) == (beta > 0)
    leaves = [state.clone().requires_grad_() for state in states]
    total = energy(network, images, leaves).sum() + beta * 0.5 * (leaves[-1] - target).square().sum()
    for leaf, slope in zip(leaves, torch.autograd.grad(total, leaves), strict=True):
        inside = (leaf > 0) & (leaf < 1)
        assert float(slope[inside].abs().max()) < 1e-9
        assert float(-slope[leaf == 0].clamp(max=0).sum()) < 1e-9
        assert float(slope[leaf == 1].clamp(min=0).sum()) < 1e-9


@pytest.mark.parametrize("beta", [0.4, -0.4])
def test_a_nudged_softmax_readout_minimises_energy_and_cost(beta: float) -> None:
    network, images, labels = conv_network(4, gain=0.4), random_images(3), random_labels(3)
    states = relax(network, images, steps=300, nudge=Nudge(beta, one_hot(labels, CLASSES, images))).states
    last = states[-1].clone().requires_grad_()
    cost = torch.nn.functional.cross_entropy(network.logits(last), labels, reduction="sum")
    (slope,) = torch.autograd.grad(energy(network, images, [*states[:-1], last]).sum() + beta * cost, last)
    inside = (last > 0) & (last < 1)
    assert float(slope[inside].abs().max()) < 1e-9


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"steps": 0}, "steps is 0, must be at least 1"),
        ({"steps": 1, "schedule": "random"}, "'random' is none of synchronous, odd_even"),
        ({"steps": 1, "start": "warm"}, "'warm' is none of zero, feed_forward"),
    ],
)
def test_bad_settings_are_refused(settings_: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        relax(conv_network(0), random_images(1), **settings_)


def test_a_squared_error_nudge_without_a_minimum_is_refused() -> None:
    target = torch.zeros(1, CLASSES, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"beta is -1.0: .* no minimum"):
        relax(conv_network(0, readout=False), random_images(1), steps=1, nudge=Nudge(-1.0, target))
