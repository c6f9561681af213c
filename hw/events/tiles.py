"""What the tiles of a crossbar machine did, counted while they did it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from hw.events.same import check_same

Array = NDArray[np.float64]

DIRECTIONS = ("up", "down")


@dataclass(frozen=True)
class ProgrammingEvents:
    """What writing took: a die once, or changes to it."""

    devices: int
    """Devices written, as often as they were."""
    pulses: float | None
    """Write pulses, all devices together; None where the source has no figure."""
    verify_reads: float | None
    """Reads between the pulses."""
    energy_j: float | None
    """Joules of the write pulses, V**2 (G_before + G_after) / 2 t; None where no voltage or width is published."""
    given_up: int = 0
    """Devices that were pulsed as often as was allowed and never read within the tolerance of their target."""

    def __add__(self, other: ProgrammingEvents) -> ProgrammingEvents:
        """What it took to write two dies; a figure that one of them lacks is None."""

        def total(name: str) -> float | None:
            ours, theirs = getattr(self, name), getattr(other, name)
            return None if ours is None or theirs is None else ours + theirs

        return ProgrammingEvents(
            self.devices + other.devices,
            total("pulses"),
            total("verify_reads"),
            total("energy_j"),
            self.given_up + other.given_up,
        )


NO_WRITES = ProgrammingEvents(0, 0.0, 0.0, 0.0)
"""Nothing was written."""


@dataclass(frozen=True)
class TileEvents:
    """Events of one settle by link and direction, summed over its images. Arrays are (K links, 2), up then down.

    The links are those of the network from the bottom, and the readout as the last one if there is one. One *read* is
    one tile integrating one voltage per row (or column, on the way down) for `read_s`: a product with a bit-serial
    input takes as many reads as there are input slices, a link on several tiles as many as there are tiles. A column is
    what is converted at once: the two columns of a differential pair count as one.
    """

    links: tuple[str, ...]
    """(K,) names: link1, link2, ..., readout."""
    tiles: tuple[int, ...]
    """(K,) tiles that hold each link."""
    rows: tuple[int, ...]
    """(K,) rows of the largest tile of each link."""
    columns: tuple[int, ...]
    """(K,) columns of the largest tile of each link."""
    dac_bits: int | None
    """Resolution of a row driver; None is an ideal one."""
    adc_bits: int | None
    """Resolution of a column converter; None is an ideal one."""
    read_s: float
    """Seconds of one read."""
    reads: Array
    """Reads of one tile."""
    dac: Array
    """Row voltages set, one per row in use and read."""
    adc: Array
    """Conversions, one per column in use and read."""
    clipped: Array
    """Conversions that ended at an end of the converter's range."""
    array_j: Array
    """Joules dissipated in the tiles: sum of V**2 G t over every device and read.

    G is the linear part of the conductance, and what the wires leave of it. Behind perfect wires that is all. Else
    currents from one driver to another through the wires they share are left out: up to 5 % of all at a load of 0.05
    (`hw.crossbar.tiles.wires.kappa`), a quarter at 0.4 and two thirds at 2, most where few lines are driven, or pairs
    against each other.
    """
    holds: Array
    """Analog values sampled and held: one per column and read where the neurons are analog."""
    shift_adds: Array
    """Digital additions of partial sums and bit slices."""
    bits: Array
    """Bits of operands fetched and of results put away in buffers."""
    written: ProgrammingEvents
    """What was written since the last ledger: the whole die in the first one, later what was learnt."""
    slots: float
    """Reads one after the other on the busiest tile of every step, summed over steps and images: what takes time."""
    port_bits: float
    """Of `bits`, those of the busiest tile of every step, summed over steps and images: what its port to others takes
    time for, were all of them moved."""
    exchanges: float
    """Times that tiles wait for what others made, one after the other, summed over images: images, steps, answers."""
    hops: tuple[tuple[float, float], ...] = ()
    """(K, 2) routers, or buses, that a bit passes which a link makes, up and down; empty: one each."""
    network: str = "mesh"
    """What joins the tiles: "mesh" or "bus"."""
    buffer_bytes: tuple[int, ...] = ()
    """(K,) of states that each tile of a link keeps; empty behind ideal converters, whose numbers no buffer holds."""

    @property
    def bit_hops(self) -> float:
        """Bits of buffers times the way of each, were it moved."""
        return float((self.bits * np.asarray(self.hops)).sum() if self.hops else self.bits.sum())

    def __add__(self, other: TileEvents) -> TileEvents:
        """The events of two settles on one machine."""
        same = (
            "links",
            "tiles",
            "rows",
            "columns",
            "dac_bits",
            "adc_bits",
            "read_s",
            "hops",
            "network",
            "buffer_bytes",
        )
        check_same(self, other, same)
        summed = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name not in same
        }
        return replace(self, **summed)
