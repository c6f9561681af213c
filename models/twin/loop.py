"""Feed-forward twins: the network of a recipe without feedback, trained by backpropagation.

A twin has the layers, first weights, images, augmentation, normalised pixels, epochs, batch size and updates of the
recipe, and runs once upwards (`models.ep.feed_forward`). The gradient of equilibrium propagation is that of
backpropagation through the loop, so that rates found for one suit the other. What a recipe says of phases, of the
weights to start from, of averages and of rounded ones is for equilibrium propagation and not for its twin; of noisy and
clipped weights it takes what `models.twin.controls` ask for.
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
from models.recipes import Recipe
from models.train.adversary import adversary_of, attacked, start_of
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
from models.train.weight_noise import limit_weights
from models.train.whitening import Preparation, preparation_of
from models.twin.batch_norm import BatchNorm, fresh_norms, without_norms
from models.twin.controls import Controls
from models.twin.forward import on_a_die, states_in
from models.twin.teacher import Teacher, teacher_of


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

    def held(self, recipe: Recipe, controls: Controls, generator: torch.Generator) -> EPNetwork:
        """The network that takes pixels as they are, its weights with noise if they are to have any."""
        network = deployed(self.network, self.preparation)
        return on_a_die(network, recipe.weight_noise, generator) if controls.smooth and recipe.weight_noise else network

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
    controls: Controls = Controls(),  # noqa: B008 - frozen
    seed: int,
    device: str = "cpu",
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochRecord], None] = lambda _: None,
) -> Trained:
    """Train a twin on `data.train`; `data.validation` is only watched, `data.test` never touched.

    `state_path` and `resume` are those of `models.train.loop.train`.

    Raises:
        CheckpointError: the state to resume is missing, damaged, or of a run with another configuration.
        ValueError: the last batch is a single image, of which a flat layer's sums cannot be normalised; or the controls
            ask for what the recipe does not have, or for a teacher of other images or classes.
        DivergedError: a gradient holds a NaN or an infinity, or no state of a layer lies between 0 and 1 any more.
    """
    began = monotonic()
    controls.check(recipe)
    teacher = teacher_of(controls, data, recipe, device)
    twin = _fresh_twin(data, recipe, controls.batch_norm, seed, device)
    # views: what updates them updates the twin
    learnt, running = {name: tensor.detach() for name, tensor in twin.learnt().items()}, twin.running()
    updates = Updates(learnt, recipe)
    run = describe_run(data, recipe, seed, device) | controls.described()
    history: tuple[EpochRecord, ...] = ()
    spent = 0.0
    if resume:
        history, spent = put_back(state_path, learnt, updates, run, running)
    training, watched = data.train.to(device), watched_images(data.validation, recipe).to(device)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(_Lesson(twin, updates, recipe, controls, teacher), training, generator_of(seed, epoch), epoch)
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


@dataclass(frozen=True)
class _Lesson:
    """Who learns, and how."""

    twin: Twin
    updates: Updates
    recipe: Recipe
    controls: Controls
    teacher: Teacher | None

    def shown(self, held: EPNetwork, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The images as they are learnt: noisy, or attacked with the network as it is held."""
        controls = self.controls
        if controls.gaussian:
            noise = torch.randn(images.shape, generator=generator).to(images.device)
            images = (images + controls.gaussian * noise).clamp(0, 1)
        adversary = adversary_of(controls.adversary)
        if adversary is None:
            return images
        still = held.map_parameters(torch.Tensor.detach)

        def slope(moved: Tensor) -> Tensor:
            leaf = moved.detach().requires_grad_()
            last = states_in(still, self.twin.norms, leaf, controls.dtype, training=False)[-1]
            return torch.autograd.grad(mean_cost(still, last, labels), leaf)[0]

        return attacked(images, slope, adversary, start_of(images, adversary, generator))


def _run_epoch(lesson: _Lesson, images: ImageSet, generator: torch.Generator, epoch: int) -> int:
    """Every image once, in random order. Returns how many were classified right just before the update."""
    twin, updates, recipe, controls = lesson.twin, lesson.updates, lesson.recipe, lesson.controls
    hits, learnt = torch.zeros((), dtype=torch.int64, device=images.pixels.device), twin.learnt()
    tensors = {name: tensor.detach() for name, tensor in learnt.items()}
    count = -(-len(images) // recipe.batch_size)
    for step, (batch, labels) in enumerate(batches(images, recipe, generator, epoch), start=1):
        held = twin.held(recipe, controls, generator)
        shown = lesson.shown(held, batch, labels, generator)
        states = states_in(held, twin.norms, shown, controls.dtype, training=True)
        if lesson.teacher is None:
            cost = mean_cost(held, states[-1], labels)
        else:
            cost = torch.nn.functional.cross_entropy(held.logits(states[-1]), lesson.teacher(shown))
        slopes = torch.autograd.grad(cost, list(learnt.values()))
        gradient = dict(zip(learnt, slopes, strict=True))
        check_gradient(gradient, epoch, step)
        check_alive(between(states), epoch, step)
        hits += (held.logits(states[-1].detach()).argmax(dim=1) == labels).sum()
        if recipe.annealed_by == "batch":
            updates.anneal((epoch - 1 + (step - 1) / count) / recipe.epochs)
        updates.apply(gradient)
        if controls.smooth and recipe.weight_limit is not None:
            limit_weights(tensors, recipe.weight_limit)
    return int(hits)


def _is_bias_of_link(name: str) -> bool:
    return name.startswith("link") and name.endswith(".bias")
