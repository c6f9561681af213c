"""What spiking hardware would spend on the events of a ledger, by prices of a synaptic event and of a neuron update.

    E = synops e_synapse + updates e_neuron

The readout outside the dynamics counts as synaptic events. Nothing is charged for routing, clocks or leakage: these are
the conventions by which papers on spiking networks compare, not the energy of a chip, and they give no latency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hw.cost.constants import HOROWITZ_2014, KERAS_SPIKING
from hw.cost.cost import Cost, Range
from hw.ledger import Ledger, counted


@dataclass(frozen=True)
class SpikingProfile:
    """Prices of two events, in joules."""

    name: str
    synapse: Range
    neuron: Range
    note: str


def _one(value: float) -> Range:
    return Range(value, value, value)


ACCUMULATE = SpikingProfile(
    "accumulate-45nm",
    synapse=Range(
        HOROWITZ_2014["add_int32_energy"].nominal,
        HOROWITZ_2014["add_fp32_energy"].nominal,
        HOROWITZ_2014["add_fp32_energy"].nominal + HOROWITZ_2014["sram_8kb_32bit_energy"].nominal,
    ),
    neuron=Range(0.0, 0.0, HOROWITZ_2014["mac_fp32_energy"].nominal),
    note="one addition per event in 45 nm; low: of integers; high: with the read of its weight, and a "
    "multiply-accumulate per neuron update",
)
"""How papers on spiking networks count: 0.9 pJ for what would take a multiply-accumulate else."""
SPINNAKER = SpikingProfile(
    "spinnaker",
    synapse=_one(KERAS_SPIKING["spinnaker_synapse_energy"].nominal),
    neuron=_one(KERAS_SPIKING["spinnaker_neuron_energy"].nominal),
    note="processors that simulate spikes; one published figure of each event",
)
SPINNAKER2 = SpikingProfile(
    "spinnaker2",
    synapse=_one(KERAS_SPIKING["spinnaker2_synapse_energy"].nominal),
    neuron=_one(KERAS_SPIKING["spinnaker2_neuron_energy"].nominal),
    note="processors that simulate spikes; one published figure of each event",
)
SPIKING: Mapping[str, SpikingProfile] = {profile.name: profile for profile in (ACCUMULATE, SPINNAKER, SPINNAKER2)}
"""By name."""


def spiking_cost(ledger: Ledger, profile: SpikingProfile) -> Cost:
    """Modelled energy of one image of a ledger; ValueError for one without messages."""
    sent = counted(ledger.messages, "messages")
    synops = (sent.synops(sent.coding) + sent.readout_synops) / ledger.images
    updates = float(sent.neuron_updates_by_step().sum()) / ledger.images
    low, nominal, high = (
        (synops * getattr(profile.synapse, end), updates * getattr(profile.neuron, end))
        for end in ("low", "nominal", "high")
    )
    return Cost(
        energy_j=Range(sum(low), sum(nominal), sum(high)),
        latency_s=None,
        breakdown_j={"synapses": nominal[0], "neurons": nominal[1]},
        profile=profile.name,
        note=profile.note,
    )
