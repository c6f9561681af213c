"""The published sets of coefficients of Loihi chips, one `LoihiProfile` each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hw.cost.constants import DAVIES_2018, LOIHI_1, LOIHI_2, SANAFE_2025, Group
from hw.cost.constants.own import OwnProfile
from hw.cost.cost import End, Range

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
    low: LoihiProfile | None = None
    """The same of the lowest figures that the sources of its constants allow; None: they allow no other."""
    high: LoihiProfile | None = None
    """The same of the highest."""


def davies_barrier(tiles: int, constants: Group = DAVIES_2018) -> Range:
    """Published: 113 ns at 1 tile, 465 ns at 32. The straight line between them, the nominal figure, is ours."""
    one, all_tiles = constants["barrier_1_tile_time"], constants["barrier_32_tiles_time"]
    between = np.interp(tiles, (1, TILES_PER_CHIP), (one.nominal, all_tiles.nominal))
    return Range(one.low, float(between), all_tiles.high)


def sanafe_barrier(tiles: int, constants: Group = SANAFE_2025) -> Range:
    """The table of SANA-FE, which holds 1, 2, 4 and 29 tiles.

    Low and nominal are of the entry at or below `tiles`, as SANA-FE itself looks it up (`LookupTable::get` of its
    src/utils.hpp); high is of the entry at or above.
    """
    table = {
        1: constants["sync_1_tile_time"],
        2: constants["sync_2_tiles_time"],
        4: constants["sync_4_tiles_time"],
        29: constants["sync_29_tiles_time"],
    }
    below = table[max(entry for entry in table if entry <= tiles)]
    above = table[min((entry for entry in table if entry >= tiles), default=max(table))]
    return Range(below.low, below.nominal, above.high)


def loihi2_barrier(tiles: int, constants: Group = DAVIES_2018, loihi2: Group = LOIHI_2) -> Range:
    """Davies 2018, but never longer than the shortest whole step of Loihi 2: no ratio of the barriers is published."""
    loihi1, step = davies_barrier(tiles, constants), loihi2["step_time"].nominal
    return Range(min(loihi1.low, step), min(loihi1.nominal, step), min(loihi1.high, step))


def _event(table: Group, end: End, name: str) -> Event:
    return Event(getattr(table[f"{name}_energy"], end), getattr(table[f"{name}_time"], end))


def _bounded(at: Callable[[End], LoihiProfile]) -> LoihiProfile:
    """The profile of nominal figures, with those of the lowest and the highest beside it."""
    return replace(at("nominal"), low=at("low"), high=at("high"))


def davies(constants: Group = DAVIES_2018, name: str = "davies2018") -> LoihiProfile:
    """Loihi 1 by its designers, simulated before silicon at 0.75 V; or by constants of the same names."""

    def at(end: End) -> LoihiProfile:
        event = partial(_event, constants, end)
        return LoihiProfile(
            name=name,
            # One figure for every kind of synapse.
            synapse={kind: event("synapse") for kind in ("conv", "dense")},
            neuron_inactive=event("neuron_inactive"),
            neuron_active=event("neuron_active"),
            spike_out=UNPUBLISHED,
            message_out=UNPUBLISHED,
            message_in=UNPUBLISHED,
            within_tile=event("within_tile"),
            hop_ew=event("hop_ew"),
            hop_ns=event("hop_ns"),
            barrier=partial(davies_barrier, constants=constants),
            floor_s=0.0,
        )

    return _bounded(at)


def sanafe(constants: Group = SANAFE_2025, name: str = "sanafe") -> LoihiProfile:
    """Loihi 1 as fitted on a Nahuku board: prefer it for latency; or by constants of the same names."""

    def at(end: End) -> LoihiProfile:
        event = partial(_event, constants, end)
        access, update = event("neuron_access"), event("neuron_update")
        return LoihiProfile(
            name=name,
            synapse={kind: event(f"synapse_{kind}") for kind in ("conv", "dense")},
            neuron_inactive=access,
            # SANA-FE reads the state of every unit, and then updates those with something to do.
            neuron_active=Event(access.energy_j + update.energy_j, access.latency_s + update.latency_s),
            spike_out=event("spike_out"),
            message_out=event("message_out"),
            message_in=event("message_in"),
            within_tile=UNPUBLISHED,
            hop_ew=event("hop_ew"),
            hop_ns=event("hop_ns"),
            barrier=partial(sanafe_barrier, constants=constants),
            floor_s=0.0,
        )

    return _bounded(at)


def loihi2(constants: Group = DAVIES_2018, loihi2: Group = LOIHI_2) -> LoihiProfile:
    """Loihi 2 by the published ratios of its times, with the energies of Loihi 1: no energy of Loihi 2 is published."""

    def at(loihi1: LoihiProfile, ratios: End) -> LoihiProfile:
        def faster(event: Event, ratio: str) -> Event:
            return Event(event.energy_j, event.latency_s / getattr(loihi2[ratio], ratios))

        return replace(
            loihi1,
            name="loihi2",
            synapse={kind: faster(event, "synapse_speedup") for kind, event in loihi1.synapse.items()},
            neuron_inactive=faster(loihi1.neuron_inactive, "neuron_speedup"),
            neuron_active=faster(loihi1.neuron_active, "neuron_speedup"),
            # Davies 2018 has no time of spike generation, the spike within a tile is the nearest; hops have no
            # published ratio.
            within_tile=faster(loihi1.within_tile, "spike_speedup"),
            barrier=partial(loihi2_barrier, constants=constants, loihi2=loihi2),
            floor_s=loihi2["step_time"].nominal,
        )

    nominal = davies(constants)
    # the higher the ratio, the lower the time
    low, high = at(nominal.low or nominal, "high"), at(nominal.high or nominal, "low")
    return replace(at(nominal, "nominal"), low=low, high=high)


DAVIES, SANAFE, LOIHI2 = davies(), sanafe(), loihi2()
PROFILES = {profile.name: profile for profile in (DAVIES, SANAFE)}
"""The profiles of the chip whose energies are published, by name."""
OF_GROUP = {"davies2018": davies, "sanafe": sanafe}
"""How a profile is made of the constants of a group."""


def loihi_profiles(own: Sequence[OwnProfile] = ()) -> dict[str, LoihiProfile]:
    """The published profiles, and those of a user's own constants that are like one of them."""
    made = {one.name: OF_GROUP[one.like](one.constants, one.name) for one in own if one.like in OF_GROUP}
    return {**PROFILES, **made}
