"""Which constant moves the conclusion? Every constant behind two platforms is moved alone, and the ratio of their
nominal joules is looked at again.

A constant moves over the bounds of the table where it has some, else from half of it to twice, or as far as it stays
in order with others of its profile; counts, ratios and voltages stay. The ledgers, what was counted, stay as they are.
A conclusion holds where no constant alone takes the ratio across 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log2
from typing import Any

from hw.cost.constants import TABLE, Table
from hw.cost.constants.constant import Constant
from hw.cost.cost import Cost
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import aimc, hermes, isaac
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import davies, sanafe
from hw.cost.roofline import gpu_cost
from hw.ledger import Ledger, counted

UNITS = ("J", "s", "W", "F", "F/m", "op/s", "B/s")
"""Of constants that are moved."""
FACTOR = 2.0
"""Where the table has no bounds."""
LEAST = 0.005
"""A bar that moves the ratio by less is none."""
BARS = 8
"""At most, of one conclusion."""
STATIC = ("barrier", "static")
"""Parts of a cost on Loihi that are static power times time."""
CROSSBARS: Mapping[str, Callable[[Table], Any]] = {"hermes-14nm": hermes, "isaac-32nm": isaac, "aimc-28nm": aimc}
GROUPS = {
    "davies2018": ("davies2018", "loihi1"),
    "sanafe": ("sanafe", "loihi1"),
    "roofline-h200": ("gpu-h200",),
    "settling-circuit": ("resistive", "zigzag-imc"),
    "hermes-14nm": ("hermes2023", "aladdin2014", "isaac2016"),
    "isaac-32nm": ("isaac2016", "aladdin2014"),
    "aimc-28nm": ("zigzag-imc", "aladdin2014", "isaac2016"),
}
"""Groups of constants that a profile is made of."""


@dataclass(frozen=True)
class Side:
    """One platform of a ratio."""

    name: str
    profile: str
    ledger: Ledger
    cost: Cost
    """As it is priced now."""
    neuron_updates: float = 0.0
    """Digital ones, of crossbars."""


@dataclass(frozen=True)
class Bar:
    """One constant, and the ratio at both of its ends."""

    constant: str
    low: float
    high: float
    spread: tuple[float, float]
    """The constant at these ends over its nominal figure."""


def nominal_j(side: Side, table: Table) -> float:
    """Nominal joules of one image with the constants of a table."""
    if side.profile in ("davies2018", "sanafe"):
        make = davies if side.profile == "davies2018" else sanafe
        cost = loihi_cost(side.ledger, make(table[side.profile]))
        static = sum(cost.breakdown_j[part] for part in STATIC)
        watts = table["loihi1"]["static_power"].nominal / TABLE["loihi1"]["static_power"].nominal
        return cost.energy_j.nominal + (watts - 1) * static
    if side.profile in CROSSBARS:
        tiles = counted(side.ledger.tiles, "tiles")
        made = crossbar_cost(tiles, side.neuron_updates, side.ledger.images, CROSSBARS[side.profile](table))
        return made.energy_j.nominal
    if side.profile == "roofline-h200":
        board = gpu_cost(side.ledger, "H200", boards={"h200": table["gpu-h200"]})
        assert board is not None, "the board is in the table"
        return board.energy_j.nominal
    if side.profile == "settling-circuit":
        return _circuit_j(side.cost.breakdown_j, table)
    raise ValueError(f"profile {side.profile!r} cannot be varied, choices are {', '.join(GROUPS)}")


def _circuit_j(parts: Mapping[str, float], table: Table) -> float:
    """Heat and drivers are proportional to capacities, drivers to their ratio and speed too, converters to theirs."""

    def ratio(group: str, name: str) -> float:
        return table[group][name].nominal / TABLE[group][name].nominal

    capacity = ratio("resistive", "capacitance_ratio")
    drivers = capacity * ratio("resistive", "driver_ratio")
    scales = {
        "drivers": drivers,
        "dac": ratio("zigzag-imc", "dac_bit_capacitance"),
        "adc": ratio("zigzag-imc", "adc_bit_capacitance"),
    }
    return sum(joules * scales.get(part, capacity) for part, joules in parts.items())


def bars(ours: Side, theirs: Side) -> list[Bar]:
    """Every constant that moves ours / theirs, the one that moves it most first."""
    now = nominal_j(ours, TABLE) / nominal_j(theirs, TABLE)
    found = []
    for group in dict.fromkeys((*GROUPS[ours.profile], *GROUPS[theirs.profile])):
        for name, constant in TABLE[group].items():
            if not _moves(group, name, constant):
                continue
            ends = (
                (constant.low, constant.high)
                if constant.bounds
                else (constant.nominal / FACTOR, constant.nominal * FACTOR)
            )
            (first, low), (second, high) = (_moved(ours, theirs, (group, name), end) for end in ends)
            if max(abs(one / now - 1) for one in (low, high)) > LEAST:
                spread = (first / constant.nominal, second / constant.nominal)
                found.append(Bar(f"{group}.{name}", low, high, spread))
    return sorted(found, key=lambda bar: -abs(log2(bar.high / bar.low)))[:BARS]


def _moved(ours: Side, theirs: Side, which: tuple[str, str], end: float) -> tuple[float, float]:
    """The constant at this end, or as near to it as profiles allow, whose nominal figures lie between other published
    ones; and the ratio there."""
    group, name = which
    nominal = TABLE[group][name].nominal
    for halvings in range(8):
        value = nominal * (end / nominal) ** (0.5**halvings)
        moved = replace(TABLE[group][name], nominal=value, bounds=None)
        table = {**TABLE, group: {**TABLE[group], name: moved}}
        try:
            return value, nominal_j(ours, table) / nominal_j(theirs, table)
        except ValueError:
            continue
    return nominal, nominal_j(ours, TABLE) / nominal_j(theirs, TABLE)


def _moves(group: str, name: str, constant: Constant) -> bool:
    if group == "resistive":
        return name in ("capacitance_ratio", "driver_ratio")
    return constant.unit in UNITS and constant.nominal > 0


def conclusion(ours: Side, theirs: Side) -> dict[str, Any]:
    """Ratio, bars and what is to be said, as JSON types."""
    now, moved = nominal_j(ours, TABLE) / nominal_j(theirs, TABLE), bars(ours, theirs)
    across = [bar.constant for bar in moved if (min(bar.low, bar.high) - 1) * (max(bar.low, bar.high) - 1) < 0]
    least = ours.cost.energy_j.low / theirs.cost.energy_j.high
    most = ours.cost.energy_j.high / theirs.cost.energy_j.low
    verdict = f"{', '.join(across)} alone would turn it round" if across else "no constant alone turns it round"
    if not across and not least < 1 < most:
        verdict += ", nor do all of them together"
    first = moved[0].constant if moved else "nothing"
    words = (
        f"{ours.name} takes {now:.3g} times the joules of {theirs.name} (all constants at their worst {least:.2g} to "
        f"{most:.2g}); most depends on {first}; {verdict}."
    )
    return {
        "ours": ours.name,
        "theirs": theirs.name,
        "ratio": now,
        "all": [least, most],
        "bars": [asdict(bar) for bar in moved],
        "across": across,
        "words": words,
    }


def conclusions(sides: Sequence[Side], against: Side) -> list[dict[str, Any]]:
    """Each side against one and the same."""
    return [conclusion(side, against) for side in sides]
