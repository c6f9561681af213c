"""Updates of training: each optimizer against its formula, and the norms that Muon keeps."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from torch import Tensor

from models.ep.contraction import contraction
from models.ep.network import Conv, Dense, Span, build_network
from models.train.loop import train
from models.train.updates import Updates

LAYERS = (Conv(4, gain=0.4), Conv(4, gain=0.4), Conv(4, gain=0.4), Conv(6, gain=0.4), Dense(5, gain=0.4))
RATES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
DECAYS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
BIAS_RATE = 0.07


def parameters() -> dict[str, Tensor]:
    network = build_network((2, 5, 5), LAYERS, 3, torch.Generator().manual_seed(0), (Span(1, 4),))
    norm = {"norm2.scale": torch.ones(4), "norm2.offset": torch.zeros(4)}  # of a feed-forward twin
    return network.named_parameters() | norm


def moved(optimizer: str, gradient: dict[str, Tensor], momentum: float = 0.0) -> dict[str, Tensor]:
    """How one step changes every tensor, its decay apart."""
    recipe = tiny_recipe(
        layers=LAYERS, skips=(Span(1, 4),), learning_rates=RATES, weight_decay=DECAYS, optimizer=optimizer,
        momentum=momentum, bias_rate=BIAS_RATE if optimizer == "muon" else None,
    )  # fmt: skip
    before, after = parameters(), parameters()
    Updates(after, recipe).apply(gradient)
    rates, decays = of_tensors(optimizer, RATES, BIAS_RATE), of_tensors(optimizer, DECAYS, 0.0)
    decays |= {"norm2.scale": 0.0, "norm2.offset": 0.0}
    return {name: after[name] - (1 - rates[name] * decays[name]) * before[name] for name in before}


def of_tensors(optimizer: str, values: tuple[float, ...], of_bias: float) -> dict[str, float]:
    """Rate or decay of every tensor: a skip has its upper layer's, biases and norms their own beside Muon."""
    rates = {}
    for name in parameters():
        own = {"skip1": 3, "readout": 5}.get(name.split(".")[0])
        layer = own if own is not None else int(name[4]) - 1
        rates[name] = of_bias if optimizer == "muon" and own is None and not name.endswith("weight") else values[layer]
    return rates


def some_gradient() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(tensor.shape, generator=generator) for name, tensor in parameters().items()}


def test_sgd_goes_down_the_gradient_at_the_rate_of_each_layer() -> None:
    gradient, rates = some_gradient(), of_tensors("sgd", RATES, BIAS_RATE)
    for name, change in moved("sgd", gradient).items():
        torch.testing.assert_close(change, -rates[name] * gradient[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_first_step_of_adamw_has_the_size_of_the_rate_everywhere(optimizer: str) -> None:
    gradient, rates = some_gradient(), of_tensors(optimizer, RATES, BIAS_RATE)
    for name, change in moved(optimizer, gradient).items():
        if optimizer == "adamw" or name.endswith("bias") or name.startswith("readout"):
            torch.testing.assert_close(change, -rates[name] * gradient[name].sign(), rtol=0, atol=1e-5)


def test_muon_steps_along_the_singular_vectors_of_the_gradient_by_its_rate_in_all_of_them() -> None:
    """Singular values between 0.5 and 1.5 of the rate, as torch documents of its five iterations."""
    gradient, rates = some_gradient(), of_tensors("muon", RATES, BIAS_RATE)
    for name, change in moved("muon", gradient).items():
        if not name.endswith("weight") or name.startswith("readout"):
            continue
        left, _, right = torch.linalg.svd(gradient[name].flatten(1), full_matrices=False)
        step = -left.T @ change.flatten(1) @ right.T / rates[name]
        # torch scales the step of a matrix with more rows than columns by the root of their ratio
        step /= max(1.0, len(gradient[name]) / gradient[name][0].numel()) ** 0.5
        assert float(step.diag().min()) > 0.5, name
        assert float(step.diag().max()) < 1.5, name
        assert float((step - step.diag().diag()).abs().max()) < 0.05, name


def test_decay_of_muon_bounds_the_loop_whatever_is_learnt() -> None:
    recipe = tiny_recipe(
        20, optimizer="muon", bias_rate=0.02, learning_rates=(0.02, 0.02, 0.02), weight_decay=(0.1, 4.0, 0.1), shift=0
    )
    trained = train(bars(), recipe, seed=0)
    norm = float(torch.linalg.matrix_norm(trained.network.links[1].weight.flatten(1), 2))
    # the iterations overshoot 1 by up to a half
    assert norm < 1.5 / 4.0
    # 3 x 3 kernels overlap 9 times, averages of 2 x 2 halve: at most 1.5 times the norm of the matrix
    bound = contraction(trained.network)
    assert bound is not None
    assert bound <= 1.5 * norm
    assert trained.history[-1].train_accuracy > 0.9
