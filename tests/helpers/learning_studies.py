"""What the tests of learning studies share: a short run, and the network of dies."""

from __future__ import annotations

from bench.studies.scratch import NETWORKS
from bench.studies.training import Labelled, Material
from models.data import load_data
from models.ep.network import EPNetwork
from models.recipes import recipe_for

SHORT = ["--limit", "8", "--steps", "4", "--free-steps", "4", "--nudged-steps", "2", "--quick"]
"""Options of a study that is done in seconds."""


def material() -> Material:
    """The digits."""
    data = load_data("digits")
    return Material(Labelled.of(data.train), Labelled.of(data.test), data.classes)


def fresh(seed: int) -> EPNetwork:
    """What a die learns from scratch with."""
    return NETWORKS["die"](recipe_for("digits"), material(), seed)


def furthest(one: EPNetwork, other: EPNetwork) -> float:
    """Largest difference of any number."""
    pairs = zip(one.named_parameters().values(), other.named_parameters().values(), strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)
