"""The operating point of a tile whose cells are not linear: I = G V + c2 V**2 + c3 V**3 behind resistive wires.

The array is that of `hw.crossbar.tiles.wires`. Its linear part is factored once; what the cells carry beyond G V is
put in as current sources and found by a fixed point

    cell voltages  x <- linear network(inputs, sources f),    f <- c2 x**2 + c3 x**3

Seen from its cells the linear network has at most the resistance 1 / G, so that the error falls at least by
max |2 c2 x + 3 c3 x**2| / G per step: it converges wherever cells are bent by less than their linear part, whatever the
wires, and faster the less the wires matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hw.crossbar.devices.device import Array, Nonlinearity
from hw.crossbar.tiles.wires import Wires, checked, shared_segments

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class OperatingPoint:
    """Voltages and currents of a wired array (m rows, n columns) for a batch of inputs."""

    sensed_a: Array
    """(B, n) currents out of the columns, or (B, m) out of the rows of a transposed read."""
    cell_v: Array
    """(B, m, n) voltage of every cell, from its row to its column."""
    cell_a: Array
    """(B, m, n) current of every cell, from its row to its column."""
    iterations: int
    """Corrections after the linear solution."""


def solve(
    g_s: Array,
    voltages_v: Array,
    nonlinearity: Nonlinearity | None,
    wires: Wires,
    direction: Direction = "up",
    tolerance: float = 1e-10,
    iterations: int = 50,
) -> Array:
    """Currents at the sense amplifiers; arguments as of `operating_point`.

    (B, m) voltages of rows -> (B, n) currents of columns, or "down", (B, n) voltages of columns -> (B, m) of rows.
    """
    return operating_point(g_s, voltages_v, nonlinearity, wires, direction, tolerance, iterations).sensed_a


def operating_point(
    g_s: Array,
    voltages_v: Array,
    nonlinearity: Nonlinearity | None,
    wires: Wires,
    direction: Direction = "up",
    tolerance: float = 1e-10,
    iterations: int = 50,
) -> OperatingPoint:
    """Exact solution of wires and cells, whatever `wires.method` says.

    Args:
        g_s: (m, n) conductances.
        voltages_v: (B, m) voltages of the rows, or (B, n) of the columns if `direction` is "down".
        nonlinearity: the cells' c2 and c3 by conductance; None for linear cells.
        wires: segment resistances, and the ends that a transposed read uses.
        direction: "up" drives rows and senses columns. "down" drives columns and senses rows. A positive voltage there
            is a negative one for the cell, whose c2 then counts with the other sign: even with perfect wires the two
            directions differ, unless inputs downwards are applied, and their currents sensed, with reversed sign.
        tolerance: largest change of a cell voltage in the last step, over the largest input of its vector.
        iterations: steps after which RuntimeError tells that it did not converge.
    """
    if direction not in ("up", "down"):
        raise ValueError(f"direction {direction!r} unknown, choices are up, down")
    up = direction == "up"
    driven = checked(g_s).shape[0 if up else 1]
    if voltages_v.ndim != 2 or voltages_v.shape[1] != driven:
        raise ValueError(f"voltages of shape {voltages_v.shape}, expected (B, {driven}) for {direction}")
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}, expected 1 or more")
    if not np.isfinite(voltages_v).all():
        raise ValueError("voltages must be finite")
    second, third = _coefficients(g_s, voltages_v, nonlinearity)
    if up:
        # voltages as (m, 1, B) and cells as (m, n, B): matrices act on columns
        network = _factor(g_s, wires.row_ohm, wires.column_ohm)
        x, c, sensed, steps = _iterate(network, second, third, voltages_v, tolerance, iterations)
        return OperatingPoint(sensed, x.transpose(2, 0, 1), c.transpose(2, 0, 1), steps)
    # drawn with its columns as rows: left ends are then top ends of columns, and bottom ends are right ends of rows;
    # with both axes turned around they are the bottom ends of columns and the left ends of rows
    turn = np.s_[::-1] if wires.terminals == "same" else np.s_[:]
    network = _factor(g_s.T[turn, turn], wires.column_ohm, wires.row_ohm)
    x, c, sensed, steps = _iterate(
        network, -second.T[turn, turn], third.T[turn, turn], voltages_v[:, turn], tolerance, iterations
    )
    cell_v, cell_a = (-cells[turn, turn].transpose(2, 1, 0) for cells in (x, c))
    return OperatingPoint(sensed[:, turn], cell_v, cell_a, steps)


def _coefficients(g_s: Array, voltages_v: Array, nonlinearity: Nonlinearity | None) -> tuple[Array, Array]:
    """(m, n) c2 and c3, where the inputs stay in the published range."""
    if nonlinearity is None:
        return np.zeros_like(g_s), np.zeros_like(g_s)
    largest = float(np.abs(voltages_v).max(initial=0))
    if largest > nonlinearity.largest_v * (1 + 1e-9):
        raise ValueError(f"input of {largest} V, the I-V curve is published up to {nonlinearity.largest_v} V")
    return nonlinearity.second(g_s), nonlinearity.third(g_s)


@dataclass(frozen=True)
class _Network:
    """Linear network, rows driven left and columns sensed at the bottom, one row after the other eliminated."""

    g_s: Array
    """(m, n)."""
    row: Array
    """(m, n, n) (1 + D R)^-1 of every row: sources at its cells to currents into grounded columns; D = diag(G_i)."""
    shared_ohm: Array
    """(n, n) R = row_ohm min(j, k): current of cell k to voltage lost at cell j."""
    onward: Array
    """(m, n, n) (1 + column_ohm Y_i)^-1: Y_i is the conductance of rows 0 to i, seen from the columns at row i."""
    column_ohm: float


def _factor(g_s: Array, row_ohm: float, column_ohm: float) -> _Network:
    m, n = g_s.shape
    one, shared_ohm = np.eye(n), row_ohm * shared_segments(n)
    row = np.linalg.inv(one + g_s[:, :, None] * shared_ohm)
    onward = np.empty((m, n, n))
    above = np.zeros((n, n))
    for i in range(m):
        above = above + row[i] * g_s[i]
        onward[i] = np.linalg.inv(one + column_ohm * above)
        above = onward[i] @ above
    return _Network(g_s, row, shared_ohm, onward, column_ohm)


def _linear(network: _Network, voltages_v: Array, sources_a: Array) -> tuple[Array, Array, Array]:
    """Cell voltages and currents (m, n, B) and sensed currents (n, B) for drivers (m, 1, B) and sources (m, n, B).

    With J_i the source that stands for rows 0 to i beside Y_i, and b_i the voltages of the columns at row i,
    J_i = q_i + (1 + r Y_{i-1})^-1 J_{i-1} downwards, then b_i = (1 + r Y_i)^-1 (r J_i + b_{i+1}) upwards.
    """
    g_s = network.g_s[:, :, None]
    grounded_a = network.row @ (g_s * voltages_v + sources_a)
    gathered_a = np.empty_like(grounded_a)
    passed_a = np.zeros_like(grounded_a[0])
    for i in range(len(gathered_a)):
        gathered_a[i] = grounded_a[i] + passed_a
        passed_a = network.onward[i] @ gathered_a[i]
    column_v = np.empty_like(grounded_a)
    below_v = np.zeros_like(passed_a)
    for i in reversed(range(len(column_v))):
        column_v[i] = below_v = network.onward[i] @ (network.column_ohm * gathered_a[i] + below_v)
    cell_a = grounded_a - network.row @ (g_s * column_v)
    return voltages_v - network.shared_ohm @ cell_a - column_v, cell_a, passed_a


def _iterate(
    network: _Network, second: Array, third: Array, voltages_v: Array, tolerance: float, iterations: int
) -> tuple[Array, Array, Array, int]:
    """Cell voltages and currents (m, n, B), sensed currents (B, n) and steps for inputs (B, m)."""
    second, third = second[:, :, None], third[:, :, None]
    applied = np.ascontiguousarray(voltages_v.T, dtype=np.float64)[:, None, :]
    scale = np.abs(applied).max(axis=(0, 1), initial=0)
    scale = np.where(scale > 0, scale, 1.0)
    x, c, sensed = _linear(network, applied, np.zeros((*network.g_s.shape, len(voltages_v))))
    if not second.any() and not third.any():
        return x, c, sensed.T, 0
    residual = np.inf
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging iteration is reported below
        for step in range(1, iterations + 1):
            last = x
            x, c, sensed = _linear(network, applied, x**2 * (second + third * x))
            residual = float((np.abs(x - last) / scale).max(initial=0))
            if residual <= tolerance:
                return x, c, sensed.T, step
            if not np.isfinite(residual):
                break
    raise RuntimeError(
        f"voltages of nonlinear cells have not converged: the last of {step} steps moved a cell by {residual:.1e} of "
        f"the input, tolerance {tolerance:.1e}"
    )
