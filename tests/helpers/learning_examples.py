"""Small networks that learn, something to learn, and the same learning in torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.torch_sgd import Sgd
from hw.circuit import Weights
from models.ep.gradient import Estimator, Phases, ep_gradient
from models.ep.network import Conv, Dense, EPNetwork, build_network

SHAPE = (1, 6, 5)
CLASSES = 3
FREE, NUDGED = 12, 6
RECIPES: dict[str, tuple[tuple[Conv | Dense, ...], int | None]] = {
    "dense squared error": ((Dense(8), Dense(6), Dense(CLASSES)), None),
    "average pool": ((Conv(3), Conv(4, pooling="average", pool_size=2), Dense(6)), CLASSES),
    "max pool": ((Conv(3, pooling="max", pool_size=2), Conv(4, kernel=2, padding=0), Dense(6)), CLASSES),
}


def example(name: str, seed: int = 3) -> EPNetwork:
    """A network of `RECIPES` with biases that lift its states off zero."""
    generator = torch.Generator().manual_seed(seed)
    layers, classes = RECIPES[name]
    network = build_network(SHAPE, layers, classes, generator)
    lifted = {
        tensor: value + (0.2 if tensor.endswith("bias") else 0.0) * torch.rand(value.shape, generator=generator)
        for tensor, value in network.named_parameters().items()
    }
    return network.with_parameters(lifted)


def stripes(count: int, seed: int = 0, noise: float = 0.3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(count, 1, 6, 5) images of class k = 0, 1, 2 with rows 2k and 2k + 1 bright, and their classes: separable."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = noise * rng.random((count, *SHAPE))
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += 1 - noise
    return images.astype(np.float32), labels


def torch_gradient(
    network: EPNetwork, images: NDArray[np.float32], labels: NDArray[np.int64], estimator: Estimator, beta: float
) -> dict[str, Tensor]:
    """The gradient of the training code, by the synchronous schedule of the machines."""
    phases = Phases(FREE, NUDGED, beta, estimator, "synchronous")
    return ep_gradient(network, torch.as_tensor(images), torch.as_tensor(labels), phases, torch.Generator())[0]


def learnt_by_torch(
    network: EPNetwork,
    batches: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
    *,
    estimator: Estimator = "centered",
    beta: float = 0.2,
    rates: Sequence[float],
    decays: Sequence[float] | None = None,
    momentum: float = 0.0,
) -> EPNetwork:
    """The network after one step of SGD per batch, with a rate and a decay per link and readout."""
    named = {name: tensor.clone() for name, tensor in network.named_parameters().items()}
    sgd = Sgd(list(named.values()), momentum)
    each_rate = np.repeat(rates, 2).tolist()
    each_decay = np.repeat([0.0] * len(rates) if decays is None else decays, 2).tolist()
    for images, labels in batches:
        gradient = torch_gradient(network.with_parameters(named), images, labels, estimator, beta)
        sgd.step([gradient[name] for name in named], each_rate, each_decay)
    return network.with_parameters(named)


def assert_same_network(found: EPNetwork, expected: EPNetwork, atol: float) -> None:
    """All tensors alike; the message names the first that is not."""
    named = found.named_parameters()
    for name, tensor in expected.named_parameters().items():
        np.testing.assert_allclose(named[name].numpy(), tensor.numpy(), rtol=0, atol=atol, err_msg=name)


def moved_by(found: EPNetwork, start: EPNetwork) -> float:
    """Largest change of any number."""
    pairs = zip(found.named_parameters().values(), start.named_parameters().values(), strict=True)
    return max(float((new - old).abs().max()) for new, old in pairs)


def assert_same_weights(one: Weights, other: Weights) -> None:
    """All tensors alike in every bit."""
    for ours, theirs in zip((*one.weights, *one.biases), (*other.weights, *other.biases), strict=True):
        np.testing.assert_array_equal(ours, theirs)
