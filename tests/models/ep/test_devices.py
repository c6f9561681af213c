"""Everything that trains and settles on CUDA, on tensors that have a device and shapes but no numbers: it raises where
a tensor of the CPU slips in, or where a number would have to be fetched, and needs no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from models.ep.gradient import Phases, ep_gradient, mean_cost
from models.ep.network import Conv, EPNetwork, Span, build_network
from models.ep.relaxation import relax
from models.fast.gradient import engine_gradient
from models.fast.settling import Engine
from models.recipes import Recipe
from models.train.batches import batches
from models.train.loop import between, deployed, generator_of
from models.train.normalisation import normalisation_of
from models.train.updates import Updates
from models.train.weight_noise import limit_weights, programmed
from models.train.weight_rounding import rounded
from models.twin.batch_norm import fresh_norms
from models.twin.controls import Controls
from models.twin.forward import states_in
from models.twin.loop import Twin

LAYERS = {
    "max": (Conv(4, padding=1, pooling="max", pool_size=2), Conv(6, pooling="max", pool_size=2)),
    "average": (Conv(4, gain=0.4), Conv(6, pooling="average", pool_size=2)),
    "skip": (Conv(4, padding=1), Conv(4, padding=1), Conv(4, padding=1), Conv(4)),
}
SKIPS = {"skip": (Span(1, 4, padding=0),)}


@pytest.fixture
def fake() -> Iterator[None]:
    """Tensors made from now on have no numbers, and may lie on a GPU that is not there."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def recipe_of(kind: str, **changes: object) -> Recipe:
    count = len(LAYERS[kind]) + 1
    rates = {"learning_rates": (0.1,) * count, "weight_decay": (0.1,) * count}
    return tiny_recipe(layers=LAYERS[kind], skips=SKIPS.get(kind, ()), flip=True, **{**rates, **changes})


IMAGES = bars().train
NORMALISATION = normalisation_of(IMAGES)
NETWORKS = {
    kind: build_network((1, 6, 6), recipe_of(kind).layers, 3, torch.Generator().manual_seed(0), recipe_of(kind).skips)
    for kind in LAYERS
}


def network_of(kind: str) -> EPNetwork:
    return NETWORKS[kind].map_parameters(lambda tensor: tensor.to("cuda"))


def on_cuda(*tensors: Tensor | None) -> bool:
    return all(tensor is None or tensor.device.type == "cuda" for tensor in tensors)


@pytest.mark.usefixtures("fake")
def test_a_tensor_of_the_cpu_among_those_of_a_gpu_is_noticed() -> None:
    there = torch.ones(3, device="cuda")
    with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu"):
        there + torch.ones(3)
    with pytest.raises(DataDependentOutputException):
        float(there[0])


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", [*LAYERS])
@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.9},
        {"optimizer": "adamw"},
        {"optimizer": "muon", "bias_rate": 1e-2},
    ],
    ids=["sgd", "adamw", "muon"],
)
def test_a_step_of_training_stays_on_the_gpu(kind: str, changes: dict) -> None:
    recipe = recipe_of(kind, **changes)
    network, images = network_of(kind), IMAGES.to("cuda")
    parameters, normalisation = network.named_parameters(), NORMALISATION.to("cuda")
    updates, generator = Updates(parameters, recipe), generator_of(0, 1)
    phases = Phases(3, 3, beta=0.01, schedule="symmetric")
    for batch, labels in islice(batches(images, recipe, generator), 2):
        die = programmed(rounded(deployed(network, normalisation), 4), (0.01, 0.02), generator)
        for gradient, free in (
            engine_gradient(die, batch, labels, phases, generator, torch.bfloat16),
            ep_gradient(die, batch, labels, phases, generator),
        ):
            assert on_cuda(batch, labels, *gradient.values(), *free, between(free))
            updates.apply(normalisation.pulled_back(gradient))
            limit_weights(parameters, 2.5)
    updates.end_epoch()
    kept = [held for moments in updates.moments.values() for key, held in moments.items() if key != "step"]
    assert kept
    assert on_cuda(*kept)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", [*LAYERS])
@pytest.mark.parametrize("normed", [False, True])
def test_a_twin_stays_on_the_gpu(kind: str, normed: bool) -> None:
    recipe, images = recipe_of(kind), IMAGES.to("cuda")
    network = network_of(kind).map_parameters(lambda tensor: tensor.requires_grad_())
    twin = Twin(network, fresh_norms(network) if normed else (), NORMALISATION.to("cuda"))
    batch, labels = next(batches(images, recipe, generator_of(0, 1)))
    held = twin.held(recipe, Controls(), generator_of(0, 1))
    states = states_in(held, twin.norms, batch, torch.float32, training=True)
    # the way back is torch's own, and wants a real GPU
    assert on_cuda(*states, mean_cost(network, states[-1], labels), *twin.running().values())
    assert on_cuda(*twin.learnt().values(), *twin.plain().named_parameters().values())


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", [*LAYERS])
def test_settling_stays_on_the_gpu(kind: str) -> None:
    network, images = network_of(kind), IMAGES.to("cuda").floats()
    relaxed = relax(network, images, steps=4, schedule="synchronous", trace=True)
    engine = Engine(network, torch.bfloat16)
    at = engine.settle(images, 3)
    assert on_cuda(*relaxed.states, relaxed.steps, relaxed.residual, *at.states, engine.scores(at.states[-1]))
