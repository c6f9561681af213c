"""When has a machine seen enough? Rules that stop a settle early, image by image.

A settle is looked at after every step, or at every time on machines without a clock; r = 1..R counts these looks.

- `steps`: every image stops at the same look;
- `residual`: an image stops once no state has moved by more than the threshold in a step (in a time constant without a
  clock), after something has moved. Whether anything moved is known where states are: by silence on chips that send
  changes;
- `confidence`: an image stops once its best score leads the second by the threshold. Scores must be looked at each
  time, and where a readout outside the dynamics makes them, each look is paid for.

An image that meets no threshold runs to the last look. Thresholds are chosen on validation images: the loosest one from
which on all tighter ones keep the accuracy of the last look up to a loss that is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["steps", "residual", "confidence"]
KINDS: tuple[Kind, ...] = get_args(Kind)
THRESHOLDS = 24
"""Thresholds that are tried of each kind."""
LARGEST, SMALLEST = 0.5, 2.0**-12
"""Of the thresholds of the residual, in states; 0 is tried too."""
LEADS = 100.0
"""The largest lead over the smallest of the thresholds of confidence."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Looks:
    """What can be seen of N images at R looks."""

    scores: Array
    """(R, N, K)"""
    moved: Array
    """(R, N) largest change of any state within the last step, or time constant."""

    def __post_init__(self) -> None:
        if self.scores.ndim != 3 or self.moved.shape != self.scores.shape[:2]:
            raise ValueError(f"scores of {self.scores.shape} and moves of {self.moved.shape} are not of the same looks")

    @property
    def count(self) -> int:
        """R."""
        return len(self.moved)

    @property
    def lead(self) -> Array:
        """(R, N) best score less the second best."""
        two = np.sort(self.scores, axis=2)[:, :, -2:]
        lead: Array = two[:, :, 1] - two[:, :, 0]
        return lead

    def right(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(R, N) whether the answer at each look is right."""
        answers: NDArray[np.bool_] = self.scores.argmax(axis=2) == labels
        return answers


@dataclass(frozen=True)
class Rule:
    """One rule."""

    kind: Kind
    threshold: float
    """Looks of `steps`; a change of `residual`; a lead of `confidence`."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, choices are {', '.join(KINDS)}")
        if np.isnan(self.threshold) or self.threshold < 0:
            raise ValueError(f"threshold of {self.kind} is {self.threshold}, must be a number from 0")

    @property
    def looks_at_scores(self) -> bool:
        """Whether the readout is evaluated at every look."""
        return self.kind == "confidence"

    def stops(self, looks: Looks) -> NDArray[np.int64]:
        """(N,) look from 1 to R at which each image stops."""
        if self.kind == "steps":
            return np.full(looks.moved.shape[1], int(np.clip(self.threshold, 1, looks.count)))
        if self.kind == "residual":
            begun = np.maximum.accumulate(looks.moved, axis=0) > 0
            met = begun & (looks.moved <= self.threshold)
        else:
            met = looks.lead >= self.threshold
        met[-1] = True
        first: NDArray[np.int64] = met.argmax(axis=0) + 1
        return first


def answers_at(looks: Looks, stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the answer of each image at its look."""
    scores = np.take_along_axis(looks.scores, (stops - 1)[None, :, None], axis=0)[0]
    answers: NDArray[np.int64] = scores.argmax(axis=1)
    return answers


def candidates(kind: Kind, looks: Looks) -> tuple[Rule, ...]:
    """Rules of one kind, the loosest first."""
    if kind == "steps":
        return tuple(Rule(kind, float(step)) for step in range(1, looks.count + 1))
    if kind == "residual":
        return tuple(Rule(kind, float(value)) for value in (*np.geomspace(LARGEST, SMALLEST, THRESHOLDS), 0.0))
    most = float(looks.lead.max())
    leads = np.geomspace(most / LEADS, most, THRESHOLDS) if most > 0 else [0.0]
    return tuple(Rule(kind, float(value)) for value in leads)


def choose(rules: Sequence[Rule], looks: Looks, labels: NDArray[np.integer], loss: float) -> Rule:
    """The loosest rule from which on all tighter ones are right at least as often as the last look, less `loss`.

    Rules come loosest first; the tightest one is taken where none is good enough.
    """
    if not rules:
        raise ValueError("no rule to choose from")
    least = float(looks.right(labels)[-1].mean()) - loss
    chosen = rules[-1]
    for rule in reversed(rules):
        if float((answers_at(looks, rule.stops(looks)) == labels).mean()) < least - 1e-12:
            break
        chosen = rule
    return chosen
