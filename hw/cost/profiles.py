"""The published sets of coefficients of Loihi chips, one `LoihiProfile` each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hw.cost.constants import DAVIES_2018, LOIHI_1, LOIHI_2, SANAFE_2025, Constant
from hw.cost.cost import Range

CORES_PER_CHIP = int(LOIHI_1["cores_per_chip"].nominal)
CORES_PER_TILE = int(LOIHI_1["cores_per_tile"].nominal)
TILES_PER_CHIP = CORES_PER_CHIP // CORES_PER_TILE


@dataclass(frozen=True)
class Event:
    """One event on the chip: joules and seconds of the core, router or wire that handles it."""

    energy_j: float
    latency_s: float


UNPUBLISHED = Event(0.0, 0.0)
"""An event for which the source of the profile has no figure, so that it adds nothing."""


@dataclass(frozen=True)
class LoihiProfile:
    """One coherent set of published coefficients."""

    name: str
    synapse: Mapping[str, Event]
    """One synaptic operation, by the kind of its link: "conv" or "dense"."""
    neuron_inactive: Event
    """Update of a unit that sends nothing."""
    neuron_active: Event
    """Update of a unit that sends."""
    spike_out: Event
    """A unit sends, whatever the number of its packets."""
    message_out: Event
    """A core puts one packet on the mesh."""
    message_in: Event
    """A core takes one packet off the mesh."""
    within_tile: Event
    """One packet crosses the router of its tile."""
    hop_ew: Event
    """One packet crosses an east-west tile boundary."""
    hop_ns: Event
    """One packet crosses a north-south tile boundary."""
    barrier: Callable[[int], Range]
    """Seconds of the barrier that ends a step, by tiles in use on a chip."""
    floor_s: float
    """Shortest possible step."""


def davies_barrier(tiles: int) -> Range:
    """Published: 113 ns at 1 tile, 465 ns at 32. The straight line between them, the nominal figure, is ours."""
    low, high = DAVIES_2018["barrier_1_tile_time"].nominal, DAVIES_2018["barrier_32_tiles_time"].nominal
    return Range(low, float(np.interp(tiles, (1, TILES_PER_CHIP), (low, high))), high)


def sanafe_barrier(tiles: int) -> Range:
    """The table of SANA-FE, which holds 1, 2, 4 and 29 tiles.

    Low and nominal are the entry at or below `tiles`, as SANA-FE itself looks it up (`LookupTable::get` of its
    src/utils.hpp); high is the entry at or above.
    """
    table = {
        1: SANAFE_2025["sync_1_tile_time"].nominal,
        2: SANAFE_2025["sync_2_tiles_time"].nominal,
        4: SANAFE_2025["sync_4_tiles_time"].nominal,
        29: SANAFE_2025["sync_29_tiles_time"].nominal,
    }
    below = table[max(entry for entry in table if entry <= tiles)]
    above = table[min((entry for entry in table if entry >= tiles), default=max(table))]
    return Range(below, below, above)


def loihi2_barrier(tiles: int) -> Range:
    """Davies 2018, but never longer than the shortest whole step of Loihi 2: no ratio of the barriers is published."""
    loihi1, step = davies_barrier(tiles), LOIHI_2["step_time"].nominal
    return Range(min(loihi1.low, step), min(loihi1.nominal, step), min(loihi1.high, step))


def _event(table: Mapping[str, Constant], name: str) -> Event:
    return Event(table[f"{name}_energy"].nominal, table[f"{name}_time"].nominal)


def _faster(event: Event, ratio: str) -> Event:
    return Event(event.energy_j, event.latency_s / LOIHI_2[ratio].nominal)


DAVIES = LoihiProfile(
    name="davies2018",
    # One figure for every kind of synapse.
    synapse={kind: _event(DAVIES_2018, "synapse") for kind in ("conv", "dense")},
    neuron_inactive=_event(DAVIES_2018, "neuron_inactive"),
    neuron_active=_event(DAVIES_2018, "neuron_active"),
    spike_out=UNPUBLISHED,
    message_out=UNPUBLISHED,
    message_in=UNPUBLISHED,
    within_tile=_event(DAVIES_2018, "within_tile"),
    hop_ew=_event(DAVIES_2018, "hop_ew"),
    hop_ns=_event(DAVIES_2018, "hop_ns"),
    barrier=davies_barrier,
    floor_s=0.0,
)
"""Loihi 1 by its designers, simulated before silicon at 0.75 V."""

_ACCESS, _UPDATE = _event(SANAFE_2025, "neuron_access"), _event(SANAFE_2025, "neuron_update")

SANAFE = LoihiProfile(
    name="sanafe",
    synapse={kind: _event(SANAFE_2025, f"synapse_{kind}") for kind in ("conv", "dense")},
    neuron_inactive=_ACCESS,
    # SANA-FE reads the state of every unit, and then updates those with something to do.
    neuron_active=Event(_ACCESS.energy_j + _UPDATE.energy_j, _ACCESS.latency_s + _UPDATE.latency_s),
    spike_out=_event(SANAFE_2025, "spike_out"),
    message_out=_event(SANAFE_2025, "message_out"),
    message_in=_event(SANAFE_2025, "message_in"),
    within_tile=UNPUBLISHED,
    hop_ew=_event(SANAFE_2025, "hop_ew"),
    hop_ns=_event(SANAFE_2025, "hop_ns"),
    barrier=sanafe_barrier,
    floor_s=0.0,
)
"""Loihi 1 as fitted on a Nahuku board: prefer it for latency."""

LOIHI2 = replace(
    DAVIES,
    name="loihi2",
    synapse={kind: _faster(event, "synapse_speedup") for kind, event in DAVIES.synapse.items()},
    neuron_inactive=_faster(DAVIES.neuron_inactive, "neuron_speedup"),
    neuron_active=_faster(DAVIES.neuron_active, "neuron_speedup"),
    # Davies 2018 has no time of spike generation, the spike within a tile is the nearest; hops have no published ratio.
    within_tile=_faster(DAVIES.within_tile, "spike_speedup"),
    barrier=loihi2_barrier,
    floor_s=LOIHI_2["step_time"].nominal,
)
"""Loihi 2 by the published ratios of its times, with the energies of Loihi 1: no energy of Loihi 2 is published."""

PROFILES = {profile.name: profile for profile in (DAVIES, SANAFE)}
"""The profiles of the chip whose energies are published, by name."""
