"""The contrastive update as a rule of Loihi's learning engine, and how states are coded for it.

Equilibrium propagation changes the weight between units j (below) and i (above) at the end of every phase k by

    dw_ij = rate c_k s_i(k) s_j(k),     sum_k c_k = 0,     s in [0, 1].

The engine adds to every weight, in every time step, a sum of products of traces. At the end of a phase the unit below
sends a graded spike, which overwrites the trace x1, and the unit above sends the third factor y1 = c_k s_i in engine
units, so that the product x1 y1 is the update. Three things keep it from being that simple.

*Silence.* A payload of 0 is no spike: x1 would keep what it held at the end of the last phase. So a unit sends its code
plus one, and the rule takes the one off again, in a factor (x1 - 1): Loihi allows every factor a constant.

*The payload is halved.* x1 := payload / 2, so twice the code is sent.

*Decay.* Lava's traces decay by exp(-1 / tau) before the rule reads them, and tau = 0 means no trace at all rather than
one that stays: NaN in float, 0 in fixed. With tau = 2**60 the factor is 1.0 in double precision.

    dw = 4 * 2^(e - 7) * u0 * (x1 - 1) * y1                  (u0: in every time step)

In float the engine computes just that. In fixed it works in an accumulator of 15 bits and a sign, where a weight of 1
is 2**7. A product of two 7-bit traces and a 4-bit mantissa has 18 bits, so it is shifted right by 18 - 15 = 3, rounded
down, *before* it is shifted left by the exponent: hence the factor 1/8 between fixed and float,

    dw = ((4 (x1 - 1) y1) >> 3) 2^e / 2^7  =  (x1 - 1) y1 2^(e - 8)        for even y1.

Rounding down would take half a step of the accumulator from every weight in every phase, whatever the sign of the
update. Mantissa 4 and even third factors leave nothing to round: what the shift drops is zero. (`2^-5` is the same
number as `4 * 2^-7` in float, but in fixed it would round to 1/8 first and then multiply by 4.)

The weight itself is rounded to an integer after every phase end, up or down at random and right on average. So is the
third factor here, to an even integer: at a rate of a few weight steps it has few values, and rounded to the nearest one
a small difference between phases would vanish or grow, always in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

WEIGHT_RANGE = (-256, 255)
"""Weights of the fixed engine: integers of 8 bits and a sign."""
NO_DECAY = 2**60
"""A time constant at which exp(-1 / tau) is 1.0 in double precision."""
OFFSET = 1
"""What the trace of a silent unit holds."""
TOP_CODE = 126
"""Code of state 1.0 in fixed: with the offset it fills the 7 bits of x1."""
TOP_FACTOR = 126
"""Largest third factor in fixed: the largest even number of 7 bits."""
LARGEST_STEP = 252.0
"""What one phase end may change a weight by in fixed: the accumulator saturates from 255.99, and a third factor that is
rounded up must not get there."""


@dataclass(frozen=True)
class EngineRule:
    """What the learning engine and the units on both sides of it have to agree upon."""

    dw: str
    """The rule, in Lava's notation."""
    tau: int
    """Time constant of every trace, in time steps."""
    one: int
    """Code of state 1.0; in fixed, codes are integers."""
    gain: float
    """Change of a weight per unit of code times third factor."""
    fixed: bool

    @property
    def step(self) -> float:
        """Change by the smallest third factor of a weight from a unit whose state is 1.0; 0 in float."""
        return 2 * self.one * self.gain if self.fixed else 0.0


def engine_rule(largest: float, *, fixed: bool) -> EngineRule:
    """The rule for updates of which the largest, rate * max|c_k| * 1 * 1, is this; in units of the engine's weights.

    The exponent e is the smallest at which the largest third factor fits into its bits: the finest steps.
    """
    if not fixed:
        return EngineRule(dw=_rule(0), tau=NO_DECAY, one=1, gain=4 * 2.0**-7, fixed=False)
    if largest > LARGEST_STEP:
        raise ValueError(
            f"the rate moves a weight by up to {largest:g} at the end of one phase, the fixed engine by up to "
            f"{LARGEST_STEP:g}; choose a rate at most {LARGEST_STEP / largest:.3g} times this one"
        )
    exponent = max(0, ceil(log2(largest * 2**8 / (TOP_CODE * TOP_FACTOR))))
    return EngineRule(dw=_rule(exponent), tau=NO_DECAY, one=TOP_CODE, gain=2.0 ** (exponent - 8), fixed=True)


def _rule(exponent: int) -> str:
    return f"4 * 2^{exponent - 7} * u0 * (x1 - {OFFSET}) * y1"


def payloads(below: NDArray[np.float64], rule: EngineRule) -> NDArray[np.float64]:
    """Graded spikes for states: 2 (code + 1), never 0, so that a silent unit overwrites its trace too."""
    codes = below * rule.one
    return 2 * ((np.rint(codes) if rule.fixed else codes) + OFFSET)


def third_factors(
    above: NDArray[np.float64], signed_rates: NDArray[np.float64], rule: EngineRule, seed: int
) -> NDArray[np.float64]:
    """What units above send for (events, n_above) states, where rate * c_k is `signed_rates`, (events,).

    In fixed an even integer, the next one up or down at random, so that its mean is the value.
    """
    exact: NDArray[np.float64] = above * signed_rates[:, None] / (rule.one * rule.gain)
    if not rule.fixed:
        return exact
    if exact.any() and np.abs(exact).sum() < 2:
        raise ValueError(
            f"the rate moves a weight by up to {np.abs(signed_rates).max():g} at the end of one phase, and the "
            f"smallest third factor by {rule.step:g}: over all {len(above)} phase ends less than one such factor would "
            f"be sent; choose a rate at least {2 / np.abs(exact).sum():.3g} times this one, or more images per update"
        )
    # not the sequence of the weights' rounding, which starts from the same seed
    dither = np.random.default_rng((seed, 1)).random(exact.shape)
    even: NDArray[np.float64] = 2.0 * np.floor(exact / 2 + dither)
    return even
