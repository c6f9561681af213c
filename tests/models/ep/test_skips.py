"""Residual links: an energy, its minimiser and its gradients, in every place that knows links."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import CLASSES, bars, random_images, random_labels, tiny_recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ep.energy import energy
from models.ep.evaluation import evaluate
from models.ep.gradient import Phases, backprop_gradient, cosine, ep_gradient
from models.ep.links import ConvLink
from models.ep.network import Conv, Dense, EPNetwork, Skip, Span, build_network
from models.ep.relaxation import relax, start_states
from models.fast.gradient import engine_gradient
from models.fast.settling import Engine
from models.files.checkpoint import CheckpointError, load_network, save_network
from models.files.tensorfile import read_tensors, write_tensors
from models.recipes import read_recipe
from models.train.loop import train

SPANS = (Span(1, 4, kernel=2, stride=2, gain=0.6),)


def residual_network(seed: int = 0, spans: tuple[Span, ...] = SPANS) -> EPNetwork:
    """Five layers in float64 on 2 x 8 x 8 pixels, 8 x 8, 8 x 8, 4 x 4 and 4 x 4 high, and a dense one."""
    layers = (
        Conv(4, gain=0.5),
        Conv(5, gain=0.5),
        Conv(6, pooling="average", pool_size=2, gain=0.5),
        Conv(7, gain=0.5),
        Dense(6, gain=0.5),
    )
    network = build_network((2, 8, 8), layers, CLASSES, torch.Generator().manual_seed(seed), spans)
    named = network.map_parameters(torch.Tensor.double).named_parameters()
    return network.with_parameters({name: t + 0.1 if name.endswith("bias") else t for name, t in named.items()})


def test_states_at_rest_minimise_the_energy() -> None:
    """Gradient of the energy by automatic differentiation: none, or out of the bounds where a state sits at one."""
    network, images = residual_network(), random_images(3)
    rest = relax(network, images, steps=300).states
    leaves = [state.detach().requires_grad_() for state in rest]
    slopes = torch.autograd.grad(energy(network, images, leaves).sum(), leaves)
    for state, slope in zip(rest, slopes, strict=True):
        free = (state > 0) & (state < 1)
        assert float(slope[free].abs().max()) < 1e-9
        assert bool((slope[state == 0] >= -1e-9).all())
        assert bool((slope[state == 1] <= 1e-9).all())


def test_the_energy_never_rises() -> None:
    network, images = residual_network(1), random_images(4)
    trace = relax(network, images, steps=15, trace=True).trace
    assert trace is not None
    energies = torch.stack([energy(network, images, states) for states in trace])
    assert bool((energies.diff(dim=0) <= 1e-12).all())


def test_gradients_are_those_of_backprop() -> None:
    network, images, labels = residual_network(2), random_images(6), random_labels(6)
    estimate, _ = ep_gradient(network, images, labels, Phases(200, 100, beta=1e-4), torch.Generator())
    truth = backprop_gradient(network, images, labels, steps=200)
    assert "skip1.weight" in estimate
    assert list(truth) == list(network.named_parameters())
    assert min(cosine(estimate, truth, list(truth)).values()) > 0.9999


@given(seed=st.integers(0, 99), free=st.integers(1, 5), nudged=st.integers(1, 4), kernel=st.sampled_from([2, 4]))
@settings(max_examples=10, deadline=None)
def test_the_engine_computes_the_same(seed: int, free: int, nudged: int, kernel: int) -> None:
    span = Span(1, 4, kernel=kernel, stride=2, padding=kernel // 2 - 1)
    network, images, labels = residual_network(seed, (span,)), random_images(3), random_labels(3)
    with torch.no_grad():
        engine = Engine(network, torch.float64)
        for state, reference in zip(
            engine.states(engine.settle(images, free)), relax(network, images, steps=free).states, strict=True
        ):
            torch.testing.assert_close(state, reference, rtol=0, atol=1e-12)
    # weaker links, which come to rest in fewer sweeps
    calm = network.with_parameters(
        {
            name: 0.6 * tensor if name.endswith("weight") else tensor
            for name, tensor in network.named_parameters().items()
        }
    )
    rest = Phases(50, nudged, beta=0.3)
    gradient, _ = engine_gradient(calm, images, labels, rest, torch.Generator(), torch.float64)
    expected, _ = ep_gradient(calm, images, labels, rest, torch.Generator())
    assert sorted(gradient) == sorted(network.named_parameters())
    for name, tensor in expected.items():
        torch.testing.assert_close(gradient[name], tensor, rtol=1e-8, atol=1e-10)


def test_one_pass_upwards_goes_through_skips_too() -> None:
    network, images = residual_network(), random_images(2)
    states = start_states(network, images, "feed_forward")
    third, skip = network.links[3], network.skips[0].link
    drive = third.up(states[2])[0] + third.spread_bias() + skip.up(states[0])[0]
    torch.testing.assert_close(states[3], drive.clamp(0, 1))


def test_a_checkpoint_holds_them(tmp_path: Path) -> None:
    network = residual_network().map_parameters(torch.Tensor.float)
    path = tmp_path / "net.safetensors"
    save_network(network, path)
    loaded = load_network(path)
    assert (loaded.skips[0].source, loaded.skips[0].target) == (1, 4)
    for name, tensor in network.named_parameters().items():
        assert torch.equal(loaded.named_parameters()[name], tensor)
    images = random_images(2).float()
    assert torch.equal(relax(loaded, images, steps=5).states[-1], relax(network, images, steps=5).states[-1])


@pytest.mark.parametrize(
    ("skips", "message"),
    [
        ("none", "skips is 'none'"),
        ([{"source": 1, "target": 4}], r"skips\[1\] lacks link"),
        ([{"source": 1.5, "target": 4}], r"skips\[1\].source is 1.5, expected a valid integer"),
        ([{"source": 1, "target": 3}], "skip1 goes from layer 1 to 3 of 5, expected to span 3, 5"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, skips: object, message: str) -> None:
    path = tmp_path / "net.safetensors"
    save_network(residual_network().map_parameters(torch.Tensor.float), path)
    tensors, document = read_tensors(path, "ep-hardware network")
    link = document["skips"][0]["link"]
    if isinstance(skips, list) and "lacks" not in message:
        skips = [{**skip, "link": link} for skip in skips]
    write_tensors(path, "ep-hardware network", tensors, {**document, "skips": skips})
    with pytest.raises(CheckpointError, match=message):
        load_network(path)


def conv(shape: tuple[int, ...], below: tuple[int, ...], **options: object) -> ConvLink:
    return ConvLink(torch.ones(shape), torch.zeros(shape[0]), below, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        (Skip(1, 3, conv((6, 4, 2, 2), (4, 8, 8), stride=2)), "span 3, 5"),
        (Skip(0, 3, conv((6, 2, 2, 2), (2, 8, 8), stride=2)), "span 3, 5"),
        (Skip(2, 6, conv((6, 5, 1, 1), (5, 8, 8))), "span 3, 5"),
        (Skip(1, 4, conv((7, 4, 1, 1), (4, 8, 8))), r"skip1 makes layer 4 \(7, 8, 8\), it is \(7, 4, 4\)"),
        (Skip(1, 4, conv((7, 4, 1, 1), (4, 8, 8), pooling="max", pool_size=2)), "skip1 pools by max"),
        (Skip(1, 4, replace(conv((7, 4, 2, 2), (4, 8, 8), stride=2), bias=torch.ones(7))), "skip1 has a bias"),
    ],
)
def test_a_skip_that_does_not_fit_is_refused(skip: Skip, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(residual_network(), skips=(skip,))


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_a_recipe_with_skips_learns(tmp_path: Path, arithmetic: str) -> None:
    path = tmp_path / "residual.toml"
    path.write_text(
        'data = "bars"\nlearning_rates = [0.02, 0.02, 0.02, 0.02, 0.1]\nweight_decay = [0, 0, 0, 0, 0]\nepochs = 15\n'
        f'batch_size = 8\nsteps = 24\narithmetic = "{arithmetic}"\n'
        "phases = {free_steps = 12, nudged_steps = 6, beta = 0.2}\n"
        + '[[layers]]\nkind = "conv"\nchannels = 4\ngain = 0.4\n' * 4
        + "[[skips]]\nsource = 1\ntarget = 4\n"
    )
    recipe = read_recipe(path)
    trained = train(bars(), recipe, seed=0)
    assert evaluate(trained.network, bars().test, steps=24).accuracy == 1.0
    drawn = train(bars(), replace(recipe, epochs=1, learning_rates=(0.0,) * 5), seed=0).network
    assert not torch.equal(drawn.skips[0].link.weight, trained.network.skips[0].link.weight)
    assert tiny_recipe().skips == ()
