"""Training: stochastic gradient descent on gradients of equilibrium propagation.

The weights are those of the last epoch, where the cosine has taken the learning rates to zero: no epoch is picked. All
random numbers of an epoch come from one generator made of (seed, epoch), so that a run continued from the state of its
last whole epoch gives the same bits as one that was never stopped (on the same machine with as many threads).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from models.augment import shifted
from models.data import Dataset, ImageSet
from models.evaluation import evaluate
from models.learning import Gradient, ep_gradient
from models.network import EPNetwork, build_network
from models.recipes import Recipe
from models.relaxation import States
from models.training_state import EpochRecord, TrainingState, describe_run, load_state, save_state
from models.weight_noise import limit_weights, programmed


class DivergedError(ArithmeticError):
    """Training ran away; the message names the epoch, the step and the layer."""


@dataclass(frozen=True)
class Trained:
    """What training ends with."""

    network: EPNetwork
    """On the CPU."""
    history: tuple[EpochRecord, ...]
    """One record per epoch."""
    wall_s: float
    """Seconds all epochs took, those before an interruption included."""


def train(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochRecord], None] = lambda _: None,
) -> Trained:
    """Train a fresh network on `data.train`; `data.validation` is only watched, `data.test` never touched.

    Args:
        data: any data set, also one made in memory.
        recipe: network and hyperparameters.
        seed: from 0, of all random numbers.
        device: where torch computes.
        state_path: where to leave the state after every epoch; None leaves none.
        resume: continue from the state at `state_path` rather than from nothing.
        report: called after every epoch.

    Raises:
        DivergedError: a gradient holds a NaN or an infinity, or no state of a layer lies between 0 and 1 any more.
        CheckpointError: the state to resume is missing, damaged, or of a run with another configuration.
    """
    began = monotonic()
    network = build_network(data.train.shape, recipe.layers, data.classes, generator_of(seed, epoch=0))
    # the optimizer changes these tensors in place, and with them the network that holds them
    parameters = {name: tensor.to(device) for name, tensor in network.named_parameters().items()}
    network = network.with_parameters(parameters)
    optimizer, cosine = _optimizer(parameters, recipe)
    run = describe_run(data, recipe, seed, device)
    history: tuple[EpochRecord, ...] = ()
    spent = 0.0
    if resume:
        if state_path is None:
            raise ValueError("nothing to resume from without a state_path")
        state = load_state(state_path, parameters, run)
        _put_back(state, parameters, optimizer, cosine)
        history, spent = state.history, state.wall_s
    training, validation = data.train.to(device), data.validation.to(device)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(network, parameters, optimizer, training, recipe, generator_of(seed, epoch), epoch)
        cosine.step()
        found = evaluate(network, validation, steps=recipe.steps)
        record = EpochRecord(epoch, hits / len(training), found.accuracy, found.cost, found.residual_quantile(0.95))
        history = (*history, record)
        if state_path is not None:
            momenta = {name: optimizer.state[tensor].get("momentum_buffer") for name, tensor in parameters.items()}
            wall_s = spent + monotonic() - began
            save_state(state_path, TrainingState(parameters, momenta, cosine.state_dict(), history, wall_s), run)
        report(record)
    trained = network.map_parameters(lambda tensor: tensor.detach().cpu().clone())
    return Trained(trained, history, spent + monotonic() - began)


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """The generator, on the CPU, of all random numbers of one epoch; epoch 0 draws the first weights."""
    (state,) = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def check_gradient(gradient: Gradient, epoch: int, step: int) -> None:
    """Raise `DivergedError` where a gradient is no number any more."""
    for name, tensor in gradient.items():
        if not bool(torch.isfinite(tensor).all()):
            raise DivergedError(
                f"training diverged in epoch {epoch}, step {step}: the gradient of {name} is not finite. "
                "Try smaller learning rates"
            )


def check_states(states: States, epoch: int, step: int) -> None:
    """Raise `DivergedError` where all states of a layer, in all images, are 0 or 1: nothing can nudge them."""
    for index, state in enumerate(states, start=1):
        if not bool(((state > 0) & (state < 1)).any()):
            raise DivergedError(
                f"training diverged in epoch {epoch}, step {step}: all states of layer {index} are saturated at "
                "0 or 1. Try smaller learning rates or a smaller gain"
            )


def _optimizer(parameters: dict[str, Tensor], recipe: Recipe) -> tuple[SGD, CosineAnnealingLR]:
    layers = [f"link{index}" for index in range(1, len(recipe.layers) + 1)] + ["readout"]
    groups = [
        {
            "params": [parameters[f"{layer}.weight"], parameters[f"{layer}.bias"]],
            "lr": rate,
            "weight_decay": decay,
        }
        for layer, rate, decay in zip(layers, recipe.learning_rates, recipe.weight_decay, strict=True)
    ]
    optimizer = SGD(groups, momentum=recipe.momentum)
    return optimizer, CosineAnnealingLR(optimizer, recipe.epochs)


def _run_epoch(
    network: EPNetwork,
    parameters: dict[str, Tensor],
    optimizer: SGD,
    images: ImageSet,
    recipe: Recipe,
    generator: torch.Generator,
    epoch: int,
) -> int:
    """Every image once, in random order. Returns how many the free states classified right just before they taught."""
    hits = 0
    order = torch.randperm(len(images), generator=generator).to(images.pixels.device)
    for step, indices in enumerate(order.split(recipe.batch_size), start=1):
        batch, labels = images.batch(indices)
        batch = shifted(batch, recipe.shift, recipe.shift_chance, generator)
        taught = programmed(network, recipe.weight_noise, generator) if recipe.weight_noise else network
        gradient, free = ep_gradient(taught, batch, labels, recipe.phases, generator)
        check_gradient(gradient, epoch, step)
        check_states(free, epoch, step)
        hits += int((network.logits(free[-1]).argmax(dim=1) == labels).sum())
        for name, tensor in parameters.items():
            tensor.grad = gradient[name]
        optimizer.step()
        if recipe.weight_limit is not None:
            limit_weights(parameters, recipe.weight_limit)
    return hits


def _put_back(state: TrainingState, parameters: dict[str, Tensor], optimizer: SGD, cosine: CosineAnnealingLR) -> None:
    for name, tensor in parameters.items():
        tensor.copy_(state.weights[name])
        momentum = state.momenta[name]
        if momentum is not None:
            optimizer.state[tensor]["momentum_buffer"] = momentum.to(tensor.device)
    cosine.load_state_dict(state.schedule)
    for group, rate in zip(optimizer.param_groups, cosine.get_last_lr(), strict=True):
        group["lr"] = rate
