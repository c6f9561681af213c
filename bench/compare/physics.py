"""How far is every platform from what physics asks for?

Joules of an image over its multiply-accumulates stand beside two limits at 300 K: that of reading a column of N devices
at b bits against thermal noise, 24 kT 4^b / N for each device's multiply-accumulate (Agarwal et al. 2016), b the bits
that the sums of this network need (`bench.compare.bits`); and Landauer's kT ln 2 for a bit that is erased, of which no
multiply-accumulate that keeps its result erases less than one.

Multiply-accumulates are those that a clocked processor does for the same steps, so that machines which send only
changes are credited for what they leave out. A circuit that settles by itself takes no steps: it is given one pass up
and one down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.compare.bits import Bits
from bench.compare.row import ALL, CompareRow
from bench.reports.format import si
from hw.cost.constants import HERMES_2023, KELLER_2023, LOIHI_2_TASKS, MYTHIC_M1076, NEURRAM_2022, PHYSICS, PILOTNET
from models.ep.network import EPNetwork

SILICON = {
    "HERMES, 14 nm PCM, 8 b": HERMES_2023["one_phase_efficiency"],
    "HERMES, 14 nm PCM, 8 b, four phases": HERMES_2023["four_phase_efficiency"],
    "NeuRRAM, 130 nm, 4 b to 6 b": NEURRAM_2022["efficiency_6b_4b"],
    "NeuRRAM, 130 nm, 8 b to 10 b": NEURRAM_2022["efficiency_10b_8b"],
    "5 nm digital, 8 b": KELLER_2023["int8_mac_energy"],
    "Mythic M1076, 40 nm flash, 8 b": MYTHIC_M1076["mac_energy"],
}
"""Published joules of a multiply-accumulate, or operations per joule, of which it is two."""
PUBLISHED = {name: 2 / one.nominal if one.unit == "op/J" else one.nominal for name, one in SILICON.items()}
"""Joules of a multiply-accumulate on silicon."""
LANDAUER_J = PHYSICS["landauer_bit_energy"].nominal


def thermal_j(bits: float, devices: float) -> float:
    """24 kT 4^b / N."""
    return PHYSICS["column_read_kt"].nominal * PHYSICS["kt_energy"].nominal * 4.0**bits / devices


def fan_in(network: EPNetwork) -> float:
    """N: devices of a column, the mean over the multiply-accumulates of one pass."""
    from mapping.circuit import circuit_of

    wires = circuit_of(network).wires
    devices = [wire.weight[0].size for wire in wires]
    macs = [wire.macs for wire in wires]
    return sum(one * each for one, each in zip(devices, macs, strict=True)) / sum(macs)


def physics_of(
    rows: Sequence[CompareRow],
    macs: Mapping[tuple[str, str], float],
    needed: Mapping[str, Bits],
    devices: Mapping[str, float],
) -> dict[str, Any]:
    """Every row that runs to the end, published silicon, and the limits, as JSON types.

    Args:
        rows: of all platforms.
        macs: of an image, by network and backend.
        needed: bits by network.
        devices: N by network.
    """
    lines = []
    for row in rows:
        key = (row.network, row.backend)
        if row.rule != ALL or key not in macs:
            continue
        limit = thermal_j(needed[row.network].bits, devices[row.network])
        mac = {bound: joules / macs[key] for bound, joules in row.energy_j.items()}
        lines.append(
            {
                "network": row.network,
                "platform": row.platform,
                "profile": row.profile,
                "mac_j": mac["nominal"],
                "low_j": mac["low"],
                "high_j": mac["high"],
                "over_thermal": mac["nominal"] / limit,
                "over_landauer": mac["nominal"] / LANDAUER_J,
            }
        )
    told = {
        name: {"bits": one.bits, "noise": one.noise, "clean": one.clean, "devices": devices[name], "curve": one.curve}
        for name, one in needed.items()
    }
    limits = {name: thermal_j(one.bits, devices[name]) for name, one in needed.items()}
    return {
        "rows": lines,
        "published": PUBLISHED,
        "landauer_j": LANDAUER_J,
        "thermal_j": limits,
        "needed": told,
        "words": _words(told, limits),
    }


def _words(told: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    needed = "; ".join(
        f"the sums of {name} need {one['bits']:.1f} bits (noise of {100 * one['noise']:.2g} % of their range costs at "
        f"most a point), and with {one['devices']:.0f} devices in a column 24 kT 4^b / N is {si(limits[name], 'J')}"
        for name, one in told.items()
    )
    tasks = {name: constant.nominal for name, constant in LOIHI_2_TASKS.items()}
    pilotnet = si(PILOTNET["inference_energy"].nominal, "J")
    return (
        f"At 300 K {needed}; kT ln 2 is {si(LANDAUER_J, 'J')}. Loihi 2 as published has no joules per operation: "
        f"PilotNet takes {pilotnet} an inference on it, and against small GPUs it is reported to take "
        f"{tasks['s4d_energy_ratio']:g} (S4D, token by token), up to {tasks['delays_energy_ratio']:g} (delays) and "
        f"{tasks['language_energy_ratio']:g} (language) times less energy."
    )
