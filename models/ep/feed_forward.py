"""How good a network is without feedback: one pass upwards, s_l = clip(pool(W_l * s_{l-1}) + b_l, 0, 1)."""

from __future__ import annotations

import torch

from models.data import ImageSet
from models.ep.evaluation import BATCH, Score, score
from models.ep.network import EPNetwork
from models.ep.relaxation import start_states


@torch.no_grad()
def evaluate_feed_forward(network: EPNetwork, images: ImageSet, *, batch_size: int = BATCH) -> Score:
    """Classify all images by one pass upwards and compare with their labels. Everything on the same device."""
    return score(network, images, lambda batch: start_states(network, batch, "feed_forward")[-1], batch_size)
