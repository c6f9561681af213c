"""Feed-forward twins: the network of a recipe without feedback, trained by backpropagation.

A twin has the layers, first weights, images, augmentation, normalised pixels, epochs, batch size and updates of the
recipe, and runs once upwards in float32 (`models.ep.feed_forward`). The gradient of equilibrium propagation is that of
backpropagation through the loop, so that rates found for one suit the other. What a recipe says of phases, of the
weights to start from and of noisy, clipped or rounded ones is for equilibrium propagation and not for its twin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor

from models.data import Dataset, ImageSet
from models.ep.cudnn import exact
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.gradient import mean_cost
from models.ep.links import ConvLink
from models.ep.network import EPNetwork, build_network
from models.ep.relaxation import States, start_states
from models.recipes import Recipe
from models.train.batches import batches
from models.train.loop import (
    Trained,
    between,
    check_alive,
    check_gradient,
    deployed,
    generator_of,
    put_back,
    watched_images,
)
from models.train.state import EpochRecord, TrainingState, describe_run, save_state
from models.train.updates import Updates
from models.train.whitening import Preparation, preparation_of
from models.twin.batch_norm import BatchNorm, fresh_norms, normed_states, without_norms


@dataclass(frozen=True)
class Twin:
    """A network while it learns to run once upwards."""

    network: EPNetwork
    """For normalised pixels or whitened patches, if there is a preparation; with norms, its links' biases stay 0."""
    norms: tuple[BatchNorm, ...]
    """One for every link, or none at all."""
    preparation: Preparation | None

    def learnt(self) -> dict[str, Tensor]:
        """Every tensor that learns, by name."""
        named = self.network.named_parameters()
        if self.norms:
            named = {name: tensor for name, tensor in named.items() if not _is_bias_of_link(name)}
        for index, norm in enumerate(self.norms, start=1):
            named |= {f"norm{index}.scale": norm.scale, f"norm{index}.offset": norm.offset}
        return named

    def running(self) -> dict[str, Tensor]:
        """The running averages of the norms, by name: batches change them in place."""
        named = enumerate(self.norms, start=1)
        return {f"norm{index}.{name}": getattr(norm, name) for index, norm in named for name in ("mean", "variance")}

    def states(self, images: Tensor) -> States:
        """States of one training pass of images (B, C, H, W) as they are: differentiable in what learns."""
        network = deployed(self.network, self.preparation)
        if self.norms:
            return normed_states(network, self.norms, images, training=True)
        return start_states(network, images, "feed_forward")

    def plain(self) -> EPNetwork:
        """The network it has become: it takes pixels as they are and has no norms."""
        network = deployed(self.network, self.preparation)
        network = without_norms(network, self.norms) if self.norms else network
        return network.map_parameters(torch.Tensor.detach)


@exact
def train_twin(
    data: Dataset,
    recipe: Recipe,
    *,
    batch_norm: bool = False,
    seed: int,
    device: str = "cpu",
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochRecord], None] = lambda _: None,
) -> Trained:
    """Train a twin on `data.train`; `data.validation` is only watched, `data.test` never touched.

    With `batch_norm`, the sums of every link are normalised over the batch, before pooling. `state_path` and `resume`
    are those of `models.train.loop.train`.

    Raises:
        CheckpointError: the state to resume is missing, damaged, or of a run with another configuration.
        ValueError: the last batch is a single image, of which a flat layer's sums cannot be normalised.
        DivergedError: a gradient holds a NaN or an infinity, or no state of a layer lies between 0 and 1 any more.
    """
    began = monotonic()
    twin = _fresh_twin(data, recipe, batch_norm, seed, device)
    # views: what updates them updates the twin
    learnt, running = {name: tensor.detach() for name, tensor in twin.learnt().items()}, twin.running()
    updates = Updates(learnt, recipe)
    run = describe_run(data, recipe, seed, device) | {"batch_norm": batch_norm}
    history: tuple[EpochRecord, ...] = ()
    spent = 0.0
    if resume:
        history, spent = put_back(state_path, learnt, updates, run, running)
    training, watched = data.train.to(device), watched_images(data.validation, recipe).to(device)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(twin, updates, training, recipe, generator_of(seed, epoch), epoch)
        updates.end_epoch()
        score = evaluate_feed_forward(twin.plain(), watched)
        record = EpochRecord(epoch, hits / len(training), score.accuracy, score.cost, residual_p95=None)
        history = (*history, record)
        if state_path is not None:
            wall_s = spent + monotonic() - began
            done = TrainingState(learnt, updates.moments, updates.schedule, history, wall_s, running)
            save_state(state_path, done, run)
        report(record)
    trained = twin.plain().map_parameters(lambda tensor: tensor.cpu().clone())
    return Trained(trained, history, spent + monotonic() - began)


def _fresh_twin(data: Dataset, recipe: Recipe, batch_norm: bool, seed: int, device: str) -> Twin:
    network = build_network(data.train.shape, recipe.layers, data.classes, generator_of(seed, epoch=0), recipe.skips)
    if batch_norm and len(data.train) % recipe.batch_size == 1 % recipe.batch_size:
        for index, link in enumerate(network.links, start=1):
            if not isinstance(link, ConvLink) or link.summed[1:] == (1, 1):
                raise ValueError(
                    f"batches of {recipe.batch_size} leave a single one of {len(data.train)} images, "
                    f"of which the sums of flat layer {index} cannot be normalised: take another batch size"
                )
    network = network.map_parameters(lambda tensor: tensor.to(device).requires_grad_())
    norms = fresh_norms(network) if batch_norm else ()
    preparation = preparation_of(data.train, recipe)
    return Twin(network, norms, None if preparation is None else preparation.to(device))


def _run_epoch(
    twin: Twin, updates: Updates, images: ImageSet, recipe: Recipe, generator: torch.Generator, epoch: int
) -> int:
    """Every image once, in random order. Returns how many were classified right just before the update."""
    hits, learnt = torch.zeros((), dtype=torch.int64, device=images.pixels.device), twin.learnt()
    for step, (batch, labels) in enumerate(batches(images, recipe, generator, epoch), start=1):
        states = twin.states(batch)
        slopes = torch.autograd.grad(mean_cost(twin.network, states[-1], labels), list(learnt.values()))
        gradient = dict(zip(learnt, slopes, strict=True))
        check_gradient(gradient, epoch, step)
        check_alive(between(states), epoch, step)
        hits += (twin.network.logits(states[-1].detach()).argmax(dim=1) == labels).sum()
        if recipe.annealed_by == "batch":
            updates.anneal((epoch - 1 + (step - 1) / -(-len(images) // recipe.batch_size)) / recipe.epochs)
        updates.apply(gradient)
    return int(hits)


def _is_bias_of_link(name: str) -> bool:
    return name.startswith("link") and name.endswith(".bias")
