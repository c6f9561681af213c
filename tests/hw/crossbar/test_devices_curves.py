"""Curves are what their docstring says, everywhere a conductance can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.crossbar.devices.curves import (
    ClampedLog,
    ClampedPower,
    ConstantCurve,
    LogPolynomial,
    PerConductance,
    Piecewise,
    Points,
    Polynomial,
    Saturating,
    SquareRoot,
)
from hw.crossbar.devices.device import Curve

CURVES: list[Curve] = [
    ConstantCurve(2e-7),
    Polynomial((0.2, 1.0, -0.5), reference_s=1e-5, unit=1e-6, low=0.0),
    LogPolynomial((1.0, -2.0, 0.5), low_s=1e-6, high_s=1e-4, reference_s=1e-6),
    ClampedLog(-0.0155, 0.0244, reference_s=2.5e-5, low=0.049, high=0.1),
    ClampedLog(0.3, 0.1, reference_s=2.5e-5, low=0.0, high=np.inf),
    ClampedPower(0.0088, 0.65, reference_s=2.5e-5, high=0.2),
    Saturating(19.9, reference_s=1.7e-6, unit=1e-8),
    SquareRoot(0.0175, g_max_s=2.5e-5),
    Piecewise(1e-5, ConstantCurve(1.0), Polynomial((0.0, 1.0), reference_s=1e-5)),
    PerConductance(ConstantCurve(1e-7)),
    Points((0.0, 1e-5, 3e-5), (1e-7, 3e-7, 2e-7), outside="hold"),
]
conductances = st.lists(
    st.one_of(st.floats(0, 1e-2), st.sampled_from([0.0, 5e-324, 1e-300, 1e-12, 1e-5])), min_size=1, max_size=6
)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: type(curve).__name__)
@pytest.mark.filterwarnings("error")
@given(g=conductances)
def test_every_conductance_has_a_value(curve: Curve, g: list[float]) -> None:
    values = curve(np.array(g))
    assert values.shape == (len(g),)
    assert np.isfinite(values).all()
    for one, value in zip(g, values, strict=True):
        assert curve(np.array([[one]])).shape == (1, 1)
        assert curve(np.array([[one]]))[0, 0] == pytest.approx(value, rel=1e-12)  # the same alone as in company


@given(
    coefficients=st.lists(st.floats(-10, 10), min_size=1, max_size=6),
    g=st.floats(0, 1e-4),
    reference=st.floats(1e-6, 1e-4),
)
def test_polynomial_is_the_sum_of_powers(coefficients: list[float], g: float, reference: float) -> None:
    x = g / reference
    expected = sum(c * x**k for k, c in enumerate(coefficients))
    value = Polynomial(tuple(coefficients), reference_s=reference, unit=1e-6)(np.array([g]))[0]
    size = sum(abs(c) * x**k for k, c in enumerate(coefficients))
    assert value == pytest.approx(expected * 1e-6, abs=1e-18 + size * 1e-18)


@given(g=st.floats(1e-9, 1e-3))
def test_clamps_and_roots(g: float) -> None:
    one, x = np.array([g]), g / 2.5e-5
    log = ClampedLog(-0.0155, 0.0244, reference_s=2.5e-5, low=0.049, high=0.1)(one)[0]
    assert log == pytest.approx(min(max(-0.0155 * np.log(x) + 0.0244, 0.049), 0.1))
    power = ClampedPower(0.0088, 0.65, reference_s=2.5e-5, high=0.2)(one)[0]
    assert power == pytest.approx(min(0.0088 / x**0.65, 0.2))
    assert SquareRoot(0.0175, 2.5e-5)(one)[0] == pytest.approx(0.0175 * 2.5e-5 * np.sqrt(x))
    assert Saturating(3.0, 2.5e-5, unit=1e-6)(one)[0] == pytest.approx(3e-6 * (1 - np.exp(-x)), rel=1e-6)


def test_limits_at_zero_conductance() -> None:
    zero = np.zeros(1)
    assert ClampedLog(-1.0, 0.0, reference_s=1e-6, low=0.1, high=0.7)(zero) == 0.7
    assert ClampedLog(1.0, 0.0, reference_s=1e-6, low=0.1, high=0.7)(zero) == 0.1
    assert ClampedPower(0.01, 0.5, reference_s=1e-6, high=0.2)(zero) == pytest.approx(0.2)
    assert PerConductance(ConstantCurve(1.0))(zero) == 0
    assert SquareRoot(1.0, 1e-6)(-np.ones(1)) == 0  # a sample may lie below zero before it is cut off


def test_piecewise_belongs_above_at_the_split() -> None:
    curve = Piecewise(1e-6, ConstantCurve(1.0), ConstantCurve(2.0))
    np.testing.assert_array_equal(curve(np.array([0.9e-6, 1e-6, 1.1e-6])), [1.0, 2.0, 2.0])


def test_log_polynomial_holds_the_ends_of_its_range() -> None:
    curve = LogPolynomial((0.0, 1.0), low_s=1e-6, high_s=1e-4, reference_s=1e-6, unit=2.0)
    np.testing.assert_allclose(curve(np.array([0.0, 1e-6, 1e-5, 1e-4, 1.0])), [0, 0, 2, 4, 4])


def test_points_interpolate_and_refuse_what_was_not_measured() -> None:
    curve = Points((1e-6, 3e-6), (1.0, 2.0))
    np.testing.assert_allclose(curve(np.array([1e-6, 2e-6, 3e-6])), [1.0, 1.5, 2.0])
    for wrong in (0.5e-6, 4e-6, np.nan):
        with pytest.raises(ValueError, match=f"conductance {wrong} S is outside the measured 1e-06 S to 3e-06 S"):
            curve(np.array([2e-6, wrong]))
    held = Points((1e-6, 3e-6), (1.0, 2.0), outside="hold")
    np.testing.assert_allclose(held(np.array([0.0, 9e-6])), [1.0, 2.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polynomial(()), "no coefficients"),
        (lambda: Polynomial((1.0,), reference_s=0.0), "reference_s is 0.0, expected a positive number"),
        (lambda: LogPolynomial((1.0,), low_s=0.0, high_s=1.0), "0 < low_s < high_s"),
        (lambda: ClampedLog(-1.0, 0.0, 1.0, low=0.0, high=np.inf), "no limit at zero"),
        (lambda: ClampedLog(1.0, 0.0, 1.0, low=-np.inf, high=1.0), "no limit at zero"),
        (lambda: ClampedLog(1.0, 0.0, 1.0, low=2.0, high=1.0), "low <= high"),
        (lambda: ClampedPower(1.0, -1.0, 1.0, 1.0), "exponent is -1.0"),
        (lambda: Points((1.0,), (1.0,)), "two or more"),
        (lambda: Points((1.0, 2.0), (1.0,)), "2 conductances and 1 values"),
        (lambda: Points((2.0, 1.0), (1.0, 1.0)), "do not ascend"),
        (lambda: Points((1.0, 2.0), (1.0, 1.0), outside="extrapolate"), "'refuse' or 'hold'"),
    ],
)
def test_impossible_curves_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
