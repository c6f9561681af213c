"""What a machine did while it settled, counted while it did it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hw.tile_events import TileEvents

Coding = Literal["dense", "zero_skip", "delta"]
"""What is put on the wire: every state, every state that is not zero, or every state that changed."""

COLUMNS = ("synops_up", "synops_down", "messages", "hops_ew", "hops_ns", "spikes")
"""What is counted per sending layer. One spike (a unit that sends) causes `synops_up` synaptic operations in the link
above it and `synops_down` in the link below it, and travels as `messages` packets, one per destination core, over
`hops_ew` east-west and `hops_ns` north-south tile boundaries of the mesh."""


@dataclass(frozen=True)
class Ledger:
    """Counted events of one settle, summed over its images.

    Shapes: T steps, S sending layers (the input is layer 0), `len(COLUMNS)` columns. Row t of an event array holds the
    messages that step t + 1 consumed (those sent at the end of step t), so T steps of a network that skips nothing cost
    T times its fan-out. An image at rest (see `Settled.steps`) is no longer run and no longer counted.
    """

    images: int
    """Number of images settled."""
    running: NDArray[np.int64]
    """(T,) images that were still running at each step."""
    units: tuple[int, ...]
    """(S,) units per layer."""
    cores: tuple[int, ...]
    """(S,) neuromorphic cores per layer, of the placement the hops were counted on."""
    link_kinds: tuple[str, ...]
    """(S - 1,) "conv" or "dense", the link between layer l and layer l + 1."""
    dense: NDArray[np.float64]
    """(T, S, columns) events if every unit sent its state at every step."""
    zero_skip: NDArray[np.float64]
    """(T, S, columns) events if only states that are not zero were sent."""
    delta: NDArray[np.float64]
    """(T, S, columns) events if only states that changed were sent."""
    coding: Coding
    """Which of the three this machine put on the wire."""
    readout_synops: float
    """Synaptic operations of the readout outside the dynamics, evaluated once per image."""
    macs: int | None = None
    """Multiply-accumulates a clocked processor executed (a cached input drive counts once); None on other machines."""
    tiles: TileEvents | None = None
    """What the tiles of a crossbar machine did; None on other machines."""
    bytes_moved: int | None = None
    """Bytes of operands and results that a clocked processor touched, each once per operation; None elsewhere."""

    def __post_init__(self) -> None:
        if self.coding not in get_args(Coding):
            raise ValueError(f"coding {self.coding!r} is none of {get_args(Coding)}")
        shape = (len(self.running), len(self.units), len(COLUMNS))
        for name in get_args(Coding):
            if self.events(name).shape != shape:
                raise ValueError(f"ledger events {name!r} have shape {self.events(name).shape}, expected {shape}")

    @property
    def steps(self) -> int:
        """Step limit T."""
        return len(self.running)

    def events(self, coding: Coding) -> NDArray[np.float64]:
        """(T, S, columns) events under one coding."""
        events: NDArray[np.float64] = getattr(self, coding)
        return events

    def column(self, coding: Coding, name: str) -> NDArray[np.float64]:
        """(T, S) one column of `COLUMNS` under one coding."""
        return self.events(coding)[:, :, COLUMNS.index(name)]

    def synops_by_step(self, coding: Coding) -> NDArray[np.float64]:
        """(T,) synaptic operations of all links, up and down, summed over images."""
        return (self.column(coding, "synops_up") + self.column(coding, "synops_down")).sum(axis=1)

    def synops(self, coding: Coding) -> float:
        """Synaptic operations of the whole settle, without the readout, summed over images."""
        return float(self.synops_by_step(coding).sum())

    def neuron_updates_by_step(self) -> NDArray[np.int64]:
        """(T, S) neuron updates; the input layer is clamped and updates nothing."""
        computed = np.array((0, *self.units[1:]), dtype=np.int64)
        return self.running[:, None] * computed[None, :]


def merge(ledgers: list[Ledger]) -> Ledger:
    """The ledger of several settles on one machine, as if they had been one."""
    if not ledgers:
        raise ValueError("no ledger to merge")
    first = ledgers[0]
    for other in ledgers[1:]:
        same = ("units", "cores", "link_kinds", "coding", "steps")
        differing = [name for name in same if getattr(other, name) != getattr(first, name)]
        if differing:
            raise ValueError(f"ledgers of different machines: {', '.join(differing)} differ")

    tiles = [ledger.tiles for ledger in ledgers if ledger.tiles is not None]

    def total(name: str) -> int | None:
        values = [getattr(ledger, name) for ledger in ledgers]
        return None if None in values else sum(values)

    return Ledger(
        images=sum(ledger.images for ledger in ledgers),
        running=np.sum([ledger.running for ledger in ledgers], axis=0),
        units=first.units,
        cores=first.cores,
        link_kinds=first.link_kinds,
        dense=np.sum([ledger.dense for ledger in ledgers], axis=0),
        zero_skip=np.sum([ledger.zero_skip for ledger in ledgers], axis=0),
        delta=np.sum([ledger.delta for ledger in ledgers], axis=0),
        coding=first.coding,
        readout_synops=sum(ledger.readout_synops for ledger in ledgers),
        macs=total("macs"),
        tiles=reduce(add, tiles) if tiles else None,
        bytes_moved=total("bytes_moved"),
    )
