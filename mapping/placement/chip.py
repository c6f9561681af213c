"""What a core of a neuromorphic chip holds, and how the cores lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hw.cost.constants import LOIHI_1 as OF_LOIHI_1
from hw.cost.constants import LOIHI_2 as OF_LOIHI_2
from hw.cost.constants import Group


@dataclass(frozen=True)
class Chip:
    """Limits of one core, and the mesh of tiles that cores share; chips continue each other's rows downwards."""

    name: str
    units_per_core: int
    synapse_bytes_per_core: int
    """A stored weight takes one byte."""
    axons_in: int | None
    """Units outside a core whose messages it can tell apart; None: not published."""
    axons_out: int | None
    """Pairs of a unit in a core and another core that it sends to; None: not published."""
    cores_per_chip: int
    cores_per_tile: int
    tiles_per_row: int
    shares_weights: bool
    """A core stores a kernel once, whatever the places of the map that it serves; else one weight per synapse."""


def _chip(name: str, limits: Group, *, shares_weights: bool) -> Chip:
    def limit(key: str) -> int | None:
        return int(limits[key].nominal) if key in limits else None

    return Chip(
        name,
        units_per_core=int(limits["units_per_core"].nominal),
        synapse_bytes_per_core=int(limits["synapse_memory_per_core"].nominal),
        axons_in=limit("axons_in_per_core"),
        axons_out=limit("axons_out_per_core"),
        cores_per_chip=int(limits["cores_per_chip"].nominal),
        cores_per_tile=int(limits["cores_per_tile"].nominal),
        tiles_per_row=int(limits["tiles_per_row"].nominal),
        shares_weights=shares_weights,
    )


LOIHI_1 = _chip("loihi1", OF_LOIHI_1, shares_weights=False)
LOIHI_2 = _chip("loihi2", OF_LOIHI_2, shares_weights=True)
CHIPS = {chip.name: chip for chip in (LOIHI_1, LOIHI_2, replace(LOIHI_2, name="loihi2-unshared", shares_weights=False))}
"""By name; the last is what sharing saves."""


def check_chip(name: str, chips: int | None) -> None:
    """Refuse a chip that there is not, and fewer than one of it; ValueError names the option and the choices."""
    if name not in CHIPS:
        raise ValueError(f"--chip {name!r} is unknown, choices are {', '.join(CHIPS)}")
    if chips is not None and chips < 1:
        raise ValueError(f"--chips is {chips}, must be at least 1")
