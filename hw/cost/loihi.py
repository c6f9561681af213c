"""What a Loihi chip would spend on the events of a ledger.

Energy of one image, summed over its steps and layers:

    E = synops * e_synapse + inactive * e_inactive + active * e_active
        + spikes * e_spike_out + messages * (e_message_out + e_message_in + e_within_tile)
        + hops_ew * e_hop_ew + hops_ns * e_hop_ns + P_static * t

Latency of one image, t = sum over steps of max(floor, barrier(tiles) + work + flight) + readout, where in one step

    arriving(l) = busiest(l) * (synops into l * t_synapse + messages into l * t_message_in) / cores(l)
    neurons(l)  = busiest(l) * (inactive * t_inactive + active * t_active
                                + spikes * t_spike_out + messages * t_message_out) / cores(l)
    work        = max over layers of arriving(l) + neurons(l)
    flight      = mean time of one message on the mesh (the barrier waits for the last one)

What the three figures mean. Every coefficient is published, with the bounds that its source gives it (`constants`);
beyond those they differ in what is assumed where nothing is:

|               | low                             | nominal                       | high                             |
|---------------|---------------------------------|-------------------------------|----------------------------------|
| synapse       | cheaper of conv and dense       | by the kind of the link       | costlier of conv and dense       |
| silent neuron | inactive update                 | inactive update               | active update                    |
| messages      | within a tile, pipelined        | hops of the ledger, pipelined | hops; a core sends one at a time |
| in a core     | max(arriving, neurons): overlap | arriving + neurons            | arriving + neurons               |
| busiest core  | as every other of its layer     | as full as it was placed      | as full as it was placed         |
| barrier       | lowest published                | see the profile               | highest published                |
| static power  | none                            | used cores / 128 of a chip    | every chip in use, whole         |

Assumptions. A core serves one layer, and its share of the work of the layer is its share of the units, so the busiest
core of the chip is the fullest one of the busiest layer. Ledgers hold sums over images, so a step is priced at the mean
of the images still running, and the busiest layer of the mean image stands for the mean over images of the busiest
layer. A unit is active when it sends a message in the coding of the ledger. The input layer sends and is charged for
its spikes, but updates nothing. The readout runs once, on one core, on synapses of the dense kind. No energy of a
barrier is published: it costs static power while it lasts. Getting images onto the chip and results off it is not
included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.cost.constants import LOIHI_1
from hw.cost.cost import Cost, Range
from hw.cost.profiles import CORES_PER_CHIP, CORES_PER_TILE, LOIHI2, TILES_PER_CHIP, Event, LoihiProfile
from hw.events.messages import MessageEvents
from hw.ledger import Ledger, counted

Array = NDArray[np.float64]

LOIHI2_NOTE = "Loihi 1 energies (Davies 2018) on Loihi 2 counts: no per-operation energy of Loihi 2 is published"


@dataclass(frozen=True)
class _Corner:
    """One column of the table above, made concrete for one ledger and profile."""

    profile: LoihiProfile
    """Of the lowest, nominal or highest figures."""
    synapse: Mapping[str, Event]
    silent: Event
    """Update of a unit that sends nothing."""
    hops: float
    """1 if messages cross tiles, 0 if none does."""
    overlap: bool
    """A core receives while it updates."""
    serial: bool
    """A core waits for a message to arrive before it sends the next."""
    barrier_s: float
    static_w: float


def _corners(profile: LoihiProfile, cores: int) -> tuple[_Corner, _Corner, _Corner]:
    chips = math.ceil(cores / CORES_PER_CHIP)
    barrier = profile.barrier(min(math.ceil(cores / CORES_PER_TILE), TILES_PER_CHIP))
    static_w = LOIHI_1["static_power"].nominal

    def every_kind(profile: LoihiProfile, pick: Callable[..., float]) -> dict[str, Event]:
        event = Event(
            pick(event.energy_j for event in profile.synapse.values()),
            pick(event.latency_s for event in profile.synapse.values()),
        )
        return dict.fromkeys(profile.synapse, event)

    low, high, share_w = profile.low or profile, profile.high or profile, static_w * cores / CORES_PER_CHIP
    return (
        _Corner(low, every_kind(low, min), low.neuron_inactive, 0.0, True, False, barrier.low, 0.0),
        _Corner(profile, profile.synapse, profile.neuron_inactive, 1.0, False, False, barrier.nominal, share_w),
        _Corner(high, every_kind(high, max), high.neuron_active, 1.0, False, True, barrier.high, static_w * chips),
    )


@dataclass(frozen=True)
class _Counts:
    """Events of the mean image that still runs, per step and layer: (T, S) unless said otherwise."""

    weight: Array
    """(T,) fraction of the images that run the step."""
    cores: Array
    """(S,)"""
    busiest: Array
    """(S,) what the fullest core of a layer does over what a mean one does."""
    synops_in: dict[str, Array]
    """Synaptic operations in the cores of a layer, by kind of link."""
    updates: Array
    active: Array
    spikes: Array
    messages: Array
    messages_in: Array
    """Packets that reach the cores of a layer."""
    hops_ew: Array
    hops_ns: Array
    readout: float
    """Synaptic operations of the readout of one image."""

    def per_image(self, events: Array) -> float:
        """Events of one whole settle, averaged over images."""
        return math.fsum((self.weight[:, None] * events).ravel())


def _counts(sent: MessageEvents, images: int) -> _Counts:
    if min(sent.cores[1:]) < 1:
        raise ValueError(f"layers without a core, {sent.cores}: the cost of a chip needs a placed network")
    running = sent.running.astype(np.float64)[:, None]

    def mean(events: Array) -> Array:
        return np.divide(events, running, out=np.zeros(events.shape), where=running > 0)

    column = {
        name: mean(sent.column(sent.coding, name))
        for name in ("synops_up", "synops_down", "messages", "hops_ew", "hops_ns", "spikes")
    }
    up, down, messages, spikes = (column[name] for name in ("synops_up", "synops_down", "messages", "spikes"))
    if up[:, -1].any() or down[:, 0].any():
        raise ValueError("synaptic operations above the last or below the first layer, where no link is")
    synops_in = {kind: np.zeros_like(up) for kind in ("conv", "dense")}
    for lower, kind in enumerate(sent.link_kinds):
        synops_in[kind][:, lower + 1] += up[:, lower]
        synops_in[kind][:, lower] += down[:, lower + 1]
    # An input that comes from outside the chip may have no core; what it sends is then put through one.
    cores = np.maximum(np.asarray(sent.cores, dtype=np.float64), 1.0)
    active = spikes.copy()
    active[:, 0] = 0.0  # the clamped input sends without an update
    return _Counts(
        weight=sent.running / images,
        cores=cores,
        busiest=np.asarray(sent.busiest or np.ones(len(cores)), dtype=np.float64),
        synops_in=synops_in,
        updates=mean(sent.neuron_updates_by_step().astype(np.float64)),
        active=active,
        spikes=spikes,
        messages=messages,
        messages_in=_messages_in(messages, up, down, cores),
        hops_ew=column["hops_ew"],
        hops_ns=column["hops_ns"],
        readout=sent.readout_synops / images,
    )


def _messages_in(messages: Array, up: Array, down: Array, cores: Array) -> Array:
    """(T, S) packets that reach each layer.

    A spike sends one packet to every destination core and the ledger counts both directions together, so the packets of
    a layer are split between its neighbours by the number of their cores. A neighbour in which the layer causes no
    synaptic operation (the clamped input) gets none.
    """
    above, below = np.append(cores[1:], 0.0) * up.any(axis=0), np.append(0.0, cores[:-1]) * down.any(axis=0)
    reached = np.maximum(above + below, 1.0)
    arriving = np.zeros_like(messages)
    arriving[:, 1:] += (messages * above / reached)[:, :-1]
    arriving[:, :-1] += (messages * below / reached)[:, 1:]
    return arriving


def _energy_j(counts: _Counts, corner: _Corner, latency_s: float) -> dict[str, float]:
    """Joules of one image by where they went; `latency_s` holds the barriers."""
    total, profile = counts.per_image, corner.profile
    active, updates = total(counts.active), total(counts.updates)
    barrier_s = corner.barrier_s * math.fsum(counts.weight)
    return {
        "synapses": sum(total(events) * corner.synapse[kind].energy_j for kind, events in counts.synops_in.items())
        + counts.readout * corner.synapse["dense"].energy_j,
        "neurons": active * profile.neuron_active.energy_j + (updates - active) * corner.silent.energy_j,
        "messages": total(counts.spikes) * profile.spike_out.energy_j
        + total(counts.messages)
        * (profile.message_out.energy_j + profile.message_in.energy_j + profile.within_tile.energy_j)
        + corner.hops * total(counts.hops_ew) * profile.hop_ew.energy_j
        + corner.hops * total(counts.hops_ns) * profile.hop_ns.energy_j,
        "barrier": corner.static_w * barrier_s,
        "static": corner.static_w * (latency_s - barrier_s),
    }


def _latency_s(counts: _Counts, corner: _Corner) -> float:
    """Seconds of one image."""
    profile = corner.profile
    arriving = counts.messages_in * profile.message_in.latency_s
    for kind, events in counts.synops_in.items():
        arriving = arriving + events * corner.synapse[kind].latency_s
    neurons = (
        counts.active * profile.neuron_active.latency_s
        + (counts.updates - counts.active) * corner.silent.latency_s
        + counts.spikes * profile.spike_out.latency_s
        + counts.messages * profile.message_out.latency_s
    )
    # low: a core receives while it updates, and all cores of a layer do the same
    work = np.maximum(arriving, neurons) if corner.overlap else (arriving + neurons) * counts.busiest
    path = counts.messages * profile.within_tile.latency_s + corner.hops * (
        counts.hops_ew * profile.hop_ew.latency_s + counts.hops_ns * profile.hop_ns.latency_s
    )
    # Fewer than one message per image and step: most images wait for none.
    flight = path.sum(axis=1) / np.maximum(counts.messages.sum(axis=1), 1.0)
    if corner.serial:
        flight = np.maximum(flight, (path / counts.cores).max(axis=1))
    steps = np.maximum(profile.floor_s, corner.barrier_s + (work / counts.cores).max(axis=1) + flight)
    # fsum is exact, so that rounding cannot put the low figure above the nominal one.
    return math.fsum(counts.weight * steps) + counts.readout * corner.synapse["dense"].latency_s


def loihi_cost(ledger: Ledger, profile: LoihiProfile) -> Cost:
    """Modelled energy and latency of one image of a ledger on a Loihi chip, by the formulas of this module.

    A network of more than `CORES_PER_CHIP` cores gets as many chips as it needs, for their static power only: no energy
    or latency of a link between chips, and no barrier of a few chips, is published. Raises ValueError for a ledger
    without messages.
    """
    sent = counted(ledger.messages, "messages")
    counts, cores = _counts(sent, ledger.images), sum(sent.cores)
    parts, latencies = [], []
    for corner in _corners(profile, cores):
        latencies.append(_latency_s(counts, corner))
        parts.append(_energy_j(counts, corner, latencies[-1]))
    chips = math.ceil(cores / CORES_PER_CHIP)
    note = f"{sent.coding} coding on {cores} cores"
    if chips > 1:
        note += f", {chips} chips: links and barriers between chips have no published figure and are not included"
    return Cost(
        energy_j=Range(*(sum(part.values()) for part in parts)),
        latency_s=Range(*latencies),
        breakdown_j=parts[1],
        profile=profile.name,
        note=note,
    )


def loihi2_cost(ledger: Ledger) -> Cost:
    """Joules of Loihi 1 (Davies 2018), static power included, over the counts and the latency of Loihi 2."""
    cost = loihi_cost(ledger, LOIHI2)
    return replace(cost, note=f"{LOIHI2_NOTE}; {cost.note}")


def loihi2_latency(ledger: Ledger) -> Range:
    """Seconds of one image on Loihi 2: times of Davies 2018 over the published ratios, steps of at least 200 ns.

    Ratios of the maker: 2 for neuron updates, 5 for synaptic operations, 10 for spikes. Hops keep the time of Loihi 1,
    and the cores are those the ledger was placed on.
    """
    sent = counted(ledger.messages, "messages")
    counts = _counts(sent, ledger.images)
    return Range(*(_latency_s(counts, corner) for corner in _corners(LOIHI2, sum(sent.cores))))
