"""How far the currents that are sensed behind wires follow a change of one cell: what its fresh noise does to a read.

With every other cell as it is, dI / dG of a cell is the product of two voltages across it: V, with the inputs driven,
and A, with the output that is sensed driven by 1 V and the inputs grounded (the adjoint network). For rows driven left
and columns sensed at the bottom, with rho and gamma the losses of `hw.crossbar.tiles.wires`:

    A = 1 / (1 + gamma + r)                   its column driven; r: what the cell alone would lose in its row
    V = 1 / (1 + rho + c)                     its row driven; c: what the cell alone would lose in its column
    V = 1 / (1 + rho + c + lift (gamma - c))  all rows driven alike: they lift the column that their currents share

The effective conductance of a cell over its own is something else: it also holds what goes around by other cells, whose
noise is theirs, and is the larger by rho gamma / (1 + rho + gamma) for equal cells. On uniform arrays of 64 x 64 the
spread of a read is right to 0.2 % up to a load of 0.4 and to 1 % at 1 on average, that of one output to 2 % and 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.crossbar.devices.device import Array
from hw.crossbar.tiles.wires import Wires, line_losses


@dataclass(frozen=True)
class Sensitivity:
    """(m, n) change of the current of a cell's output by its conductance, over the voltage of the inputs."""

    alone: Array
    """Where the input of the cell is driven alone."""
    together: Array
    """Where all inputs are driven alike."""


def sensitivity_up(g_s: Array, wires: Wires, lift: float) -> Sensitivity:
    """Rows driven left, columns sensed at the bottom; `lift` is the mean voltage of the rows over that of the inputs.

    1 if every row has an input, less if some are never driven.
    """
    lines = _lines(g_s, wires)
    together = 1 / (lines.row_losses + lift * lines.column_shared)
    return Sensitivity(1 / (lines.row_losses * lines.column_losses), together / lines.column_losses)


def sensitivity_down(g_s: Array, wires: Wires, lift: float) -> Sensitivity:
    """Columns driven, rows sensed, at `wires.terminals`; `lift` is 0 where the columns of a pair are driven oppositely.

    Drivers and sense amplifiers at opposite ends are those of the array turned around.
    """
    turn = np.s_[:] if wires.terminals == "same" else np.s_[::-1]
    lines = _lines(g_s[turn, turn], wires)
    together = 1 / (lines.column_losses + lift * lines.row_shared)
    alone = 1 / (lines.row_losses * lines.column_losses)
    return Sensitivity(alone[turn, turn], (together / lines.row_losses)[turn, turn])


@dataclass(frozen=True)
class _Lines:
    """(m, n) voltage of a driver over that across a cell, with the line of the cell driven alone; and what is added."""

    row_losses: Array
    """1 + rho + c."""
    column_losses: Array
    """1 + gamma + r."""
    row_shared: Array
    """rho - r: what the other cells of the row add."""
    column_shared: Array
    """gamma - c."""


def _lines(g_s: Array, wires: Wires) -> _Lines:
    m, n = g_s.shape
    rho, gamma = line_losses(g_s, wires.row_ohm, wires.column_ohm)
    own_row = wires.row_ohm * np.arange(1, n + 1) * g_s
    own_column = wires.column_ohm * np.arange(m, 0, -1)[:, None] * g_s
    return _Lines(1 + rho + own_column, 1 + gamma + own_row, rho - own_row, gamma - own_column)
