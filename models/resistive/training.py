"""Training of resistive networks by centered EP: after every batch each resistor moves by what it alone saw.

All random numbers of an epoch come from one generator made of (seed, epoch): a run that goes on from the state of its
last whole epoch gives the same bits as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from models.data import Dataset, ImageSet
from models.files.tensorfile import CheckpointError, check_tensors, read_tensors, write_tensors
from models.resistive.gradient import centered_gradient
from models.resistive.network import DeepResistive, build_resistive, settle
from models.resistive.recipe import ResistiveRecipe

KEY = "ep-hardware resistive training"
BATCH = 1000
"""Images at once where accuracy is measured."""


class DivergedError(ArithmeticError):
    """Training ran away; the message names the epoch."""


@dataclass(frozen=True)
class Score:
    """How many of `count` images a network gets right at rest."""

    accuracy: float
    correct: int
    count: int
    residual: float
    """Largest voltage that one more sweep moves, over the largest there is."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch ended with."""

    epoch: int
    train_accuracy: float
    validation_accuracy: float
    residual_p95: float | None = None


@dataclass(frozen=True)
class Trained:
    """What training ends with."""

    network: DeepResistive
    history: tuple[Epoch, ...]
    wall_s: float


def describe_run(data: Dataset, recipe: ResistiveRecipe, seed: int) -> dict[str, Any]:
    """The configuration of a run as JSON: two runs with equal ones give equal weights."""
    counts = {split: len(getattr(data, split)) for split in ("train", "validation", "test")}
    rest = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(recipe).items()}
    rest.pop("data")
    return {"data": data.name, "data_sha256": data.sha256, "split": data.split, "images": counts, "seed": seed, **rest}


def train(
    data: Dataset,
    recipe: ResistiveRecipe,
    *,
    seed: int,
    state_path: Path | None = None,
    resume: bool = False,
    report: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train on `data.train`; `data.validation` is only watched, `data.test` never touched.

    Raises:
        DivergedError: a conductance is no number any more.
        CheckpointError: the state to resume is missing, damaged, or of another run.
    """
    began, spent = monotonic(), 0.0
    run = describe_run(data, recipe, seed)
    history: tuple[Epoch, ...] = ()
    classes = int(data.train.labels.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    network = build_resistive(
        data.train.shape, recipe.hidden, classes, generator, input_gain=recipe.input_gain, gain=recipe.gain
    )
    if resume:
        assert state_path is not None
        network, history, spent = read_state(state_path, network, run)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        hits = _run_epoch(network, data.train, recipe, seed, epoch)
        scored = evaluate(network, data.validation, recipe.sweeps)
        history = (*history, Epoch(epoch, hits / len(data.train), scored.accuracy))
        if state_path is not None:
            document = {"run": run, "history": [asdict(one) for one in history], "wall_s": spent + monotonic() - began}
            write_tensors(state_path, KEY, network.named_parameters(), document)
        report(history[-1])
    return Trained(network, history, spent + monotonic() - began)


def read_state(path: Path, like: DeepResistive, run: dict[str, Any]) -> tuple[DeepResistive, tuple[Epoch, ...], float]:
    """Network, history and seconds of a state of `run`; CheckpointError names the first setting that differs."""
    tensors, document = read_tensors(path, KEY)
    saved = document.get("run", {})
    for name in [name for name in {**run, **saved} if saved.get(name) != run.get(name)][:1]:
        raise CheckpointError(
            f"{path}: the run to resume has {name} {saved.get(name)!r}, this one {run.get(name)!r}: "
            "resume with the same, or delete the file to start anew"
        )
    check_tensors(path, tensors, {name: tuple(tensor.shape) for name, tensor in like.named_parameters().items()})
    history = TypeAdapter(tuple[Epoch, ...]).validate_python(document["history"])
    return like.with_parameters(tensors), history, float(document["wall_s"])


@torch.no_grad()
def evaluate(network: DeepResistive, images: ImageSet, sweeps: int) -> Score:
    """What a network gets right after so many sweeps."""
    correct, moved = 0, 0.0
    for indices in torch.arange(len(images)).split(BATCH):
        shown, labels = images.batch(indices)
        volts = settle(network, shown, sweeps=sweeps)
        further = settle(network, shown, sweeps=1, start=volts)
        largest = max(float(layer.abs().max()) for layer in volts)
        moved = max(moved, *(float((a - b).abs().max()) / largest for a, b in zip(volts, further, strict=True)))
        correct += int((volts[-1].argmax(dim=1) == labels).sum())
    return Score(correct / len(images), correct, len(images), moved)


@torch.no_grad()
def _run_epoch(network: DeepResistive, images: ImageSet, recipe: ResistiveRecipe, seed: int, epoch: int) -> int:
    """Change the network in place; returns the images whose free output was right just before they were used."""
    order = torch.randperm(len(images), generator=_generator(seed, epoch))
    rates = [rate * recipe.rate_decay ** (epoch - 1) for rate in recipe.learning_rates]
    hits = 0
    for indices in order.split(recipe.batch_size):
        shown, labels = images.batch(indices)
        gradient = centered_gradient(
            network,
            shown,
            labels,
            beta=recipe.beta,
            free_sweeps=recipe.free_sweeps,
            nudged_sweeps=recipe.nudged_sweeps,
        )
        hits += gradient.hits
        for held, change, rate in zip(network.conductances, gradient.conductances, rates, strict=True):
            held.sub_(change, alpha=rate).clamp_(min=0)
        for held, change, rate in zip(network.biases, gradient.biases, rates, strict=True):
            held.sub_(change, alpha=rate)
    for name, tensor in network.named_parameters().items():
        if not bool(tensor.isfinite().all()):
            raise DivergedError(f"epoch {epoch}: {name} holds a NaN or an infinity, use smaller learning rates")
    return hits


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Of one epoch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def parameter_count(named: dict[str, Tensor]) -> int:
    """Number of trained numbers."""
    return sum(tensor.numel() for tensor in named.values())
