"""What crossbar tiles would spend on the events of a ledger.

Energy of one image, the events summed over links and directions and divided by the images:

    E = array_j + dac * e_dac(b_dac) + adc * e_adc(b_adc) + holds * e_hold + shift_adds * e_shift_add
        + bits * e_buffer + moved * hops * e_network + updates * e_neuron

Latency of one image, with one slot for every read that has to wait for the one before it on the busiest tile:

    t        = max(reads, sent) + exchanges * t_packet
    reads    = slots * ((1 - share) * read + share * slot)
    sent     = moved of the port of the busiest tile * t_port, or all that is moved over the one bus * t_bus
    slot     = read + convert, or max(read, convert) where the converter integrates
    convert  = ceil(columns / ADCs) * t_adc(b_adc, rows)
    share    = adc / (adc + holds), the share of column reads that are converted rather than held

A transposed read senses the rows: the two change places. The prices are those of a `CrossbarProfile`.

What the three figures mean:

|         | low                           | nominal                          | high                             |
|---------|-------------------------------|----------------------------------|----------------------------------|
| prices  | lowest published              | those of the profile             | highest published                |
| array   | of the ledger                 | of the ledger                    | of the ledger                    |
| moved   | no bit leaves its tile        | every second bit                 | every bit                        |
| slot    | max(read, convert): pipelined | read, then convert               | read, then convert               |
| convert | mean over converted reads     | mean over converted reads        | slowest link                     |
| sent    | takes no time                 | while tiles read                 | once they have read              |

Assumptions. The ledger counts accesses to buffers, not ways between tiles: a value that is stored by one tile and
fetched by another is accessed twice and moved once, which is the nominal figure, over as many routers of the mesh as
lie between the tiles of its link and of the next (`hw.crossbar.mesh`), or over one bus. What is sent waits at the port
of the tile that sends most, and routers are no busier than that; the last packet of every exchange between tiles takes
`t_packet` on a mesh, wherever it goes, and nothing on a bus. All columns of a tile are as
long as the largest tile of its link, and every tile of a link converts at once. Drivers, additions, buffers and neurons
are faster than the next read and take no time. With analog neurons only conversions at the end cost a converter, and
there are no digital updates: give 0 for them. Writing the weights, leakage, wires and getting images onto the chip and
results off it are not included.
"""

from __future__ import annotations

import numpy as np

from hw.cost.cost import Cost, Range
from hw.cost.crossbar_profiles import CrossbarProfile
from hw.events.tiles import TileEvents

_BOUNDS = ("low", "nominal", "high")
_FREE = Range(0.0, 0.0, 0.0)
_JOULE = Range(1.0, 1.0, 1.0)
"""What is counted in joules has its price."""


def _prices(events: TileEvents, profile: CrossbarProfile) -> dict[str, Range]:
    """Joules of one event of each kind."""
    moved = profile.bus_bit_j if events.network == "bus" else profile.network_bit_j
    return {
        "array": _JOULE,
        # A machine without conversions needs no converter: only what was counted has to have a price.
        "dac": profile.dac.price_j(events.dac_bits, "dac_bits", profile.name) if events.dac.any() else _FREE,
        "adc": profile.adc.price_j(events.adc_bits, "adc_bits", profile.name) if events.adc.any() else _FREE,
        "hold": profile.hold_j,
        "shift_add": profile.shift_add_j,
        "buffers": profile.buffer_bit_j,
        "network": Range(0.0, moved.nominal / 2, moved.high),
        "neurons": profile.neuron_j,
    }


def _slot_s(events: TileEvents, profile: CrossbarProfile) -> Range:
    """Seconds of one slot, held and converted reads averaged."""
    read = events.read_s
    converted, held = float(events.adc.sum()), float(events.holds.sum())
    if converted == 0 or events.adc_bits is None:
        return Range(read, read, read)
    share = converted / (converted + held)
    slots, weights = [], []
    for link, (rows, columns) in enumerate(zip(events.rows, events.columns, strict=True)):
        for direction, (driven, sensed) in enumerate(((rows, columns), (columns, rows))):
            if not events.adc[link, direction]:
                continue
            turns = -(-sensed // profile.adcs(sensed))
            one = profile.adc_s(events.adc_bits, driven)
            low, nominal, high = (turns * getattr(one, bound) for bound in _BOUNDS)
            after = 0.0 if profile.integrates else read
            slots.append((max(read, low), max(read, after + nominal), max(read, after + high)))
            weights.append(events.adc[link, direction] / sensed)
    low, nominal, _ = ((1 - share) * read + share * np.average(slots, axis=0, weights=weights)).tolist()
    high = (1 - share) * read + share * max(slot[2] for slot in slots)
    return Range(low, nominal, max(nominal, high))  # rounding may put the mean of equal links above each of them


def _latency_s(events: TileEvents, images: int, profile: CrossbarProfile) -> Range:
    """Seconds of one image."""
    slot, slots, waits = _slot_s(events, profile), events.slots / images, events.exchanges / images
    bus = events.network == "bus"
    bits, bit_s = (float(events.bits.sum()), profile.bus_bit_s) if bus else (events.port_bits, profile.port_bit_s)
    packet = _FREE if bus else profile.packet_s
    sent = bits / images
    return Range(
        slots * slot.low,
        max(slots * slot.nominal, sent / 2 * bit_s.nominal) + waits * packet.nominal,
        slots * slot.high + sent * bit_s.high + waits * packet.high,
    )


def crossbar_cost(events: TileEvents, neuron_updates: float, images: int, profile: CrossbarProfile) -> Cost:
    """Modelled energy and latency of one image on crossbar tiles, by the formulas of this module.

    Args:
        events: of one or more settles, summed over their images.
        neuron_updates: digital neuron updates, summed over the images; 0 for analog neurons.
        images: how many images those were.
        profile: one of `hw.cost.crossbar_profiles.CROSSBAR_PROFILES`.

    Raises:
        ValueError: converters were used that are ideal, or of a resolution for which the profile has no figure.
    """
    if images < 1:
        raise ValueError(f"events of {images} images, expected at least 1")
    counts = {
        "array": events.array_j.sum(),
        "dac": events.dac.sum(),
        "adc": events.adc.sum(),
        "hold": events.holds.sum(),
        "shift_add": events.shift_adds.sum(),
        "buffers": events.bits.sum(),
        "network": events.bit_hops,
        "neurons": neuron_updates,
    }
    prices = _prices(events, profile)
    parts = [
        {kind: float(counts[kind]) / images * getattr(price, bound) for kind, price in prices.items()}
        for bound in _BOUNDS
    ]
    return Cost(
        energy_j=Range(*(sum(part.values()) for part in parts)),
        latency_s=_latency_s(events, images, profile),
        breakdown_j=parts[1],
        profile=profile.name,
        note=profile.note,
    )
