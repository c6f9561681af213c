"""Estimators against the derivative of polynomials, and the errors of what none of them can do."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import cos, pi

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.circuit import Circuit
from hw.learning.phases import UpdatePhases
from mapping.circuit import circuit_of
from models.ep.links import DenseLink
from models.ep.network import EPNetwork

BETAS = st.floats(0.01, 2.0)
POINTS = (2, 4, 6, 8, 10)


def _made(estimator: str, beta: float, points: int = 4, repeats: int = 1) -> UpdatePhases:
    more = {"points": points} if estimator == "n_point" else {}
    return getattr(UpdatePhases, estimator)(beta, free_steps=7, nudged_steps=3, **more).repeated(repeats)


def _slope(phases: UpdatePhases, power: int) -> float:
    """What the phases make of x**power."""
    return float(sum(c * beta**power for c, beta in zip(phases.weights, phases.betas, strict=True)))


def _assert_exact_up_to(phases: UpdatePhases, degree: int, beta: float) -> None:
    size = float(np.abs(phases.weights).sum())
    for power in range(degree + 1):
        expected = 1.0 if power == 1 else 0.0
        assert _slope(phases, power) == pytest.approx(expected, abs=1e-11 * size * beta**power), f"x**{power}"


def _circuit(*, readout: bool) -> Circuit:
    first = DenseLink(torch.full((3, 4), 0.1), torch.zeros(3), (1, 2, 2))
    top = DenseLink(torch.full((2, 3), 0.1), torch.zeros(2), (3,))
    return circuit_of(EPNetwork((first,), top) if readout else EPNetwork((first, top)))


@settings(max_examples=30, deadline=None)
@given(BETAS)
def test_one_sided_compares_the_free_phase_with_one_nudge(beta: float) -> None:
    phases = _made("one_sided", beta)
    assert phases.betas == (0.0, beta)
    assert phases.weights == (-1 / beta, 1 / beta)
    _assert_exact_up_to(phases, 1, beta)
    # its error is of first order: of x**2 it makes beta
    assert _slope(phases, 2) == pytest.approx(beta)
    # the free states are taken as they are
    assert phases.steps == 7 + 3


@settings(max_examples=30, deadline=None)
@given(BETAS)
def test_centered_is_exact_for_parabolas(beta: float) -> None:
    phases = _made("centered", beta)
    assert phases.betas == (-beta, beta)
    _assert_exact_up_to(phases, 2, beta)
    assert _slope(phases, 3) == pytest.approx(beta**2)
    assert phases.steps == 7 + 2 * 3


@settings(max_examples=60, deadline=None)
@given(BETAS, st.sampled_from(POINTS))
def test_n_point_is_exact_for_every_polynomial_of_lower_degree(beta: float, points: int) -> None:
    phases = _made("n_point", beta, points)
    assert len(phases.betas) == points
    np.testing.assert_allclose(phases.betas, [-beta * cos(pi * k / (points - 1)) for k in range(points)], rtol=1e-12)
    _assert_exact_up_to(phases, points - 1, beta)
    # the symmetry of the nudges takes one even degree along, and no more
    assert abs(_slope(phases, points)) < 1e-10 * beta ** (points - 1)
    assert abs(_slope(phases, points + 1)) > 1e-4 * beta**points
    assert phases.steps == 7 + points * 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.sampled_from((6, 8)))
def test_n_point_takes_the_slope_at_zero_of_a_whole_polynomial(coefficients: list[float], points: int) -> None:
    phases = _made("n_point", 0.7, points)
    polynomial = np.polynomial.Polynomial(coefficients)
    found = sum(c * polynomial(beta) for c, beta in zip(phases.weights, phases.betas, strict=True))
    assert found == pytest.approx(polynomial.deriv()(0.0), abs=1e-10)


def test_two_points_are_centered() -> None:
    two, centered = _made("n_point", 0.3, 2), _made("centered", 0.3)
    np.testing.assert_allclose(two.betas, centered.betas, rtol=1e-12)
    np.testing.assert_allclose(two.weights, centered.weights, rtol=1e-12)


def test_four_points_have_the_weights_of_the_linear_system() -> None:
    # cos(pi k / 3) is -1, -1/2, 1/2, 1: rational, so that the weights are known without rounding
    nodes = [Fraction(-1), Fraction(-1, 2), Fraction(1, 2), Fraction(1)]
    weights = [Fraction(1, 6), Fraction(-4, 3), Fraction(4, 3), Fraction(-1, 6)]
    for power in range(4):
        assert sum(c * node**power for c, node in zip(weights, nodes, strict=True)) == (power == 1)
    found = _made("n_point", 0.5, 4)
    np.testing.assert_allclose(found.weights, [float(weight) * 2 for weight in weights], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(("one_sided", "centered", "n_point")), st.integers(1, 6), st.integers(0, 2**20))
def test_repeats_average_the_nudged_phases(estimator: str, repeats: int, seed: int) -> None:
    once, often = _made(estimator, 0.4), _made(estimator, 0.4, repeats=repeats)
    assert len(often.betas) == repeats * len(once.betas)
    rng = np.random.default_rng(seed)
    # any answers of the phases: the contrast of their mean over the repeats is that of all of them
    answers = rng.standard_normal((repeats, len(once.betas)))
    by_beta = {beta: list(answers[:, k]) for k, beta in enumerate(once.betas)}
    found = sum(c * by_beta[beta].pop() for c, beta in zip(often.weights, often.betas, strict=True))
    assert found == pytest.approx(float(np.dot(once.weights, answers.mean(axis=0))), abs=1e-12)
    # independent noise of variance v leaves v / repeats
    assert np.square(often.weights).sum() == pytest.approx(np.square(once.weights).sum() / repeats)
    nudged = sum(beta != 0 for beta in often.betas)
    assert often.steps == 7 + 3 * nudged


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(("one_sided", "centered", "n_point")), st.sampled_from(POINTS), st.integers(1, 3))
def test_pairs_put_the_contrast_together_again(estimator: str, points: int, repeats: int) -> None:
    phases = _made(estimator, 0.6, points, repeats)
    sums = np.zeros(len(phases.betas))
    for first, second, share in phases.pairs():
        assert share > 0
        sums[first] -= share
        sums[second] += share
    np.testing.assert_allclose(sums, phases.weights, rtol=1e-9)


def test_weights_that_do_not_cancel_in_twos_are_refused_by_pairs() -> None:
    lopsided = UpdatePhases(1, 1, (0.0, 0.5, 1.0), (-3.0, 4.0, -1.0))
    with pytest.raises(ValueError, match=r"weights \(-3.0, 4.0, -1.0\).*do not cancel in twos"):
        lopsided.pairs()


@pytest.mark.parametrize("beta", [0, 0.0, -0.2, float("nan"), float("inf")])
def test_a_nudge_that_is_none_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=rf"beta is {beta}: the nudge must be positive"):
        _made("centered", beta)


@pytest.mark.parametrize(("free", "nudged"), [(0, 3), (3, 0), (-1, 3), (3, -2)])
def test_phases_without_steps_are_refused(free: int, nudged: int) -> None:
    with pytest.raises(ValueError, match=f"free_steps {free} and nudged_steps {nudged} must be at least 1"):
        UpdatePhases.centered(0.2, free_steps=free, nudged_steps=nudged)


@pytest.mark.parametrize("points", [-2, 0, 1, 3, 5])
def test_odd_numbers_of_points_are_refused(points: int) -> None:
    with pytest.raises(ValueError, match=f"points is {points}, must be an even number from 2"):
        _made("n_point", 0.2, points)


@pytest.mark.parametrize("repeats", [0, -1])
def test_fewer_than_one_repeat_is_refused(repeats: int) -> None:
    with pytest.raises(ValueError, match=f"repeats is {repeats}, must be at least 1"):
        _made("centered", 0.2).repeated(repeats)


@pytest.mark.parametrize(
    ("betas", "weights", "message"),
    [
        ((0.1, 0.1), (-1.0, 1.0), "two different nudges are the least"),
        ((0.0, 0.1), (10.0,), "two different nudges are the least"),
        ((0.0, 0.1), (-10.0, 11.0), "add up to 1, expected 0"),
        ((0.0, 0.1), (-1.0, 1.0), "times 0.1, not 1"),
        ((0.0, 0.1), (10.0, -10.0), "times -1, not 1"),
    ],
)
def test_weights_that_take_no_slope_are_refused(
    betas: tuple[float, ...], weights: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        UpdatePhases(1, 1, betas, weights)


def test_a_nudge_that_a_squared_error_has_no_equilibrium_under_is_refused() -> None:
    squared, softmax = _circuit(readout=False), _circuit(readout=True)
    for beta in (1.0, 1.5):
        phases = _made("centered", beta)
        with pytest.raises(ValueError, match=rf"beta -{beta:g} cannot be applied.*one_sided"):
            phases.check(squared)
        phases.check(softmax)
    # what the message advises is taken, and so is what just has a minimum
    _made("one_sided", 1.5).check(squared)
    _made("centered", 0.99).check(squared)
    with pytest.raises(ValueError, match="cannot be applied"):
        replace(_made("n_point", 0.5), betas=(-2.0, -1.0, 1.0, 2.0), weights=(0.0, -0.5, 0.5, 0.0)).check(squared)
