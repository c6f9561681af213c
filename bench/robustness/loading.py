"""Networks to attack: of the zoo, controls, and checkpoint files of either kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.command_line import ConfigError
from bench.robustness.kept import weights_digest
from bench.robustness.victim import OnePass, Settling, Victim
from models.controls import load_control
from models.controls.classifier import FeedForward
from models.data import Dataset
from models.ep.network import EPNetwork
from models.vit.network import VisionTransformer
from models.zoo import load_model, model_names
from models.zoo.fit import check_form


@dataclass(frozen=True)
class Loaded:
    """A network, ready to be attacked."""

    victim: Victim
    network: EPNetwork | None
    """What machines run; None of a transformer."""
    digest: str
    """Of its weights."""


def load_victim(name: str, dataset: Dataset, steps: int, device: str, *, cut: bool = False) -> Loaded:
    """A network on a device, with its feedback or cut.

    Raises:
        ConfigError: it does not read such images, `steps` do not reach its top, or there is no feedback to cut.
        CheckpointError: its file is missing, damaged or foreign.
    """
    known = name in model_names()
    made = load_model(name) if known else load_control(name)
    network = made.network if isinstance(made, FeedForward) else made
    try:
        check_form(name, network, dataset.name, (dataset.test.shape, dataset.classes))
        if cut and isinstance(made, (FeedForward, VisionTransformer)):
            raise ValueError(f"--cut: {name} runs once upwards, it has no feedback to cut")
        if isinstance(network, VisionTransformer):
            module = network.to(device).eval()
            return Loaded(OnePass(module), None, weights_digest(dict(module.named_parameters())))
        network = network.map_parameters(lambda tensor: tensor.to(device))
        digest = weights_digest(network.named_parameters())
        if cut or isinstance(made, FeedForward):
            return Loaded(OnePass(FeedForward(network)), replace(network, feedback=False), digest)
        return Loaded(Settling(network, steps), network, digest)
    except ValueError as error:
        raise ConfigError(str(error)) from error
