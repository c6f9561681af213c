"""How fast a network must come to rest, whatever the image: a bound from its weights alone.

One synchronous step is s <- clip(J s + drive), J symmetric with the links as blocks, J[l, l-1] = A_l. Clipping brings
no two points further apart, so that

    |T(s) - T(s')| <= q |s - s'|,      q = ||J||_2 <= ||N||_2,   N[l, l-1] = N[l-1, l] = ||A_l||_2,

(the norm of a matrix of blocks is at most that of the matrix of their norms). For q < 1 there is one equilibrium and
every step brings the states nearer to it by at least the factor q; an odd-even sweep, of two such half steps, by q^2.
Link 1 carries clamped pixels and is in no loop. No bound is known to us where a link takes maxima: the step jumps where
another state becomes the largest.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, svds

from models.ep.links import Link, pools_by_maxima, with_tensors
from models.ep.network import EPNetwork


def contraction(network: EPNetwork) -> float | None:
    """q of one synchronous step; at 1 or above nothing is promised. None for a network that takes maxima."""
    inner = [*network.links[1:], *(skip.link for skip in network.skips)]
    if any(pools_by_maxima(link) for link in inner):
        return None
    joined = [*pairwise(range(len(network.links))), *((skip.source - 1, skip.target - 1) for skip in network.skips)]
    norms = np.zeros((len(network.links), len(network.links)))
    for (below, above), link in zip(joined, inner, strict=True):
        norms[below, above] = norms[above, below] = spectral_norm(link)
    return float(np.linalg.norm(norms, 2))


def spectral_norm(link: Link) -> float:
    """||A||_2 of the map from the layer below to the layer above, pooling included: its largest singular value."""
    weight = link.weight.detach().cpu().double()
    exact = with_tensors(link, weight, weight.new_zeros(len(weight)))
    below, above = torch.Size(link.below), torch.Size(link.above)

    def up(states: np.ndarray) -> np.ndarray:
        return exact.up(torch.from_numpy(states.reshape(1, *below)))[0].flatten().numpy()

    def down(states: np.ndarray) -> np.ndarray:
        return exact.down(torch.from_numpy(states.reshape(1, *above))).flatten().numpy()

    if min(below.numel(), above.numel()) == 1:
        return float(weight.norm())
    operator = LinearOperator((above.numel(), below.numel()), matvec=up, rmatvec=down, dtype=np.float64)
    return float(svds(operator, k=1, return_singular_vectors=False, random_state=0)[0])
