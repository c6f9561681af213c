"""The compiled gradient is the engine's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.ep_examples import CLASSES, assert_same_bits, bars, random_images, random_labels, tiny_recipe
from torch import Tensor

from models.ep.evaluation import evaluate
from models.ep.gradient import Phases
from models.ep.network import Conv, EPNetwork, build_network
from models.fast import compiled
from models.fast.compiled import check_compiler, compiled_gradient
from models.fast.gradient import engine_gradient, gradient_of
from models.train.loop import train


@pytest.fixture
def compiler() -> None:
    """Skips where nothing compiles, and says what is missing."""
    try:
        check_compiler()
    except ValueError as error:
        pytest.skip(str(error))
    torch.compiler.reset()


MAXIMA, AVERAGES = (Conv(4, pooling=kind, pool_size=2, gain=0.7) for kind in ("max", "average"))


def network_of(seed: int, layers: tuple[Conv, ...]) -> EPNetwork:
    drawn = build_network((2, 8, 8), layers, CLASSES, torch.Generator().manual_seed(seed))
    return drawn.map_parameters(lambda tensor: tensor.double() + 0.02)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("layers", "steps"),
    [((MAXIMA,), 2), pytest.param((MAXIMA, AVERAGES), 3, marks=pytest.mark.slow)],
    ids=["one", "two"],
)
def test_the_compiled_gradient_is_that_of_the_engine_and_takes_other_weights_as_it_is(
    layers: tuple[Conv, ...], steps: int
) -> None:
    phases = Phases(steps, steps, beta=0.1, schedule="symmetric")
    for seed in range(3):
        network, images, labels = network_of(seed, layers), random_images(4, seed), random_labels(4, seed)
        with torch.compiler.set_stance("default" if seed == 0 else "fail_on_recompile"):
            gradient, states = compiled_gradient(network, images, labels, phases, torch.Generator(), torch.float64)
        expected, free = engine_gradient(network, images, labels, phases, torch.Generator(), torch.float64)
        assert list(gradient) == list(expected)
        for name, tensor in expected.items():
            torch.testing.assert_close(gradient[name], tensor, rtol=1e-9, atol=1e-11)
        for state, reference in zip(states, free, strict=True):
            torch.testing.assert_close(state, reference, rtol=0, atol=1e-12)


def test_a_recipe_that_compiles_takes_all_gradients_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(tiny_recipe(epochs=2), arithmetic="bfloat16", compiled=True)
    batches: list[int] = []

    def program(network: EPNetwork, images: Tensor, *others: object) -> object:
        batches.append(len(images))
        return gradient_of(network, images, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(compiled, "_program", lambda: program)
    network = train(bars(), recipe, seed=2).network
    assert batches == [8] * 12
    assert_same_bits(network, train(bars(), replace(recipe, compiled=False), seed=2).network)


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_recipe_that_compiles_learns_and_repeats_its_bits() -> None:
    recipe = replace(tiny_recipe(epochs=15), arithmetic="bfloat16", compiled=True, learning_rates=(0.02, 0.02, 0.1))
    first, second = (train(bars(), recipe, seed=2).network for _ in range(2))
    assert evaluate(first, bars().test, steps=recipe.steps).accuracy == 1.0
    assert_same_bits(first, second)


def test_without_a_compiler_training_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    recipe = replace(tiny_recipe(1), arithmetic="bfloat16", compiled=True)
    with pytest.raises(ValueError, match="compiler no-such-compiler, which is not there"):
        train(bars(), recipe, seed=0)
