"""Intervals say what they promise: closed forms, published examples, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import t as student

from bench.records.statistics import (
    accuracy_interval,
    difference,
    estimate,
    estimate_of_dies,
    estimate_of_student,
    mean_interval,
)

DRAWS, SHORT = 400, 0.035
"""Simulated studies, and by how much coverage may lie below 95 %: three standard errors of so many draws."""


def pairs(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of two machines of which each image was right in both, in one, or in neither."""
    counts = (both, first, second, neither)
    return np.repeat([1.0, 1.0, 0.0, 0.0], counts)[None], np.repeat([1.0, 0.0, 1.0, 0.0], counts)[None]


def test_a_paired_difference_has_the_interval_that_newcombe_published():
    """Stat. Med. 17:2635, 1998: of 50 pairs 36, 12, 2 and 0; method 10 gives 0.0569 to 0.3404."""
    change, interval = difference(*pairs(36, 12, 2, 0))
    assert change == pytest.approx(0.2)
    assert interval == pytest.approx((0.0569, 0.3404), abs=5e-5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_one_machine_has_wilsons_interval(right, wrong):
    if right + wrong:
        answers = np.repeat([1.0, 0.0], (right, wrong))[None]
        assert estimate(answers).interval == pytest.approx(accuracy_interval(right, right + wrong))


@given(st.integers(2, 6), st.integers(5, 40), st.integers(0, 2**32 - 1))
def test_the_variance_is_that_of_two_way_crossed_data(dies, images, seed):
    """Against the analysis of variance as text books write it: mean squares of rows, columns and rest."""
    right = np.random.default_rng(seed).random((dies, images)) < 0.7
    share = right.mean()
    of_dies, of_images = (right.mean(axis=axis) - share for axis in (1, 0))
    squares = images * (of_dies**2).sum() / (dies - 1), ((right - share) ** 2).sum()
    rest = squares[1] - images * (of_dies**2).sum() - dies * (of_images**2).sum()
    expected = squares[0] / (dies * images) + (of_images**2).mean() / images
    expected -= rest / ((dies - 1) * (images - 1)) / (dies * images)
    assert estimate(right).variance == pytest.approx(max(expected, share * (1 - share) / (dies * images)))


def test_dies_that_answer_everything_right_are_no_proof_of_everything():
    for made in (estimate(np.ones((2, 360))), estimate_of_dies([1.0, 1.0], 360)):
        assert made.share == 1.0
        assert made.interval == pytest.approx(accuracy_interval(360, 360))
    assert difference(np.ones((2, 50)), np.ones((1, 50)))[1][0] < 0


@given(st.lists(st.floats(0.3, 0.9), min_size=2, max_size=8), st.integers(20, 10_000))
def test_students_interval_of_older_rows_is_widened_by_what_images_add(shares, images):
    mean, interval = mean_interval(shares)
    assert estimate_of_student(mean, interval, len(shares), images).interval == pytest.approx(
        estimate_of_dies(shares, images).interval, abs=1e-9
    )
    many = estimate_of_dies(shares, 10**9)
    assert many.variance == pytest.approx(np.var(shares, ddof=1) / len(shares), abs=1e-8)


def test_without_images_in_common_dies_alone_decide_by_students_quantile():
    """Wilson's interval solves (p - x)^2 = q^2 v x (1 - x) / (p (1 - p)) for x; with endless images q is Student's."""
    made = estimate_of_dies([0.9, 0.8, 0.85], 10**9)
    share, quantile = made.share, student.ppf(0.975, 2)
    for end in made.interval:
        scaled = made.variance * end * (1 - end) / (share * (1 - share))
        assert (share - end) ** 2 == pytest.approx(quantile**2 * scaled, rel=1e-6)


@pytest.mark.parametrize("dies", [1, 2, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(dies):
    """Dies and images drawn anew for each study: logit right = 1.5 + N(0, 0.3) of a die + N(0, 1.5) of an image; of a
    single die the truth is its own accuracy, of several the mean over all dies that there could be."""
    rng, held = np.random.default_rng(dies), np.zeros(3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def truth(mean: float, spread: float) -> float:
        return float(weights @ expit(mean + spread * nodes))

    for _ in range(DRAWS):
        of_dies, of_images = 0.3 * rng.standard_normal(dies), 1.5 * rng.standard_normal(200)
        right = rng.random((dies, 200)) < expit(1.5 + of_dies[:, None] + of_images)
        reference = rng.random((1, 200)) < expit(1.8 + of_images)
        true = truth(1.5 + of_dies[0], 1.5) if dies == 1 else truth(1.5, np.hypot(0.3, 1.5))
        made = (estimate(right).interval, estimate_of_dies(right.mean(axis=1), 200).interval)
        change = difference(right, reference)[1]
        held += [low <= true <= high for low, high in made] + [change[0] <= true - truth(1.8, 1.5) <= change[1]]
    assert (held / DRAWS > 0.95 - SHORT).all(), held / DRAWS
