"""Training of a vision transformer: Muon for matrices, AdamW for the rest, a cosine after a short rise.

As for every network here, the weights are those of the last epoch, all random numbers of an epoch come from (seed,
epoch), and a run that goes on from the state of its last whole epoch gives the same bits as one never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Muon, Optimizer

from models.controls.classifier import evaluate_classifier
from models.data import Dataset, ImageSet
from models.train.batches import batches
from models.train.loop import check_gradient, generator_of
from models.train.state import EpochRecord, TrainingState, by_muon, load_state, remembered, save_state
from models.train.updates import ADAM_BETA_2
from models.vit.network import VisionTransformer, drawn
from models.vit.recipe import VitRecipe

MOMENTUM = 0.95


@dataclass(frozen=True)
class TrainedTransformer:
    """What training ends with."""

    network: VisionTransformer
    history: tuple[EpochRecord, ...]
    wall_s: float


def describe_vit(data: Dataset, recipe: VitRecipe, seed: int) -> dict[str, Any]:
    """The configuration of a run as JSON: two runs with equal ones give equal weights."""
    counts = {split: len(getattr(data, split)) for split in ("train", "validation", "test")}
    return {
        "data": data.name, "data_sha256": data.sha256, "split": data.split, "images": counts,
        "seed": seed, "device": "cpu", "kind": "transformer", "optimizer": "muon", "momentum": MOMENTUM,
        **{name: value for name, value in asdict(recipe).items() if name != "data"},
    }  # fmt: skip


def train_vit(
    data: Dataset,
    recipe: VitRecipe,
    *,
    seed: int,
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochRecord], None] = lambda _: None,
) -> TrainedTransformer:
    """Train on `data.train` in float32 on the CPU; `data.validation` is only watched, `data.test` never touched.

    Raises:
        ValueError: sizes that do not fit the images.
        CheckpointError: the state to resume is missing, damaged, or of a run with another configuration.
        DivergedError: a gradient holds a NaN or an infinity.
    """
    began, spent = monotonic(), 0.0
    network = drawn(recipe.form(data.train.shape, data.classes), generator_of(seed, epoch=0))
    learnt, run = tensors_by_state_name(network), describe_vit(data, recipe, seed)
    optimizers = _optimizers(learnt, recipe)
    history: tuple[EpochRecord, ...] = ()
    if resume:
        if state_path is None:
            raise ValueError("nothing to resume from without a state_path")
        state = load_state(state_path, learnt, run, {})
        history, spent = state.history, state.wall_s
        with torch.no_grad():
            for name, tensor in learnt.items():
                tensor.copy_(state.weights[name])
                optimizers[_kind(name)].state[tensor].update(state.moments[name])
    watched = data.validation if recipe.watched is None else data.validation.at_most(recipe.watched)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(network, optimizers, data.train, recipe, generator_of(seed, epoch), epoch)
        score = evaluate_classifier(network, watched)
        record = EpochRecord(epoch, hits / len(data.train), score.accuracy, score.cost, residual_p95=None)
        history = (*history, record)
        if state_path is not None:
            held = {name: optimizers[_kind(name)].state[tensor] for name, tensor in learnt.items()}
            keys = {name: remembered("muon", MOMENTUM, name) for name in learnt}
            moments = {name: {key: held[name][key] for key in keys[name]} for name in learnt}
            wall_s = spent + monotonic() - began
            save_state(state_path, TrainingState(learnt, moments, {}, history, wall_s), run)
        report(record)
    return TrainedTransformer(network.requires_grad_(False).eval(), history, spent + monotonic() - began)


def tensors_by_state_name(network: VisionTransformer) -> dict[str, Tensor]:
    """Every tensor that learns, by names that tell `models.train.state` apart what Muon learns: NAME.weight."""
    named: dict[str, Tensor] = {}
    for name, tensor in network.named_parameters():
        if name.startswith("head"):
            named[f"readout.{name}"] = tensor
        elif tensor.ndim == 2 and name != "place":
            named[f"{name.removesuffix('.weight').removesuffix('_weight')}.weight"] = tensor
        else:
            named[f"{name}.other"] = tensor
    return named


def _kind(name: str) -> str:
    return "muon" if by_muon("muon", name) else "adamw"


def _optimizers(learnt: dict[str, Tensor], recipe: VitRecipe) -> dict[str, Optimizer]:
    matrices = [tensor for name, tensor in learnt.items() if _kind(name) == "muon"]
    others = [tensor for name, tensor in learnt.items() if _kind(name) == "adamw"]
    return {
        "muon": Muon(matrices, lr=recipe.rate, weight_decay=recipe.weight_decay, momentum=MOMENTUM),
        "adamw": AdamW(others, lr=recipe.other_rate, betas=(0.9, ADAM_BETA_2), weight_decay=0.0),
    }


def _run_epoch(
    network: VisionTransformer,
    optimizers: dict[str, Optimizer],
    images: ImageSet,
    recipe: VitRecipe,
    generator: torch.Generator,
    epoch: int,
) -> int:
    """Every image once, in random order. Returns how many were classified right just before the update."""
    hits, count = 0, -(-len(images) // recipe.batch_size)
    for step, (batch, labels) in enumerate(batches(images, recipe, generator, epoch), start=1):
        share = rate_share((epoch - 1 + (step - 1) / count) / recipe.epochs, recipe.warming)
        for optimizer, rate in ((optimizers["muon"], recipe.rate), (optimizers["adamw"], recipe.other_rate)):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        scores = network(batch)
        cross_entropy(scores, labels).backward()
        slopes = {name: tensor.grad for name, tensor in network.named_parameters() if tensor.grad is not None}
        check_gradient(slopes, epoch, step)
        hits += int((scores.detach().argmax(dim=1) == labels).sum())
        for optimizer in optimizers.values():
            optimizer.step()
    return hits


def rate_share(progress: float, warming: float) -> float:
    """Of the highest rate, when so much (0 to 1) of the training is done: a straight rise, then half of a cosine."""
    if progress < warming:
        return (progress + 1e-3) / (warming + 1e-3)
    return (1 + cos(pi * (progress - warming) / max(1 - warming, 1e-9))) / 2
