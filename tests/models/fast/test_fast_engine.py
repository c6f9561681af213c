"""The engine computes what `models.ep.relaxation` and `models.ep.gradient` compute."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from helpers.ep_examples import CLASSES, bars, random_images, random_labels, tiny_recipe
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.ep.evaluation import evaluate
from models.ep.gradient import Phases, ep_gradient
from models.ep.links import ConvLink
from models.ep.network import Conv, Dense, EPNetwork, build_network
from models.ep.pooling import PoolKind, pool, unpool
from models.ep.relaxation import Schedule, relax
from models.fast.evaluation import evaluate_fast
from models.fast.gradient import engine_gradient
from models.fast.nudging import Pull, moved
from models.fast.settling import Engine
from models.fast.stages import spread, strongest
from models.train.loop import train


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def networks(draw: st.DrawFn, gain: float = 0.7) -> EPNetwork:
    """Two to four layers in float64 of any geometry that fits 2 x 8 x 8 pixels, with biases."""
    layers: list[Conv | Dense] = []
    size = 8
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        pooling = draw(st.sampled_from(["none", "average", "max"]))
        window = 1 if pooling == "none" else draw(st.integers(2, 3))
        summed = (size + 2 * padding - kernel) // stride + 1 if size + 2 * padding >= kernel else 0
        if summed // window < 1:
            continue
        layers.append(Conv(draw(st.integers(2, 5)), kernel, stride, padding, pooling, window, gain))
        size = summed // window
    if not layers or draw(st.booleans()):
        layers.append(Dense(6, gain))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    network = build_network((2, 8, 8), tuple(layers), CLASSES, generator).map_parameters(torch.Tensor.double)
    named = {
        name: tensor + 0.2 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith("bias") else tensor
        for name, tensor in network.named_parameters().items()
    }  # fmt: skip
    return network.with_parameters(named)


def maxima_are_decided(network: EPNetwork, images: Tensor, schedule: Schedule, sweeps: int) -> bool:
    """Whether the best two sums of every window differ by more than rounding after each sweep.

    States at their bounds make patches alike, and so sums that are equal but for the order of a kernel's additions:
    which place has the maximum is then up to the kernel, and there is no truth to meet.
    """
    for states in relax(network, images, steps=sweeps, schedule=schedule, trace=True).trace or ():
        for link, below in zip(network.links, (images, *states), strict=False):
            if not isinstance(link, ConvLink) or link.pooling != "max":
                continue
            sums = F.conv2d(below, link.weight, stride=link.stride, padding=link.padding)
            best, switch = pool("max", link.pool_size, sums)
            assert switch is not None
            others = sums.flatten(2).scatter(2, switch.flatten(2), -torch.inf).view_as(sums)
            if float((best - pool("max", link.pool_size, others)[0]).min()) < 1e-9:
                return False
    return True


@given(network=networks(), batch=st.integers(1, 4), sweeps=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_states_are_those_of_the_reference_after_every_number_of_sweeps(network, batch, sweeps) -> None:
    images = random_images(batch)
    assume(maxima_are_decided(network, images, "odd_even", sweeps))
    engine = Engine(network, torch.float64)
    with torch.no_grad():
        states = engine.states(engine.settle(images, sweeps))
        expected = relax(network, images, steps=sweeps).states
    for state, reference in zip(states, expected, strict=True):
        torch.testing.assert_close(state, reference, rtol=0, atol=1e-12)


FREE = 60
"""Sweeps after which the networks that settle at all have come to rest."""


@given(
    network=networks(gain=0.4),
    batch=st.integers(1, 4),
    nudged=st.integers(1, 4),
    schedule=st.sampled_from(["odd_even", "symmetric"]),
    estimator=st.sampled_from(["centered", "random_sign", "one_sided"]),
    smoothing=st.sampled_from([0.0, 0.1]),
)
@settings(max_examples=80, deadline=None)
def test_gradients_at_rest_are_those_of_the_reference(network, batch, nudged, schedule, estimator, smoothing) -> None:
    images, labels = random_images(batch), random_labels(batch)
    phases = Phases(FREE, nudged, 0.3, estimator, schedule, label_smoothing=smoothing)
    # by the sweeps of the schedule: symmetric ones take twice as many
    assume(float(relax(network, images, steps=FREE, schedule=phases.schedules[0]).residual.max()) < 1e-13)
    assume(maxima_are_decided(network, images, phases.schedules[0], FREE))
    gradient, states = engine_gradient(network, images, labels, phases, seeded(batch), torch.float64)
    expected, free_states = ep_gradient(network, images, labels, phases, seeded(batch))
    assert sorted(gradient) == sorted(network.named_parameters())
    for name, tensor in expected.items():
        torch.testing.assert_close(gradient[name], tensor, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(states[-1], free_states[-1], rtol=0, atol=1e-12)


@given(network=networks(), free=st.integers(1, 5), schedule=st.sampled_from(["odd_even", "symmetric"]))
@settings(max_examples=30, deadline=None)
def test_a_free_phase_that_has_not_come_to_rest_is_held(network, free, schedule) -> None:
    """No nudge, no move: what the free phase would still have done is no part of the gradient."""
    images, phases = random_images(3), Phases(free, 3, schedule=schedule)
    engine = Engine(network, torch.float64)
    at = engine.begin(images)
    for number in range(1, free + 1):
        at = engine.sweep(at, phases.schedules[0], number)
    for state, drive in zip(at.states, at.drives, strict=True):
        assert torch.equal(state, drive.clamp(0, 1))
    targets = engine.scores(at.states[-1]).softmax(dim=1)
    for moves in moved(engine, at, Pull(torch.full((3, 1), 0.3), targets), phases.schedules[1], 3):
        assert float(moves.abs().max()) < 1e-12


@given(window=st.integers(2, 3), rows=st.integers(2, 7), columns=st.integers(2, 7), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_maxima_and_their_places_are_those_of_torch(window, rows, columns, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    if min(rows, columns) < window:
        return
    # few values, so that many windows have their maximum twice: the first place wins in both
    sums = torch.randint(0, 3, (2, 3, rows, columns), generator=generator).double()
    best, switch = strongest(sums.permute(0, 2, 3, 1), window)
    expected, positions = pool("max", window, sums)
    assert torch.equal(best.permute(0, 3, 1, 2), expected)
    states = torch.rand(expected.shape, generator=generator, dtype=torch.float64)
    wide = spread(states.permute(0, 2, 3, 1), switch, window, rows, columns)
    assert torch.equal(wide.permute(0, 3, 1, 2), unpool("max", window, states, (rows, columns), positions))


@pytest.mark.parametrize(("pooling", "least"), [("none", 0.99), ("average", 0.99), ("max", 0.99)])
def test_half_precision_points_the_same_way(pooling: PoolKind, least: float) -> None:
    """Cosine of every tensor with float64 at a nudge of 1/100, which moves most states by less than their 8 bits."""
    size = 1 if pooling == "none" else 2
    layers = (Conv(16, pooling=pooling, pool_size=size, gain=0.6), Conv(16, stride=2, gain=0.6))
    network = build_network((3, 16, 16), layers, 10, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.rand((64, 3, 16, 16), generator=generator), torch.arange(64) % 10
    phases = Phases(15, 6, beta=0.01)
    gradient, _ = engine_gradient(network, images, labels, phases, seeded(0))
    exact, _ = ep_gradient(
        network.map_parameters(torch.Tensor.double), images.double(), labels, phases, torch.Generator()
    )
    for name, tensor in exact.items():
        assert gradient[name].dtype == torch.float32
        cosine = torch.cosine_similarity(gradient[name].double().flatten(), tensor.flatten(), dim=0)
        assert float(cosine) > least, name


def test_watching_on_the_engine_is_evaluating_at_two_steps_a_sweep() -> None:
    trained = train(bars(), tiny_recipe(3), seed=0).network
    evaluation = evaluate_fast(trained, bars().test, sweeps=6, dtype=torch.float32, batch_size=5)
    expected = evaluate(trained, bars().test, steps=6, schedule="odd_even")
    assert evaluation.correct == expected.correct
    assert evaluation.cost == pytest.approx(expected.cost, rel=1e-5)
    torch.testing.assert_close(evaluation.residual, expected.residual, rtol=0, atol=1e-6)


def test_training_in_half_precision_learns_and_repeats_its_bits() -> None:
    recipe = replace(
        tiny_recipe(epochs=15), arithmetic="bfloat16", normalise=True, flip=True, learning_rates=(0.02, 0.02, 0.1)
    )
    first, second = (train(bars(), recipe, seed=2).network for _ in range(2))
    assert evaluate(first, bars().test, steps=recipe.steps).accuracy == 1.0
    for name, tensor in first.named_parameters().items():
        assert torch.equal(tensor, second.named_parameters()[name])
        assert tensor.dtype == torch.float32


def test_networks_without_a_readout_are_refused() -> None:
    with pytest.raises(ValueError, match="softmax readout"):
        Engine(build_network((2, 8, 8), (Dense(4),), None, torch.Generator()), torch.float32)


@pytest.mark.parametrize("phases", [Phases(maxima="live"), Phases(schedule="synchronous")])
def test_phases_that_the_engine_does_not_run_are_refused(phases: Phases) -> None:
    network = build_network((2, 8, 8), (Dense(4),), CLASSES, torch.Generator())
    with pytest.raises(ValueError, match=f"not maxima {phases.maxima} and {phases.schedule}"):
        engine_gradient(network, random_images(2), random_labels(2), phases, seeded(0))
