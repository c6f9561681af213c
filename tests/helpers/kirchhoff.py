"""A wired array as a list of resistors, solved node by node with dense algebra: slow and hard to get wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Node = tuple[Any, ...]


class Solved(NamedTuple):
    """One array with its drivers on."""

    sensed_a: Array
    source_w: float
    dissipated_w: float


def resistors(g_s: Array, row_ohm: float, column_ohm: float, drive: str, sense: str) -> list[tuple[Node, Node, float]]:
    """(node, node, siemens) of an array that is driven at one side and sensed at another; the other ends are open.

    Nodes are ("row", i, j) and ("column", i, j), and one node is both where a wire has no resistance.
    """
    m, n = g_s.shape

    def row(i: int, j: int) -> Node:
        return ("row", i, j)

    def column(i: int, j: int) -> Node:
        return ("column", i, j)

    ends = {
        "left": [row(i, 0) for i in range(m)],
        "right": [row(i, n - 1) for i in range(m)],
        "top": [column(0, j) for j in range(n)],
        "bottom": [column(m - 1, j) for j in range(n)],
    }
    wires = [(row(i, j), row(i, j + 1), row_ohm) for i in range(m) for j in range(n - 1)]
    wires += [(column(i, j), column(i + 1, j), column_ohm) for i in range(m - 1) for j in range(n)]
    for name, side in (("driver", drive), ("sense", sense)):
        ohm = row_ohm if side in ("left", "right") else column_ohm
        wires += [((name, k), end, ohm) for k, end in enumerate(ends[side])]

    same = {node: node for wire in wires for node in wire[:2]}

    def merged(node: Node) -> Node:
        while same[node] != node:
            node = same[node]
        return node

    for a, b, ohm in wires:
        if ohm == 0:
            # a driver or a sense amplifier gives the node its name
            first, second = sorted((merged(a), merged(b)), key=lambda node: node[0] not in ("driver", "sense"))
            same[second] = first
    found = [(merged(a), merged(b), 1 / ohm) for a, b, ohm in wires if ohm > 0]
    return found + [(merged(row(i, j)), merged(column(i, j)), float(g_s[i, j])) for i in range(m) for j in range(n)]


def solve(
    g_s: Array, row_ohm: float, column_ohm: float, voltages_v: Array, drive: str = "left", sense: str = "bottom"
) -> Solved:
    """Currents into the sense amplifiers for one vector of voltages at the drivers, and where the power goes."""
    network = resistors(g_s, row_ohm, column_ohm, drive, sense)
    nodes = sorted({node for branch in network for node in branch[:2]}, key=str)
    place = {node: k for k, node in enumerate(nodes)}
    matrix = np.zeros((len(nodes), len(nodes)))
    for a, b, siemens in network:
        for this, that in ((place[a], place[b]), (place[b], place[a])):
            matrix[this, this] += siemens
            matrix[this, that] -= siemens
    potential = np.zeros(len(nodes))
    for node in nodes:
        if node[0] == "driver":
            potential[place[node]] = voltages_v[node[1]]
    fixed = np.array([node[0] in ("driver", "sense") for node in nodes])
    if not fixed.all():
        inner = matrix[np.ix_(~fixed, ~fixed)]
        potential[~fixed] = np.linalg.solve(inner, -matrix[np.ix_(~fixed, fixed)] @ potential[fixed])
    currents = matrix @ potential  # out of every node into the network
    count = g_s.shape[0] if sense in ("left", "right") else g_s.shape[1]
    return Solved(
        sensed_a=np.array([-currents[place["sense", k]] for k in range(count)]),
        source_w=float(sum(potential[place[node]] * currents[place[node]] for node in nodes if node[0] == "driver")),
        dissipated_w=float(sum(s * (potential[place[a]] - potential[place[b]]) ** 2 for a, b, s in network)),
    )


def effective(
    g_s: Array, row_ohm: float, column_ohm: float, drive: str = "left", sense: str = "bottom"
) -> NDArray[np.float64]:
    """(drivers, sense amplifiers) siemens, one driver at 1 V after the other."""
    drivers = g_s.shape[0] if drive in ("left", "right") else g_s.shape[1]
    return np.stack([solve(g_s, row_ohm, column_ohm, one, drive, sense).sensed_a for one in np.eye(drivers)])
