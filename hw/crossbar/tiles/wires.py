"""Wires: what their resistance makes of the conductances of a tile.

                 column 0    column 1
    row 0  --r------o---r-------o            rows are driven at the left end (column 0), columns are sensed at the
                    |           |            bottom end (the last row) into a virtual ground; a wire of row_ohm leads
                    c           c            to every cell of a row from the one before, one of column_ohm from every
    row 1  --r------o---r-------o            cell of a column to the next, and one each from the driver and to the
                    |           |            sense amplifier
                    c           c
                 ground      ground

Cells and wires are linear, hence the wired array is again a matrix: (m rows, n columns) conductances G turn into
effective ones, and I_columns = V_rows @ Geff. They are computed once per programming and used for every read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

Terminals = Literal["same", "opposite"]
Method = Literal["auto", "closed_form", "exact"]

CLOSED_FORM_KAPPA = 0.4
"""Largest load at which "auto" trusts the closed form: there it is 0.6 % off on uniform random arrays, 0.9 % on tiles
of trained weights, and at most 2.0 % on 52,000 arrays up to 32 x 32 with currents crowded in lines or single cells."""

TEMPERATURE_COEFFICIENT = 0.00451
"""Of copper wires, 1 / K, against 300 K: DNN+NeuroSim V1.3 Param.cpp, which takes |T - 300 K|; here it has its sign."""
KELVIN = (200.0, 500.0)
"""Where the resistance of copper is taken as linear in temperature; the limits are ours."""


@dataclass(frozen=True)
class Wires:
    """Resistance of the wires of a tile, and how a tile uses and computes them."""

    row_ohm: float
    """One segment of a row wire, from cell to cell."""
    column_ohm: float
    """One segment of a column wire, from cell to cell."""
    terminals: Terminals = "same"
    """Ends used by the transposed read: "same" drives columns where they are sensed (bottom) and senses rows where they
    are driven (left); "opposite" drives the top ends of columns and senses the right ends of rows."""
    method: Method = "auto"
    """"exact" solves Kirchhoff's equations, "closed_form" approximates; "auto" approximates where that is good."""
    source: str = ""
    """Where the resistances come from."""

    def __post_init__(self) -> None:
        for name in ("row_ohm", "column_ohm"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)} Ohm, expected a finite resistance from 0")
        for name, kind in (("terminals", Terminals), ("method", Method)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} {getattr(self, name)!r} unknown, choices are {', '.join(get_args(kind))}")

    def at_kelvin(self, kelvin: float) -> Wires:
        """Wires given at 300 K at another temperature: R (1 + 0.00451 (T - 300 K))."""
        if not KELVIN[0] <= kelvin <= KELVIN[1]:
            raise ValueError(f"temperature is {kelvin} K, expected {KELVIN[0]} to {KELVIN[1]} K")
        factor = 1 + TEMPERATURE_COEFFICIENT * (kelvin - 300)
        return replace(self, row_ohm=self.row_ohm * factor, column_ohm=self.column_ohm * factor)


_NEUROSIM = "DNN+NeuroSim V1.3 Param.cpp, 22 nm node, wires 40 nm wide: 4.03e-8 Ohm m / (1.9 (40 nm)**2) = 13.26 Ohm/um"

WIRES = {
    "none": Wires(0.0, 0.0, source="none: perfect wires, for tests and as a reference"),
    "aihwkit": Wires(0.35, 0.35, source="aihwkit 1.1, IOParameters.ir_drop_g_ratio = 1 / 0.35 Ohm / 5e-6 S"),
    "aihwkit-time": Wires(0.15, 0.15, source="aihwkit 1.1, IOParametersIRDropT.ir_drop_rs"),
    "neurosim-22nm-1t1r": Wires(2.12, 6.36, source=f"{_NEUROSIM}; 1T1R cell of 4F x 12F: 160 nm row, 480 nm column"),
    "neurosim-22nm-crossbar": Wires(1.06, 1.06, source=f"{_NEUROSIM}; crossbar cell of 2F x 2F: 80 nm"),
    "mnsim": Wires(2.82, 2.82, source="MNSIM 2.0 (ca39ccb), wire resistance per cell"),
}
"""Published resistances of one segment at 300 K."""


def preset_wires(name: str) -> Wires:
    """The published wires of that name."""
    if name not in WIRES:
        raise ValueError(f"wires {name!r} unknown, choices are {', '.join(WIRES)}")
    return WIRES[name]


def kappa(g_s: Array, wires: Wires) -> float:
    """Load of the wires of (m, n) conductances: (row_ohm n**2 max_i <G_i> + column_ohm m**2 max_j <G_j>) / 2.

    <G_i> is the mean of row i, <G_j> that of column j; r <G> N**2 of equal cells. That is how much voltage, over what
    is applied, the far ends of the most loaded row and column would lose together if every cell drew its full current.
    A mean over the whole array would not see current crowded into a few lines, as trained weights do. Well below 1
    wires matter little; from about 1 on they decide what an array computes.
    """
    m, n = checked(g_s).shape
    row, column = g_s.mean(axis=1).max(), g_s.mean(axis=0).max()
    return float((wires.row_ohm * n**2 * row + wires.column_ohm * m**2 * column) / 2)


def effective_up(g_s: Array, wires: Wires) -> Array:
    """(m, n) effective conductances of I_columns = V_rows @ Geff: rows driven left, columns sensed at the bottom."""
    return _effective(checked(g_s), wires)


def effective_down(g_s: Array, wires: Wires) -> Array:
    """(m, n) effective conductances of the transposed read, I_rows = V_columns @ Geff.T, at `wires.terminals`.

    Drivers and sense amplifiers are both at a fixed voltage, so that a linear network answers the same when they trade
    places (reciprocity): driven and sensed at the same ends as upwards, wires do not break the symmetry of a tile.
    """
    if wires.terminals == "same":
        return effective_up(g_s, wires)
    # by reciprocity driven top, sensed right is driven right, sensed top, which is upwards of the array turned around
    return np.ascontiguousarray(_effective(checked(g_s)[::-1, ::-1], wires)[::-1, ::-1])


def asymmetry(up: Array, down: Array) -> float:
    """||down - up|| / ||up|| (Frobenius) of two matrices of one shape; infinite if only `up` is zero."""
    if np.shape(up) != np.shape(down):
        raise ValueError(f"matrices of shapes {np.shape(up)} and {np.shape(down)} cannot be compared")
    difference, size = float(np.linalg.norm(np.subtract(down, up))), float(np.linalg.norm(up))
    if size == 0:
        return 0.0 if difference == 0 else np.inf
    return difference / size


def checked(g_s: Array) -> Array:
    """The conductances, if they are a matrix of finite numbers from 0."""
    if g_s.ndim != 2 or g_s.size == 0:
        raise ValueError(f"conductances of shape {g_s.shape}, expected a matrix (rows, columns)")
    wrong = ~((g_s >= 0) & (g_s < np.inf))  # NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(f"conductance {g_s[row, column]} S at row {row}, column {column}, expected a number from 0")
    return g_s


def _effective(g_s: Array, wires: Wires) -> Array:
    if wires.row_ohm == wires.column_ohm == 0:
        return g_s.copy()
    if wires.method == "exact" or (wires.method == "auto" and kappa(g_s, wires) > CLOSED_FORM_KAPPA):
        return _exact(g_s, wires.row_ohm, wires.column_ohm)
    return g_s * _shares(g_s, wires.row_ohm, wires.column_ohm)


def _shares(g_s: Array, row_ohm: float, column_ohm: float) -> Array:
    """(m, n) share of its conductance that every cell keeps: 1 / (1 + rho + gamma), the closed form.

    rho is what the row of a cell would cost it if the columns were perfect, gamma what its column would: to first order
    rho_ij = row_ohm sum_k min(j, k) G_ik with places counted from 1 at the driver. Exact if either wire is perfect.
    A product (1 + rho) (1 + gamma) would leave out the current that goes down one column, back through another row and
    into this column; for equal cells that is rho gamma to second order, which turns the product into the sum.
    """
    rho, gamma = line_losses(g_s, row_ohm, column_ohm)
    return 1 / (1 + rho + gamma)


def line_losses(g_s: Array, row_ohm: float, column_ohm: float) -> tuple[Array, Array]:
    """(m, n) rho of every cell in its row with perfect columns, and gamma in its column with perfect rows."""
    return _loss(g_s, row_ohm), _loss(g_s.T[:, ::-1], column_ohm)[:, ::-1].T


def _loss(g_s: Array, ohm: float) -> Array:
    """(lines, cells) V_driver / V_cell - 1 on lines driven at cell 0, every cell from its line to ground.

    Y_k = G_k + Y_{k+1} / (1 + r Y_{k+1}) is the conductance of the line from cell k on; V_k = V_{k-1} / (1 + r Y_k).
    """
    onward = np.array(g_s, np.float64)
    for k in range(g_s.shape[1] - 2, -1, -1):
        onward[:, k] += onward[:, k + 1] / (1 + ohm * onward[:, k + 1])
    return np.cumprod(1 + ohm * onward, axis=1) - 1


def _exact(g_s: Array, row_ohm: float, column_ohm: float) -> Array:
    """Kirchhoff's equations of the whole array, by eliminating one row after the other: O(m n min(m, n)**2).

    The columns are one ladder of n wires. Looking up from row i, all that lies above is a conductance matrix Y (n, n)
    with a current source J (n, sources) beside it (Norton), and

        next row   Y <- S + (1 + r_c Y)^-1 Y,   J <- s v + (1 + r_c Y)^-1 J
        S = (1 + D R)^-1 D,  s = S 1,  D = diag(G_i),  R_jk = r_r min(j, k)

    where S is the row with its driver grounded, from voltages at the n columns to currents, and s v what its driver
    sends into grounded columns. Either resistance may be 0, and no large conductances of wires are subtracted from
    another: a nodal matrix loses as many digits as wires conduct better than cells.
    """
    m, n = g_s.shape
    if n > m:  # reciprocity: the same network with drivers and sense amplifiers exchanged
        return np.ascontiguousarray(_exact(g_s.T[::-1, ::-1], column_ohm, row_ohm)[::-1, ::-1].T)
    shared_ohm = row_ohm * shared_segments(n)
    one = np.eye(n)
    above = np.zeros((n, n + m), order="F")  # Y, then J with one source for every row, each 1 V
    for i in range(m):
        known = n + i
        if i:
            above[:, :known] = _solve(one + column_ohm * above[:, :n], above[:, :known])
        root = np.sqrt(g_s[i])  # S = D^1/2 (1 + D^1/2 R D^1/2)^-1 D^1/2 is the symmetric form of S
        row = root[:, None] * _solve(one + root[:, None] * shared_ohm * root, np.diag(root))
        above[:, :n] += row
        above[:, known] = row.sum(1)
    return _solve(one + column_ohm * above[:, :n], above[:, n:]).T.copy()


def shared_segments(n: int) -> Array:
    """(n, n) segments that the ways from the driver to cells j and k share: min(j, k), counted from 1."""
    places = np.arange(1.0, n + 1)
    return np.minimum.outer(places, places)


def _solve(a: Array, b: Array) -> Array:
    """a^-1 b for a symmetric positive a."""
    return np.asarray(cho_solve(cho_factor(a, lower=True, check_finite=False), b, check_finite=False))
