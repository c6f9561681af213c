"""Which phases one update compares.

Equilibrium propagation takes the gradient of a cost C from states settled under nudges beta_k of that cost,

    dC/dtheta  ~  - sum_k c_k dPhi/dtheta at s(beta_k),     sum_k c_k = 0,   sum_k c_k beta_k = 1,

and dPhi/dW of a link is the correlation of the two states it joins: every weight sees only those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, isclose, pi, prod

from hw.circuit import Circuit


@dataclass(frozen=True)
class UpdatePhases:
    """A free phase from zero, then one nudged phase per beta, each from the free states; in synchronous steps."""

    free_steps: int
    nudged_steps: int
    betas: tuple[float, ...]
    """Nudge of every phase; at 0 the free states themselves are taken and nothing is run."""
    weights: tuple[float, ...]
    """c_k of every phase."""

    def __post_init__(self) -> None:
        if self.free_steps < 1 or self.nudged_steps < 1:
            raise ValueError(f"free_steps {self.free_steps} and nudged_steps {self.nudged_steps} must be at least 1")
        if len(self.betas) != len(self.weights) or len(set(self.betas)) < 2:
            raise ValueError(f"betas {self.betas} and weights {self.weights}: two different nudges are the least")
        if not isclose(sum(self.weights), 0.0, abs_tol=1e-9 * max(map(abs, self.weights))):
            raise ValueError(f"weights {self.weights} add up to {sum(self.weights):g}, expected 0")
        slope = sum(weight * beta for weight, beta in zip(self.weights, self.betas, strict=True))
        if not isclose(slope, 1.0, rel_tol=1e-9):
            raise ValueError(f"weights {self.weights} take the slope over betas {self.betas} times {slope:g}, not 1")

    @property
    def steps(self) -> int:
        """Steps of one update, all phases together."""
        return self.free_steps + self.nudged_steps * sum(beta != 0 for beta in self.betas)

    def pairs(self) -> list[tuple[int, int, float]]:
        """The phases in twos: (k, l, c) with weights -c and c, as numbers of phases.

        Raises ValueError if the weights do not cancel in twos.
        """
        left = [k for k, weight in enumerate(self.weights) if weight < 0]
        pairs = []
        for second, weight in enumerate(self.weights):
            if weight > 0:
                first = next((k for k in left if isclose(self.weights[k], -weight, rel_tol=1e-9)), None)
                if first is None:
                    raise ValueError(f"the weights {self.weights} of the phases do not cancel in twos")
                left.remove(first)
                pairs.append((first, second, weight))
        return pairs

    def repeated(self, times: int) -> UpdatePhases:
        """Every nudged phase run `times` times and averaged: read noise of variance v leaves v / times."""
        if times < 1:
            raise ValueError(f"repeats is {times}, must be at least 1")
        return replace(self, betas=self.betas * times, weights=tuple(weight / times for weight in self.weights) * times)

    def check(self, circuit: Circuit) -> None:
        """Refuse a nudge that the circuit's readout has no equilibrium under."""
        if circuit.readout is None and min(self.betas) <= -1:
            raise ValueError(
                f"a nudge of beta {min(self.betas):g} cannot be applied: the squared-error output has no minimum at "
                "beta <= -1; use a smaller beta, or one_sided"
            )

    @classmethod
    def one_sided(cls, beta: float, *, free_steps: int, nudged_steps: int) -> UpdatePhases:
        """Nudges 0 and beta. Error of first order in beta."""
        _check_nudge(beta)
        return cls(free_steps, nudged_steps, (0.0, beta), (-1 / beta, 1 / beta))

    @classmethod
    def centered(cls, beta: float, *, free_steps: int, nudged_steps: int) -> UpdatePhases:
        """Nudges -beta and beta. Error of second order (Laborieux et al. 2021)."""
        _check_nudge(beta)
        return cls(free_steps, nudged_steps, (-beta, beta), (-0.5 / beta, 0.5 / beta))

    @classmethod
    def n_point(cls, beta: float, *, free_steps: int, nudged_steps: int, points: int = 4) -> UpdatePhases:
        """n nudges beta cos(pi k / (n - 1)), k = 0..n-1, n even, and the weights that differentiate polynomials of
        degree n - 1 exactly at 0: error of order n, so that beta may be large and noise small against what it moves.

        The counterpart, for real states, of the average over a circle of complex nudges in holomorphic EP (Laborieux &
        Zenke 2022); with n = 2 it is `centered`.
        """
        _check_nudge(beta)
        return cls(free_steps, nudged_steps, *_n_point(beta, points))


def _check_nudge(beta: float) -> None:
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta is {beta}: the nudge must be positive, the estimator gives it its sign")


def _n_point(beta: float, points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if points < 2 or points % 2:
        raise ValueError(f"points is {points}, must be an even number from 2: the nudges come in pairs of both signs")
    nodes = [-cos(pi * k / (points - 1)) for k in range(points)]

    def slope(index: int) -> float:
        """d/dx at 0 of the polynomial that is 1 at this node and 0 at the others."""
        others = [node for place, node in enumerate(nodes) if place != index]
        below = prod(nodes[index] - node for node in others)
        terms = (prod(-node for place, node in enumerate(others) if place != left) for left in range(len(others)))
        return sum(terms) / below

    return tuple(beta * node for node in nodes), tuple(slope(index) / beta for index in range(points))
