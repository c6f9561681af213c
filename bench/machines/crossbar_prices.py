"""What tiles did, as a row tells it, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.machines.backend import Prices
from hw.cost.constants.own import OwnProfile
from hw.cost.crossbar import crossbar_cost
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES, crossbar_profiles
from hw.crossbar.machine import Crossbar
from hw.learning.rule import Learned
from hw.ledger import Ledger, counted

LEARNING_PROFILE = "hermes-14nm"
"""Cost profile of what reads cost while learning."""


def tile_counts(ledger: Ledger) -> dict[str, Any]:
    """Events per image, by link and direction, and the share of conversions that left the range; what was written, on
    all dies together."""
    tiles = counted(ledger.tiles, "tiles")
    per_image = {
        name: (getattr(tiles, name) / ledger.images).tolist()
        for name in ("reads", "dac", "adc", "holds", "shift_adds", "bits", "array_j")
    }
    clipped = np.divide(tiles.clipped, tiles.adc, out=np.zeros_like(tiles.adc), where=tiles.adc > 0)
    return {
        "links": list(tiles.links),
        "tiles": list(tiles.tiles),
        "rows": list(tiles.rows),
        "columns": list(tiles.columns),
        "hops": [list(way) for way in tiles.hops],
        "network": tiles.network,
        "buffer_bytes": list(tiles.buffer_bytes),
        "clipped": clipped.tolist(),
        "slots": tiles.slots / ledger.images,
        "port_bits": tiles.port_bits / ledger.images,
        "exchanges": tiles.exchanges / ledger.images,
        "written": asdict(tiles.written),
        **per_image,
    }


def crossbar_prices(ledger: Ledger, neurons: str, own: Sequence[OwnProfile] = ()) -> Prices:
    """Costs by the profiles that have prices for these converters, and why the others have none."""
    tiles, messages = counted(ledger.tiles, "tiles"), counted(ledger.messages, "messages")
    updates = 0.0 if neurons == "analog" else float(messages.neuron_updates_by_step().sum())
    costs, unpriced = {}, {}
    for name, profile in crossbar_profiles(own).items():
        try:
            costs[name] = crossbar_cost(tiles, updates, ledger.images, profile)
        except ValueError as error:
            unpriced[name] = str(error)
    return Prices(costs, unpriced)


def effort(machine: Crossbar, done: list[Learned]) -> dict[str, Any]:
    """What every epoch took on the devices: writes, reads between them, joules; None where nothing is published."""
    writes = machine.writes()
    tiles = [counted(one.ledger.tiles, "tiles") for one in done]
    return {
        "written": [asdict(events.written) for events in tiles],
        "energy_j": [_read_energy(one) for one in done],
        "writes_per_device": {"mean": float(writes.mean()), "max": int(writes.max())},
    }


def _read_energy(learned: Learned) -> dict[str, Any] | None:
    """Modelled joules of one epoch without its writes; None where the profile has no price for these converters."""
    ledger = learned.ledger
    tiles = counted(ledger.tiles, "tiles")
    updates = float(counted(ledger.messages, "messages").neuron_updates_by_step().sum())
    try:
        cost = crossbar_cost(tiles, updates, ledger.images, CROSSBAR_PROFILES[LEARNING_PROFILE])
    except ValueError:
        return None
    return {name: ledger.images * getattr(cost.energy_j, name) for name in ("low", "nominal", "high")}
