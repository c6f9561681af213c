"""What capacity a node has, and what drivers and amplifiers draw: the two assumptions that decide time and energy.

C_node = resistors at the node * cell_f + node_f: every cell adds its own capacity and a pitch of wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hw.cost.resistive import CELL_F, NODE_F
from hw.resistive.links import Operator, Resistors
from hw.resistive.network import ResistiveNetwork


@dataclass(frozen=True)
class Parasitics:
    """Farads; where they come from stands in `hw.cost.resistive`."""

    cell_f: float = CELL_F
    """Of every resistor, at each of its two ends."""
    node_f: float = NODE_F
    """Of diode and amplifier at every node."""

    def __post_init__(self) -> None:
        for name in ("cell_f", "node_f"):
            if not 0 <= getattr(self, name) < 1e-6:
                raise ValueError(f"{name} is {getattr(self, name)} F, expected 0 to 1e-6 F")
        if self.cell_f + self.node_f == 0:
            raise ValueError("cell_f and node_f are both 0 F: a node without capacity has no time to settle in")


def node_capacities(network: ResistiveNetwork, parasitics: Parasitics, device: str = "cpu") -> list[Tensor]:
    """(units,) farads of every layer; every crossing of a link counts, also one that is off."""
    counts = [_crossings(link, device) for link in network.links]
    found = []
    for index, units in enumerate(network.units):
        cells = counts[index][1] + (counts[index + 1][0] if index + 1 < len(counts) else 0.0)
        found.append(parasitics.node_f + parasitics.cell_f * cells.expand(units))
    return found


def _crossings(link: Resistors, device: str) -> tuple[Tensor, Tensor]:
    """Cells at every node below and above, both rails."""
    rails = 1 if link.minus_s is None else 2
    ones = type(link)(**{**link.__dict__, "plus_s": link.plus_s * 0 + rails, "minus_s": None})
    operator = Operator(ones, device)
    return operator.load_below, operator.load_above


def driven_f(network: ResistiveNetwork, parasitics: Parasitics) -> float:
    """Farads of all lines that input drivers and amplifiers have to move: their cells."""
    total = 0.0
    for index, link in enumerate(network.links):
        if index == 0 or network.amplifiers[index - 1] is not None:
            total += parasitics.cell_f * float(_crossings(link, "cpu")[0].sum())
    return total
