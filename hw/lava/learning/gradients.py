"""From what a process saw at the ends of the phases to the gradient of the mean cost: as the digital machine does it,
in the same order, so that integers come out in the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

Terms = Sequence[NDArray[Any]]
"""One per phase, in the order of the update."""


def contrasted(terms: Terms, images: int, units: int) -> NDArray[Any]:
    """- sum_k c_k dPhi/dtheta / images, where `terms` hold c_k dPhi/dtheta in `units` of the trained network's."""
    gradient: NDArray[Any] = -reduce(add, terms) / (images * units)
    return gradient


def averaged(terms: Terms, images: int, one: int, units: int) -> NDArray[Any]:
    """- mean_k of what the errors y - softmax of the phases ask of the readout; `one` is the code of error 1.0."""
    gradient: NDArray[Any] = reduce(add, terms) * (-1.0 / (images * len(terms) * one) / units)
    return gradient


def bias_products(above: NDArray[Any]) -> NDArray[np.float64]:
    """dPhi/db of states (C, H, W, B) or (units, B), summed over the batch: (C, 1, 1) or (units,)."""
    if above.ndim == 2:
        return above.sum(axis=1, dtype=np.float64)
    total: NDArray[np.float64] = above.sum(axis=(1, 2, 3), dtype=np.float64)
    return total[:, None, None]
