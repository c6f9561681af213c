"""Nonlinear cells behind wires against a general root finder, and against the linear solution where they are linear."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import root

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device import Nonlinearity
from hw.crossbar.devices.presets import RERAM_MILO_2021
from hw.crossbar.tiles.nonlinear import operating_point, solve
from hw.crossbar.tiles.wires import Wires, effective_down, effective_up

Array = NDArray[np.float64]

LINEAR = Nonlinearity(ConstantCurve(0.0), ConstantCurve(0.0), largest_v=1.0)
BENT = Nonlinearity(ConstantCurve(-6e-5), ConstantCurve(9e-5), largest_v=1.0)
"""Cells of 1e-4 S carry at 0.5 V 30 % less by the square and 22 % more by the cube."""


def conductances(seed: int, m: int, n: int) -> Array:
    return np.random.default_rng(seed).uniform(0.5e-4, 2e-4, (m, n))


def voltages(seed: int, batch: int, lines: int) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (batch, lines))


def polynomial(g_s: Array, law: Nonlinearity, x: Array) -> Array:
    return g_s * x + law.second(g_s) * x**2 + law.third(g_s) * x**3


def by_root_finder(
    g_s: Array, volts: Array, law: Nonlinearity, wires: Wires, drive: Literal["left", "top", "bottom"]
) -> Array:
    """Sensed currents at the node potentials that leave no current over; "top" is sensed right, "bottom" left."""
    m, n = g_s.shape

    def currents(nodes: Array) -> tuple[Array, Array]:
        """Current left over at every node, and current into the sense amplifiers."""
        row, column = nodes.reshape(2, m, n)
        cell = polynomial(g_s, law, row - column)
        left_row, left_column = -cell, cell.copy()
        along = (row[:, :-1] - row[:, 1:]) / wires.row_ohm
        left_row[:, :-1] -= along
        left_row[:, 1:] += along
        along = (column[:-1] - column[1:]) / wires.column_ohm
        left_column[:-1] -= along
        left_column[1:] += along
        if drive == "left":
            left_row[:, 0] += (volts - row[:, 0]) / wires.row_ohm
            sensed = column[-1] / wires.column_ohm
            left_column[-1] -= sensed
        else:
            driven, end = (0, -1) if drive == "top" else (-1, 0)
            left_column[driven] += (volts - column[driven]) / wires.column_ohm
            sensed = row[:, end] / wires.row_ohm
            left_row[:, end] -= sensed
        return np.concatenate([left_row.ravel(), left_column.ravel()]) * wires.row_ohm, sensed

    found = root(lambda nodes: currents(nodes)[0], np.zeros(2 * m * n), method="hybr", options={"xtol": 1e-14})
    assert np.abs(found.fun).max() < 1e-13
    return currents(found.x)[1]


@pytest.mark.parametrize("law", [LINEAR, BENT, RERAM_MILO_2021.nonlinearity])
@pytest.mark.parametrize("ohms", [(300.0, 700.0), (40.0, 5.0), (3e3, 1e3)])
def test_against_a_root_finder(law: Nonlinearity, ohms: tuple[float, float]) -> None:
    g_s = conductances(0, 3, 2)
    up, down = voltages(1, 1, 3), voltages(2, 1, 2)
    wires = Wires(*ohms)
    wanted = by_root_finder(g_s, up[0], law, wires, "left")
    np.testing.assert_allclose(solve(g_s, up, law, wires)[0], wanted, rtol=1e-8, atol=1e-13)
    for terminals, drive in (("same", "bottom"), ("opposite", "top")):
        wanted = by_root_finder(g_s, down[0], law, wires, drive)
        found = solve(g_s, down, law, replace(wires, terminals=terminals), "down")[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**20),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.0, 2.1, 600.0]),
    st.sampled_from([0.0, 6.4, 900.0]),
    st.sampled_from([None, LINEAR]),
)
def test_linear_cells_are_the_effective_conductances(
    seed: int, m: int, n: int, row_ohm: float, column_ohm: float, law: Nonlinearity | None
) -> None:
    g_s = conductances(seed, m, n)
    up, down = voltages(seed + 1, 4, m), voltages(seed + 2, 4, n)
    for terminals in ("same", "opposite"):
        wires = Wires(row_ohm, column_ohm, terminals, "exact")
        np.testing.assert_allclose(
            solve(g_s, up, law, wires), up @ effective_up(g_s, wires), rtol=1e-9, atol=1e-9 * 1e-4
        )
        np.testing.assert_allclose(
            solve(g_s, down, law, wires, "down"), down @ effective_down(g_s, wires).T, rtol=1e-9, atol=1e-9 * 1e-4
        )


@pytest.mark.parametrize("terminals", ["same", "opposite"])
def test_perfect_wires_give_the_plain_polynomial(terminals: Literal["same", "opposite"]) -> None:
    g_s = conductances(3, 9, 5)
    wires = Wires(0.0, 0.0, terminals)
    up, down = voltages(4, 6, 9), voltages(5, 6, 5)
    x = np.broadcast_to(up[:, :, None], (6, 9, 5))
    np.testing.assert_allclose(solve(g_s, up, BENT, wires), polynomial(g_s, BENT, x).sum(1), rtol=1e-12)
    # driven from its column, a cell sees the voltage the other way round
    x = np.broadcast_to(-down[:, None, :], (6, 9, 5))
    np.testing.assert_allclose(solve(g_s, down, BENT, wires, "down"), -polynomial(g_s, BENT, x).sum(2), rtol=1e-12)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("terminals", ["same", "opposite"])
def test_operating_point_obeys_kirchhoff(
    direction: Literal["up", "down"], terminals: Literal["same", "opposite"]
) -> None:
    g_s, wires = conductances(6, 20, 14), Wires(9.0, 4.0, terminals)
    volts = voltages(7, 5, 20 if direction == "up" else 14)
    point = operating_point(g_s, volts, BENT, wires, direction)
    size = np.abs(point.cell_a).max()
    np.testing.assert_allclose(point.cell_a, polynomial(g_s, BENT, point.cell_v), rtol=1e-8, atol=1e-9 * size)
    rows, columns = point.cell_a.sum(2), point.cell_a.sum(1)
    sensed, sent = (columns, rows) if direction == "up" else (-rows, -columns)
    np.testing.assert_allclose(point.sensed_a, sensed, rtol=1e-9, atol=1e-9 * size)

    # what the drivers give is what cells and segments take
    away = direction == "down" and terminals == "opposite"
    along_row = point.cell_a.cumsum(2) if away else point.cell_a[:, :, ::-1].cumsum(2)
    along_column = point.cell_a[:, ::-1].cumsum(1) if away else point.cell_a.cumsum(1)
    taken = (point.cell_a * point.cell_v).sum((1, 2))
    taken += wires.row_ohm * (along_row**2).sum((1, 2)) + wires.column_ohm * (along_column**2).sum((1, 2))
    np.testing.assert_allclose((volts * sent).sum(1), taken, rtol=1e-8)


def test_batch_is_its_vectors() -> None:
    g_s, wires = conductances(8, 16, 11), Wires(12.0, 20.0)
    volts = voltages(9, 7, 16) * np.logspace(-3, 0, 7)[:, None]
    volts[3] = 0.0
    together = solve(g_s, volts, BENT, wires)
    for alone, one in zip(volts, together, strict=True):
        np.testing.assert_allclose(solve(g_s, alone[None], BENT, wires)[0], one, rtol=1e-8, atol=1e-9 * 1e-4 * 1e-3)
    np.testing.assert_array_equal(together[3], 0.0)
    assert solve(g_s, volts[:0], BENT, wires).shape == (0, 11)


def test_published_cells_settle_in_a_few_steps() -> None:
    g_s = np.random.default_rng(10).uniform(50e-6, 225e-6, (64, 64))
    point = operating_point(g_s, voltages(11, 8, 64), RERAM_MILO_2021.nonlinearity, Wires(2.0, 2.0))
    assert point.iterations <= 12
    linear = solve(g_s, voltages(11, 8, 64), None, Wires(2.0, 2.0))
    assert np.abs(point.sensed_a - linear).max() > 1e-3 * np.abs(linear).max()


def test_cells_bent_too_far_are_reported() -> None:
    g_s = conductances(12, 8, 8)
    steep = Nonlinearity(ConstantCurve(0.0), ConstantCurve(0.1), largest_v=1.0)
    with pytest.raises(RuntimeError, match=r"have not converged: the last of \d+ steps moved a cell by"):
        solve(g_s, voltages(13, 3, 8), steep, Wires(1e4, 1e4))
    with pytest.raises(RuntimeError, match="the last of 1 steps"):
        solve(g_s, voltages(13, 3, 8), BENT, Wires(50.0, 50.0), iterations=1)


@pytest.mark.parametrize(
    ("volts", "direction", "message"),
    [
        (np.zeros((2, 5)), "up", r"shape \(2, 5\), expected \(B, 4\) for up"),
        (np.zeros((2, 4)), "down", r"shape \(2, 4\), expected \(B, 5\) for down"),
        (np.zeros(4), "up", r"shape \(4,\)"),
        (np.full((1, 4), np.nan), "up", "must be finite"),
        (np.full((1, 4), -0.6), "up", "input of 0.6 V, the I-V curve is published up to 0.5 V"),
        (np.zeros((1, 4)), "left", "direction 'left' unknown, choices are up, down"),
    ],
)
def test_wrong_inputs_are_refused(volts: Array, direction: Literal["up", "down"], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve(conductances(14, 4, 5), volts, RERAM_MILO_2021.nonlinearity, Wires(1.0, 1.0), direction)


def test_wrong_conductances_and_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"conductance -1\.0 S"):
        solve(np.full((2, 2), -1.0), np.zeros((1, 2)), BENT, Wires(1.0, 1.0))
    with pytest.raises(ValueError, match="iterations is 0"):
        solve(conductances(15, 2, 2), np.zeros((1, 2)), BENT, Wires(1.0, 1.0), iterations=0)
