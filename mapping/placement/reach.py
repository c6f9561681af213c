"""Who is joined to whom through a link, and by how many weights.

A convolution joins all its channels, and places regardless of the channel: everything about it is that of one channel
of ones, which is hundreds of times less work than the link itself.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from models.ep.links import ConvLink, DenseLink, Link

Array = NDArray[np.float64]


def fan_out(link: Link) -> Array:
    """(units below,) weights each unit below is multiplied with on the way up.

    As they are stored: under pooling, one for every weight of every place in the window.
    """
    if isinstance(link, DenseLink):
        return np.full(prod(link.below), float(link.weight.shape[0]))
    below, above = link.below, link.above
    of_place = _down(_ones(link), np.ones((1, *above[1:]), bool))
    return np.tile(above[0] * of_place.ravel(), below[0])


def fan_in(link: Link) -> Array:
    """(units above,) weights each unit above is multiplied with on the way down; as they are stored."""
    if isinstance(link, DenseLink):
        return np.full(link.weight.shape[0], float(link.weight.shape[1]))
    of_place = _up(_ones(link), np.ones((1, *link.below[1:]), bool))
    return np.tile(link.below[0] * of_place.ravel(), link.above[0])


def heard_above(link: Link, sets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(sets, units below or places below) who is joined to any of the units in each of `sets` (sets, units above).

    Of a convolution the answer is that of a place, the same for all its channels: (sets, H W).
    """
    if isinstance(link, DenseLink):
        return np.repeat(sets.any(axis=1)[:, None], prod(link.below), axis=1)
    places = sets.reshape(len(sets), *link.above).any(axis=1)
    return _down(_ones(link), places).reshape(len(sets), -1) > 0.5


def heard_below(link: Link, sets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(sets, units above or places above) who is joined to any of the units in each of `sets` (sets, units below)."""
    if isinstance(link, DenseLink):
        return np.repeat(sets.any(axis=1)[:, None], link.weight.shape[0], axis=1)
    places = sets.reshape(len(sets), *link.below).any(axis=1)
    return _up(_ones(link), places).reshape(len(sets), -1) > 0.5


def _ones(link: ConvLink) -> ConvLink:
    """One channel of it, every weight 1 and every pooled sum the sum of its window."""
    rows, columns = link.weight.shape[2:]
    weight = torch.full((1, 1, rows, columns), float(link.pool_size**2))
    # who is joined to whom is the same for every linear pooling, and for a max over all its possible winners
    pooling = "average" if link.pooling == "max" else link.pooling
    below = (1, *link.below[1:])
    return ConvLink(weight, torch.zeros(1), below, link.stride, link.padding, pooling, link.pool_size)


def _down(link: ConvLink, places: NDArray[np.bool_]) -> Array:
    sums = link.down(torch.as_tensor(places, dtype=torch.float32)[:, None])
    return np.rint(sums[:, 0].double().numpy())


def _up(link: ConvLink, places: NDArray[np.bool_]) -> Array:
    sums = link.up(torch.as_tensor(places, dtype=torch.float32)[:, None])[0]
    return np.rint(sums[:, 0].double().numpy())
