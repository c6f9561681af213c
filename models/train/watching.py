"""What is looked at after every epoch: validation images, settled as they were learnt."""

from __future__ import annotations

import torch

from models.data import ImageSet
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.feedback import WATCHED_IMAGES, strength_at
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.fast.evaluation import evaluate_as_learnt
from models.recipes import Recipe
from models.train.state import EpochRecord


@torch.no_grad()
def record_of(network: EPNetwork, watched: ImageSet, recipe: Recipe, epoch: int, train_accuracy: float) -> EpochRecord:
    """The record of an epoch, with the strength of feedback in `WATCHED_IMAGES` of the watched images at rest."""
    shown = evaluate_as_learnt(network, watched, recipe)
    few = watched.at_most(WATCHED_IMAGES).floats()
    strength = strength_at(network, few, relax(network, few, steps=recipe.steps, schedule="odd_even").states)
    return EpochRecord(
        epoch,
        train_accuracy,
        shown.accuracy,
        shown.cost,
        shown.residual_quantile(0.95),
        accuracy_cut=evaluate_feed_forward(network, watched).accuracy,
        feedback=strength.share,
        radius=strength.radius,
        radius_max=strength.radius_max,
    )
