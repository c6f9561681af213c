"""Rules and programs that the tests of learning on the digital machine share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.learning_examples import FREE, NUDGED, stripes
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from hw.machine import split
from mapping.learning import descent_of
from mapping.program import Program
from mapping.quantization import quantize
from models.ep.network import EPNetwork

RATES = (0.3, 0.2, 0.1, 0.05)


def phases_of(estimator: str = "centered", beta: float = 0.2, **other: int) -> UpdatePhases:
    steps = {"free_steps": FREE, "nudged_steps": NUDGED, **other}
    return getattr(UpdatePhases, estimator)(beta, **steps)


def rule_for(
    source: EPNetwork | Program, batch_size: int = 4, phases: UpdatePhases | None = None, **other: Any
) -> LearningRule:
    links = len(source.links) + (source.readout is not None)
    descent = descent_of(source, other.pop("rates", RATES)[:links], **other)
    return LearningRule(phases or phases_of(), descent, batch_size)


def batches_of(
    images: NDArray[np.float32], labels: NDArray[np.int64], size: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    return list(zip(split(images, size), split(labels, size), strict=True))


def program_by(network: EPNetwork, headroom_bits: int = 1) -> Program:
    return quantize(network, torch.as_tensor(stripes(30, seed=9)[0]), headroom_bits=headroom_bits)
