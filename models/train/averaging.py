"""Averaged weights: the network that is kept is the mean of those of the last batches, not the last one.

    A <- decay A + (1 - decay) W        after every update in the second half of the training,

A the weights themselves until then (Polyak & Juditsky 1992; in this exponential form Tarvainen & Valpola 2017,
arXiv:1703.01780). The noise of single batches averages out.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

FROM = 0.5
"""Of the training: where averages begin."""


class Averages:
    """Averages of the parameters, changed in place."""

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.clone() for name, tensor in parameters.items()}

    def follow(self, parameters: Mapping[str, Tensor], progress: float) -> None:
        """After an update, `progress` (0 to 1) of the training being done."""
        weight = 1.0 if progress < FROM else 1.0 - self.decay
        for name, tensor in self.tensors.items():
            tensor.lerp_(parameters[name], weight)
