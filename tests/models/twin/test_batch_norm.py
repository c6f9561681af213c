"""Batch normalisation: torch's own modules say what it is, and folding leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import torch
from helpers.ep_examples import CLASSES, SHAPE, conv_network, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.ep.network import Conv, Dense, EPNetwork, Span, build_network
from models.ep.relaxation import start_states
from models.twin.batch_norm import BatchNorm, fresh_norms, normed_states, without_norms


def random_norms(network: EPNetwork, seed: int) -> tuple[BatchNorm, ...]:
    """As after training: scales of both signs, means of any, variances of different sizes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator, dtype=like.dtype)

    biases = [link.bias for link in network.links]
    return tuple(
        BatchNorm(draw(bias, -1.5, 1.5), draw(bias, -0.5, 1), draw(bias, -1, 1), draw(bias, 0.05, 2)) for bias in biases
    )


@torch.no_grad()
def by_modules(network: EPNetwork, norms: tuple[BatchNorm, ...], images: Tensor, *, training: bool) -> list[Tensor]:
    """The same pass out of torch.nn: convolution, BatchNorm, pooling module, Hardtanh. Norms' averages are copied."""
    states, below = [], images
    for link, norm in zip(network.links, norms, strict=True):
        channels = len(link.bias)
        if link.kind == "conv":
            summing: nn.Module = nn.Conv2d(link.below[0], channels, link.weight.shape[2:], link.stride, link.padding)
            kinds = {"none": nn.Identity(), "average": nn.AvgPool2d(2), "max": nn.MaxPool2d(2)}
            norming, pooling = nn.BatchNorm2d(channels), kinds[link.pooling]
        else:
            summing = nn.Sequential(nn.Flatten(), nn.Linear(link.weight.shape[1], channels))
            norming, pooling = nn.BatchNorm1d(channels), nn.Identity()
        layer = nn.Sequential(summing, norming, pooling, nn.Hardtanh(0, 1)).to(images.dtype).train(training)
        values = dict(zip(layer.state_dict(), (
            link.weight, link.bias, norm.scale, norm.offset, norm.mean, norm.variance, torch.tensor(0)
        ), strict=True))  # fmt: skip
        layer.load_state_dict(values)
        below = layer(below)
        states.append(below)
    return states


@st.composite
def networks(draw: st.DrawFn) -> EPNetwork:
    """One to three layers of any geometry that leaves something above, float32."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(8, 11)), draw(st.integers(8, 11)))
    layers: list[Conv | Dense] = []
    for _ in range(draw(st.integers(1, 2))):
        pooling = draw(st.sampled_from(["none", "average", "max"]))
        layers.append(
            Conv(
                channels=draw(st.integers(1, 4)),
                kernel=draw(st.integers(1, 3)),
                stride=draw(st.integers(1, 2)) if not layers else 1,
                padding=1,
                pooling=pooling,
                pool_size=1 if pooling == "none" else 2,
                gain=1.4,
            )
        )
    if draw(st.booleans()):
        layers.append(Dense(draw(st.integers(1, 5)), gain=1.4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    network = build_network(shape, tuple(layers), CLASSES, generator)
    return network.map_parameters(lambda tensor: tensor + 0.1 * torch.rand(tensor.shape, generator=generator))


@settings(max_examples=30, deadline=None)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_folding_gives_the_states_of_the_normed_network(network: EPNetwork, seed: int) -> None:
    norms = random_norms(network, seed)
    images = torch.rand((3, *network.input_shape), generator=torch.Generator().manual_seed(seed))
    plain = start_states(without_norms(network, norms), images, "feed_forward")
    for state, layer in zip(plain, by_modules(network, norms, images, training=False), strict=True):
        torch.testing.assert_close(state, layer, rtol=0, atol=1e-5)
    for state, layer in zip(plain, normed_states(network, norms, images, training=False), strict=True):
        torch.testing.assert_close(state, layer, rtol=0, atol=1e-5)


def test_what_skips_bring_is_not_normalised() -> None:
    layers = (Conv(3), Conv(4, pooling="max", pool_size=2), Conv(4), Conv(5), Dense(6))
    generator = torch.Generator().manual_seed(1)
    network = build_network(SHAPE, layers, CLASSES, generator, (Span(1, 4, stride=2),)).map_parameters(Tensor.double)
    norms = random_norms(network, 2)
    plain = start_states(without_norms(network, norms), random_images(3), "feed_forward")
    normed = normed_states(network, norms, random_images(3), training=False)
    for state, layer in zip(plain, normed, strict=True):
        torch.testing.assert_close(state, layer, rtol=0, atol=1e-12)
    without = normed_states(replace(network, skips=()), norms, random_images(3), training=False)
    assert not torch.equal(without[3], normed[3])


def test_a_training_pass_and_its_averages_are_those_of_torch() -> None:
    for pooling in ("none", "average", "max"):
        network, images = conv_network(3, pooling), random_images(6)
        norms, before = random_norms(network, 5), random_norms(network, 5)
        expected = by_modules(network, before, images, training=True)
        states = normed_states(network, norms, images, training=True)
        for ours, theirs in zip(states, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        for index, link in enumerate(network.links):
            below = images if index == 0 else states[index - 1]
            if link.kind == "conv":
                sums = nn.functional.conv2d(below, link.weight, link.bias, link.stride, link.padding)
            else:
                sums = nn.functional.linear(below.flatten(1), link.weight, link.bias)
            axes = [axis for axis in range(sums.ndim) if axis != 1]
            mean, variance = sums.mean(dim=axes), sums.var(dim=axes, unbiased=True)
            torch.testing.assert_close(norms[index].mean, 0.9 * before[index].mean + 0.1 * mean)
            torch.testing.assert_close(norms[index].variance, 0.9 * before[index].variance + 0.1 * variance)


def test_fresh_norms_are_learnt_scales_and_offsets_that_share_no_memory() -> None:
    network = conv_network(0)
    norms = fresh_norms(network)
    tensors = [tensor for norm in norms for tensor in (norm.scale, norm.offset, norm.mean, norm.variance)]
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)
    assert [tensor.requires_grad for tensor in tensors] == [True, True, False, False] * len(norms)
    normed_states(network, norms, torch.rand((4, *SHAPE), dtype=torch.float64), training=True)
    assert all(bool((norm.mean != 0).all()) for norm in norms)
