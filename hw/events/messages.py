"""What went over the wires of a machine with steps, counted step by step and layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hw.events.same import check_same

Coding = Literal["dense", "zero_skip", "delta"]
"""What is put on the wire: every state, every state that is not zero, or every state that changed."""

CODINGS: tuple[Coding, ...] = get_args(Coding)

COLUMNS = ("synops_up", "synops_down", "messages", "hops_ew", "hops_ns", "spikes")
"""What is counted per sending layer. One spike (a unit that sends) causes `synops_up` synaptic operations in the link
above it and `synops_down` in the link below it, and travels as `messages` packets, one per destination core, over
`hops_ew` east-west and `hops_ns` north-south tile boundaries of the mesh."""


@dataclass(frozen=True)
class MessageEvents:
    """Messages of one settle and the synaptic operations they cause, summed over its images.

    Shapes: T steps, S sending layers (the input is layer 0), `len(COLUMNS)` columns. Row t of an event array holds the
    messages that step t + 1 consumed (those sent at the end of step t), so T steps of a network that skips nothing cost
    T times its fan-out. An image at rest (see `Settled.steps`) is no longer run and no longer counted.
    """

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
    busiest: tuple[float, ...] = ()
    """(S,) units on the fullest core of a layer over those on a mean one; empty: all cores of a layer are alike."""

    def __post_init__(self) -> None:
        if self.coding not in CODINGS:
            raise ValueError(f"coding {self.coding!r} is none of {CODINGS}")
        shape = (len(self.running), len(self.units), len(COLUMNS))
        for name in CODINGS:
            if self.events(name).shape != shape:
                raise ValueError(f"message events {name!r} have shape {self.events(name).shape}, expected {shape}")

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

    def until(self, steps: int, looks: int = 1) -> MessageEvents:
        """The events of the same settle, had its images been stopped after `steps`.

        The readout was then evaluated `looks` times per image: once at the end, or at every step by who decides by it.
        Raises ValueError for steps that the settle did not have.
        """
        if not 1 <= steps <= self.steps:
            raise ValueError(f"stopped after {steps} steps: the settle had {self.steps}")
        return replace(
            self,
            running=self.running[:steps],
            dense=self.dense[:steps],
            zero_skip=self.zero_skip[:steps],
            delta=self.delta[:steps],
            readout_synops=self.readout_synops * looks,
        )

    def __add__(self, other: MessageEvents) -> MessageEvents:
        """The events of two settles on one machine."""
        check_same(self, other, ("units", "cores", "link_kinds", "coding", "steps", "busiest"))
        return MessageEvents(
            running=self.running + other.running,
            units=self.units,
            cores=self.cores,
            link_kinds=self.link_kinds,
            dense=self.dense + other.dense,
            zero_skip=self.zero_skip + other.zero_skip,
            delta=self.delta + other.delta,
            coding=self.coding,
            readout_synops=self.readout_synops + other.readout_synops,
            busiest=self.busiest,
        )
