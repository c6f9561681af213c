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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data import Dataset, ImageSet
from models.ep.cudnn import exact
from models.ep.gradient import Gradient, ep_gradient
from models.ep.network import EPNetwork
from models.ep.relaxation import States
from models.fast.compiled import check_compiler, compiled_gradient
from models.fast.gradient import engine_gradient
from models.recipes import Recipe
from models.train.adversary import adversary_of, attacked, start_of
from models.train.averaging import Averages
from models.train.batches import batches
from models.train.dial import Dial, UnsettledError, hebbian
from models.train.first import first_network
from models.train.memory import check_memory
from models.train.own_slope import OwnSlope
from models.train.parallel import Team
from models.train.state import EpochRecord, TrainingState, describe_run, load_state, save_state
from models.train.updates import Updates, center_filters
from models.train.watching import record_of
from models.train.weight_noise import limit_weights, programmed
from models.train.weight_rounding import rounded
from models.train.whitening import Preparation, preparation_of


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


@exact
def train(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochRecord], None] = lambda _: None,
    team: Team = Team(),  # noqa: B008 - frozen
) -> Trained:
    """Train the recipe's network on `data.train`; `data.validation` is only watched, `data.test` never touched.

    Args:
        data: any data set, also one made in memory.
        recipe: network and hyperparameters.
        seed: from 0, of all random numbers.
        device: where torch computes.
        state_path: where to leave the state after every epoch; None leaves none.
        resume: continue from the state at `state_path` rather than from nothing.
        report: called after every epoch.
        team: the processes that share every batch; each calls `train`, the leader alone writes and reports.

    Raises:
        ValueError: a batch has fewer images than there are processes, `recipe.start` has other layers, or what compiles
            is missing.
        TooLittleMemoryError: a batch, or the evaluation, needs more memory than is free.
        DivergedError: a gradient holds a NaN or an infinity, or no state of a layer lies between 0 and 1 any more.
        UnsettledError: the dial has made feedback so strong that watched images do not come to rest after an epoch; the
            state that is kept is that of the epoch before.
        CheckpointError: the state to resume is missing, damaged, or of a run with another configuration.
    """
    began = monotonic()
    smallest = len(data.train) % recipe.batch_size or recipe.batch_size
    if smallest < team.size:
        raise ValueError(f"a batch of {smallest} images cannot be shared by {team.size} processes")
    learning = _begin(data, recipe, seed, device, team)
    run = describe_run(data, recipe, seed, device)
    history: tuple[EpochRecord, ...] = ()
    spent = 0.0
    if resume:
        history, spent = put_back(state_path, learning.parameters, learning.updates, run, learning.running)
    evaluated = max(len(data.validation), len(data.test))
    check_memory(learning.network, recipe.batch_size, device, evaluated=evaluated, processes=team.size)
    training, watched = data.train.to(device), watched_images(data.validation, recipe).to(device)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(learning, training, generator_of(seed, epoch), epoch)
        learning.updates.end_epoch()
        record = record_of(learning.deployed(), watched, recipe, epoch, hits / len(training))
        if recipe.feedback is not None:
            check_settles(record, recipe)
        history = (*history, record)
        if state_path is not None and team.leads:
            save_state(state_path, learning.state(history, spent + monotonic() - began), run)
        if team.leads:
            report(record)
    trained = learning.deployed().map_parameters(lambda tensor: tensor.detach().cpu().clone())
    return Trained(trained, history, spent + monotonic() - began)


@dataclass(frozen=True)
class _Learning:
    """A network while it learns, and what changes it."""

    network: EPNetwork
    """For normalised pixels or whitened patches, if there is a preparation."""
    parameters: dict[str, Tensor]
    """Its tensors, which the updates change in place."""
    updates: Updates
    preparation: Preparation | None
    dial: Dial | None
    averages: Averages | None
    recipe: Recipe
    team: Team

    def deployed(self) -> EPNetwork:
        """The network that is kept and takes pixels as they are."""
        kept = self.network if self.averages is None else self.network.with_parameters(self.averages.tensors)
        return deployed(kept, self.preparation)

    def on_hardware(self, generator: torch.Generator) -> EPNetwork:
        """The network as the hardware holds it that it learns for: in few bits, with errors of devices."""
        network = deployed(self.network, self.preparation)
        network = rounded(network, self.recipe.weight_bits) if self.recipe.weight_bits is not None else network
        return programmed(network, self.recipe.weight_noise, generator) if self.recipe.weight_noise else network

    def state(self, history: tuple[EpochRecord, ...], wall_s: float) -> TrainingState:
        """What a run that is stopped goes on from."""
        moments, schedule = self.updates.moments, self.updates.schedule
        return TrainingState(self.parameters, moments, schedule, history, wall_s, self.running)

    @property
    def running(self) -> dict[str, Tensor]:
        """What batches leave behind besides: averages of the weights, and what the dial has gathered."""
        held = (
            {} if self.averages is None else {f"average.{name}": kept for name, kept in self.averages.tensors.items()}
        )
        return held if self.dial is None else {**held, "dial.kappa": self.dial.kappa, "dial.begun": self.dial.begun}


def _begin(data: Dataset, recipe: Recipe, seed: int, device: str, team: Team) -> _Learning:
    """The first network of a run, on the device."""
    if recipe.compiled:
        check_compiler()
    preparation = preparation_of(data.train, recipe)
    network = first_network(data, recipe, preparation, generator_of(seed, epoch=0))
    # the optimizer changes these tensors in place, and with them the network that holds them
    parameters = {name: tensor.to(device) for name, tensor in network.named_parameters().items()}
    network = network.with_parameters(parameters)
    if recipe.zero_mean:
        center_filters(parameters)
    preparation = None if preparation is None else preparation.to(device)
    dial = None if recipe.feedback is None else Dial(recipe.feedback, device)
    averages = None if recipe.averaged is None else Averages(parameters, recipe.averaged)
    return _Learning(network, parameters, Updates(parameters, recipe), preparation, dial, averages, recipe, team)


def put_back(
    state_path: Path | None,
    parameters: dict[str, Tensor],
    updates: Updates,
    run: dict[str, Any],
    running: dict[str, Tensor],
) -> tuple[tuple[EpochRecord, ...], float]:
    """Make parameters, updates and running averages, all in place, what they were when the state of `run` was saved;
    returns its history, and the seconds spent until then."""
    if state_path is None:
        raise ValueError("nothing to resume from without a state_path")
    state = load_state(state_path, parameters, run, running)
    for held, saved in ((parameters, state.weights), (running, state.running)):
        for name, tensor in held.items():
            tensor.copy_(saved[name])
    updates.put_back(state)
    return state.history, state.wall_s


def deployed(network: EPNetwork, preparation: Preparation | None) -> EPNetwork:
    """The network that takes pixels as they are."""
    if preparation is None:
        return network
    return network.with_parameters(preparation.folded(network.named_parameters()))


def watched_images(validation: ImageSet, recipe: Recipe) -> ImageSet:
    """The validation images that are looked at after every epoch."""
    return validation if recipe.watched is None else validation.at_most(recipe.watched)


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """The generator, on the CPU, of all random numbers of one epoch; epoch 0 draws the first weights."""
    (state,) = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def check_gradient(gradient: Gradient, epoch: int, step: int) -> None:
    """Raise `DivergedError` where a gradient is no number any more."""
    # one answer for all: a GPU need not wait for each to be fetched
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in gradient.values()]).tolist()
    for name, whole in zip(gradient, finite, strict=True):
        if not whole:
            raise DivergedError(
                f"training diverged in epoch {epoch}, step {step}: the gradient of {name} is not finite. "
                "Try smaller learning rates"
            )


def between(states: States) -> Tensor:
    """(L,) 1 for every layer with a state strictly between 0 and 1, which a nudge can move, 0 for the others."""
    return torch.stack([((state > 0) & (state < 1)).any() for state in states]).float()


def check_alive(alive: Tensor, epoch: int, step: int) -> None:
    """Raise `DivergedError` where all states of a layer, in all images, are 0 or 1: nothing can nudge them."""
    for index, count in enumerate(alive.tolist(), start=1):
        if not count:
            raise DivergedError(
                f"training diverged in epoch {epoch}, step {step}: all states of layer {index} are saturated at "
                "0 or 1. Try smaller learning rates or a smaller gain"
            )


def check_settles(record: EpochRecord, recipe: Recipe) -> None:
    """Raise `UnsettledError` where half of the watched images do not come to rest."""
    if record.radius is not None and record.radius >= 1:
        raise UnsettledError(
            f"epoch {record.epoch}: the settling map has a spectral radius of {record.radius:g} at the dial "
            f"feedback = {list(recipe.feedback or ())}: half of the watched images do not come to rest. Try a smaller "
            "share, more decay, or more sweeps; the state of the epoch before is kept"
        )


def _run_epoch(learning: _Learning, images: ImageSet, generator: torch.Generator, epoch: int) -> int:
    """Every image once, in random order. Returns how many the free states classified right just before the update."""
    network, recipe, team = learning.network, learning.recipe, learning.team
    hits = torch.zeros((), dtype=torch.int64, device=images.pixels.device)
    count, adversary = -(-len(images) // recipe.batch_size), adversary_of(recipe.adversary)
    for step, (whole, whole_labels) in enumerate(batches(images, recipe, generator, epoch), start=1):
        batch, labels = team.share(whole), team.share(whole_labels)
        held = learning.on_hardware(generator)
        if adversary is not None:
            slope = OwnSlope(held, labels, recipe.phases, recipe.engine_dtype or torch.float32)
            batch = attacked(batch, slope, adversary, team.share(start_of(whole, adversary, generator)))
        if recipe.engine_dtype is not None:
            take = compiled_gradient if recipe.compiled else engine_gradient
            gradient, free = take(held, batch, labels, recipe.phases, generator, recipe.engine_dtype)
        else:
            gradient, free = ep_gradient(held, batch, labels, recipe.phases, generator)
        right = (network.logits(free[-1].float()).argmax(dim=1) == labels).sum()
        # every process adds the mean over its share, weighted by the share
        part = len(labels) / len(whole)
        *sums, alive, right = team.total(
            [*(part * tensor for tensor in gradient.values()), between(free), right.float()]
        )
        gradient = dict(zip(gradient, sums, strict=True))
        check_gradient(gradient, epoch, step)
        check_alive(alive, epoch, step)
        hits += right.long()
        progress = (epoch - 1 + step / count) / recipe.epochs
        if recipe.annealed_by == "batch":
            learning.updates.anneal(progress - 1 / (count * recipe.epochs))
        if learning.dial is not None:
            gradient = _turned(learning.dial, team, gradient, (held, batch, free), part, progress)
        preparation = learning.preparation
        learning.updates.apply(gradient if preparation is None else preparation.pulled_back(gradient))
        if recipe.weight_limit is not None:
            limit_weights(learning.parameters, recipe.weight_limit)
        if learning.averages is not None:
            learning.averages.follow(learning.parameters, progress)
    return int(hits)


def _turned(
    dial: Dial, team: Team, gradient: Gradient, rest: tuple[EPNetwork, Tensor, States], part: float, progress: float
) -> Gradient:
    """The gradient as the dial turns it, by what all processes of the team see at rest."""
    share, directions = hebbian(*rest)
    share, *sums = team.total([part * tensor for tensor in (share, *directions.values())])
    return dial.turn(gradient, dict(zip(directions, sums, strict=True)), share, progress)
