"""Published figures that the laws of presets were not copied from, to stand beside them on a card.

A law is a formula with coefficients, and so says nothing of how well it fits what was measured. Tables of the measured
points were published of none of these devices; what there is are figures in abstracts, and fits of the same measurement
by another group, given here at a few conductances. Where two groups read one figure differently, the card shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cited:
    """Spread of programming at a few conductances."""

    g_us: tuple[float, ...]
    sigma_us: tuple[float, ...]
    """Microsiemens, as they were published."""
    source: str

    def siemens(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Conductances and spreads."""
        return np.array(self.g_us) * 1e-6, np.array(self.sigma_us) * 1e-6


PROGRAMMING: dict[str, Cited] = {
    "pcm-nandakumar-2019": Cited(
        (5.0, 12.5, 25.0), (0.621, 0.955, 1.066), "same array, Joshi et al. 2020, Fig. 3b as CrossSim fits it"
    ),
    "pcm-joshi-2020": Cited(
        (5.0, 12.5, 25.0), (0.610, 0.953, 1.055), "same array, Nandakumar et al. 2019 as aihwkit fits it"
    ),
    "reram-wan-2022-aihwkit": Cited((10.0, 20.0, 40.0), (2.41, 2.36, 1.71), "same figure as CrossSim fits it"),
    "reram-wan-2022-crosssim": Cited((10.0, 20.0, 40.0), (2.26, 2.02, 1.10), "same figure as aihwkit fits it"),
    "reram-cmo-hfox-0.2": Cited((9.0,), (0.010,), "Falcone et al., arXiv 2502.04524, abstract: down to 10 nS"),
}
"""By preset."""
NO_POINTS = "no published points"
