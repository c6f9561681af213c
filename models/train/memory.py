"""Too little memory for a batch is found before work starts, not by a process that is killed hours later."""

from __future__ import annotations

from collections.abc import Callable

import torch

from models.ep.evaluation import BATCH
from models.ep.gradient import Phases, ep_gradient
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.fast.gradient import engine_gradient
from models.fast.settling import Engine
from models.recipes import Recipe
from models.train.free_memory import free_bytes
from models.train.peak_memory import peak_bytes

MARGIN = 2.2
"""Estimate over `peak_bytes`, for what kernels and allocators take beyond tensors. With the next, estimates are 1.2 to
2.3 times what processes were seen to take on a CPU (tests/models/test_batch_memory.py)."""
KERNELS = 50e6
"""Bytes that torch takes on a CPU for code and tables when it first computes: 20 to 50 MB were seen."""
WEIGHT_COPIES = 6
"""Float32 copies of all weights that training keeps beside a gradient: two moments of the optimizer; the weights
folded, rounded and programmed; the gradient by normalised pixels."""
FEW = Phases(free_steps=2, nudged_steps=2, schedule="symmetric")
"""Enough steps for the most memory, where a nudge has come down to all layers: more of them take no more."""


class TooLittleMemoryError(MemoryError):
    """A batch that does not fit into memory; the message says what would."""


def check_memory(network: EPNetwork, recipe: Recipe, device: str, *, evaluated: int, processes: int = 1) -> None:
    """Refuse to train where a gradient, or the evaluation of `evaluated` images, needs more memory than is free.

    The processes of a team each hold their share of a batch, and on a CPU share its memory. Nothing is refused where
    the system does not say how much is free.

    Raises:
        TooLittleMemoryError: the message has the batch, what it needs, what is free and the largest batch that fits.
    """
    free = free_bytes(device)
    if free is None:
        return
    there = free // processes if device == "cpu" else free

    def needed(batch: int) -> int:
        return training_bytes(network, recipe, -(-batch // processes))

    batch = recipe.batch_size
    if needed(batch) > there:
        largest = _largest(lambda size: needed(size) <= there, batch)
        advice = f"a batch of {largest} would fit" if largest else "not even one image would fit"
        raise TooLittleMemoryError(
            f"a batch of {batch} images needs {_gigabytes(processes * needed(batch))} on {device} where "
            f"{_gigabytes(free)} is free: {advice}"
        )
    count = min(BATCH, evaluated)
    taken = evaluation_bytes(network, recipe, count)
    if taken > there:
        raise TooLittleMemoryError(
            f"evaluating {count} images at a time needs {_gigabytes(taken)} on {device} "
            f"where {_gigabytes(free)} is free"
        )


def training_bytes(network: EPNetwork, recipe: Recipe, batch: int) -> int:
    """Estimate, from above, of the memory that one gradient of so many images needs beside network and data."""

    def work() -> object:
        meta = network.map_parameters(lambda tensor: tensor.to("meta"))
        images = torch.empty((batch, *network.input_shape), device="meta")
        labels = torch.empty(batch, dtype=torch.int64, device="meta")
        if recipe.engine_dtype is not None:
            return engine_gradient(meta, images, labels, FEW, recipe.engine_dtype)
        # the centered estimator, which draws nothing, holds no less than the others
        return ep_gradient(meta, images, labels, FEW, torch.Generator())

    weights = sum(4 * tensor.numel() for tensor in network.named_parameters().values())
    return int(MARGIN * peak_bytes(work) + KERNELS) + WEIGHT_COPIES * weights


def evaluation_bytes(network: EPNetwork, recipe: Recipe, batch: int) -> int:
    """Estimate, from above, of the memory that settling so many images at a time needs."""

    def work() -> object:
        meta = network.map_parameters(lambda tensor: tensor.to("meta"))
        images = torch.empty((batch, *network.input_shape), device="meta")
        if recipe.engine_dtype is not None:
            return Engine(meta, recipe.engine_dtype).settle(images, 2)
        return relax(meta, images, steps=2, schedule="synchronous")

    return int(MARGIN * peak_bytes(work) + KERNELS)


def _largest(fits: Callable[[int], bool], beyond: int) -> int:
    """The largest size below `beyond` that fits, or 0."""
    low, high = 0, beyond
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
