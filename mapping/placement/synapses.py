"""Synapses of units and links, as they are stored: under pooling, one for every weight of every place in the window."""

from __future__ import annotations

from collections.abc import Sequence

from mapping.placement.reach import fan_in, fan_out
from models.ep.links import Link


def synapses_per_unit(links: Sequence[Link]) -> int:
    """The most synapses of any unit, from the link below it and the link above it together."""
    both = [fan_in(link) for link in links]
    for layer, link in enumerate(links[1:]):
        both[layer] = both[layer] + fan_out(link)
    return int(max(counts.max() for counts in both))


def synapses_of(link: Link) -> int:
    """Synapses of a link in one direction."""
    return int(fan_in(link).sum())
