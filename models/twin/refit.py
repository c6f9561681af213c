"""The same network with feedback cut, and a readout for it:  python -m models.twin.refit MODEL --data-dir FOLDER

What does feedback buy? A network whose readout was learnt at rest is lost without it for no better reason than that it
reads other states than those it knows. So the links stay as they are, states are those of one pass upwards, and the
readout alone is learnt again on them, by the recipe that made the network: its augmentation, its rate and decay of the
readout (AdamW, a cosine to 0). What is still missing then, feedback gave.

Writes the checkpoint, a feed-forward network as `models.twin` makes them, and its manifest. The last line of output is
the manifest as one JSON document. Exit code 2 for a bad option, 1 for a run that failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Annotated

import torch
import tyro
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from models.command_line import before_work, exit_code, refuse_empty
from models.data import Dataset, check_data, load_data
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.gradient import mean_cost
from models.ep.network import EPNetwork
from models.ep.relaxation import start_states
from models.files.checkpoint import SUFFIX
from models.recipes import Recipe, recipe_for
from models.train.batches import batches
from models.train.checks import made_by
from models.train.loop import Trained, generator_of, watched_images
from models.train.manifest import make_twin_manifest, save_with_manifest
from models.train.state import EpochRecord
from models.train.updates import ADAM_BETA_2
from models.zoo import load_model
from models.zoo.fit import check_form


@dataclass(frozen=True)
class RefitOptions:
    """Cut the feedback of a network and learn its readout anew."""

    model: Annotated[str, tyro.conf.Positional]
    """Network of the zoo, or .safetensors file."""
    recipe: str | None = None
    """The recipe that made it, by name or as a .toml file; the name of the network if not given."""
    data_dir: Path | None = None
    """Where the files of the data set are; they are downloaded otherwise."""
    output: Path | None = None
    """Checkpoint to write, ending in .safetensors; results/MODEL-cut.safetensors if not given."""
    epochs: int = 3
    """Times every training image is seen."""
    seed: int = 0
    """Seed of all random numbers."""

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint goes."""
        return Path("results", f"{Path(self.model).stem}-cut{SUFFIX}") if self.output is None else self.output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = tyro.cli(RefitOptions, args=arguments, prog="python -m models.twin.refit")

    def work() -> None:
        refuse_empty(arguments)
        with before_work():
            network, recipe = checked(options)
            data = load_data(recipe.data, options.data_dir)
            check_form(options.model, network, recipe.data, (data.train.shape, data.classes))
        trained = refit(network, data, recipe, seed=options.seed)
        command = made_by("models.twin.refit", arguments)
        manifest = make_twin_manifest(
            trained, data, recipe, {"batch_norm": False}, seed=options.seed, device="cpu", command=command
        )
        manifest |= {"evaluation": "one pass upwards, feedback cut, readout learnt on it", "cut": options.model}
        manifest = save_with_manifest(trained.network, options.checkpoint, manifest)
        print(json.dumps(manifest))

    return exit_code(
        work, batch=lambda: "a recipe with a smaller batch_size", stopped=lambda: "stopped: nothing is kept"
    )


def checked(options: RefitOptions) -> tuple[EPNetwork, Recipe]:
    """The network, and the recipe with these epochs; ValueError names a bad option, its value and what it may be."""
    network = load_model(options.model)
    if network.readout is None:
        raise ValueError(f"model {options.model!r} has no readout to learn anew: its last layer is the output")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}, expected a number from 0")
    if options.checkpoint.suffix != SUFFIX:
        raise ValueError(f"--output is {str(options.checkpoint)!r}, expected a name that ends in {SUFFIX}")
    if options.checkpoint.exists():
        raise ValueError(f"--output {options.checkpoint} exists: name another, or delete it")
    recipe = replace(recipe_for(options.recipe or Path(options.model).stem), epochs=options.epochs)
    check_data(recipe.data, options.data_dir)
    return network, recipe


def refit(network: EPNetwork, data: Dataset, recipe: Recipe, *, seed: int) -> Trained:
    """The network with a readout learnt on one pass upwards of `data.train`; its links stay as they are."""
    began = monotonic()
    named = network.named_parameters()
    learnt = {name: named[name].clone().requires_grad_() for name in ("readout.weight", "readout.bias")}
    fitted = network.with_parameters({**named, **learnt})
    rate, decay = recipe.learning_rates[-1], recipe.weight_decay[-1]
    optimizer = AdamW([*learnt.values()], lr=rate, betas=(recipe.momentum, ADAM_BETA_2), weight_decay=decay)
    cosine = CosineAnnealingLR(optimizer, recipe.epochs)
    watched, history = watched_images(data.validation, recipe), []
    for epoch in range(1, recipe.epochs + 1):
        hits = 0
        for batch, labels in batches(data.train, recipe, generator_of(seed, epoch), epoch):
            with torch.no_grad():
                last = start_states(network, batch, "feed_forward")[-1]
            optimizer.zero_grad()
            mean_cost(fitted, last, labels).backward()
            hits += int((fitted.logits(last).argmax(dim=1) == labels).sum())
            optimizer.step()
        cosine.step()
        score = evaluate_feed_forward(fitted, watched)
        history.append(EpochRecord(epoch, hits / len(data.train), score.accuracy, score.cost, residual_p95=None))
    kept = fitted.map_parameters(lambda tensor: tensor.detach().clone())
    return Trained(kept, tuple(history), monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
