"""Remedies: what a chip can do about its own devices, without writing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw.crossbar.link import CrossbarLink
from hw.crossbar.tiles.design import Design
from hw.digital.dynamics import Dynamics
from hw.digital.machine import Digital

OFFSET_READS = 16
"""Reads that an offset is the mean of."""


@dataclass(frozen=True)
class Remedies:
    """What `Crossbar.prepare` does once a die has aged, in the order of the fields."""

    drift_compensation: bool = True
    """Scale the results of every link so that it computes what it did when it was written; with analog neurons in the
    amplifiers that take its currents."""
    column_gains: bool = False
    """Give every column of a link a gain of its own."""
    adc_calibration: bool = True
    """Set converter ranges by what calibration images cause on this die; else they hold the worst case."""
    offset_correction: bool = False
    """Shift every digital bias by what calibration images miss at it on this die, on average."""

    def __post_init__(self) -> None:
        if self.column_gains and not self.drift_compensation:
            raise ValueError("column_gains is True, but drift_compensation is False: there are no gains without it")

    def check(self, design: Design, reference: Digital | None) -> None:
        """Refuse what no die of this design can do; ValueError names it."""
        if self.offset_correction:
            check_drives(design)
            if reference is None:
                raise ValueError(
                    "offset_correction needs a reference, the same circuit on a digital machine: it is None"
                )


def check_drives(design: Design) -> None:
    """Refuse neurons whose drives are not converted."""
    if design.neurons == "analog":
        raise ValueError("neurons 'analog' convert no drive: their offsets cannot be seen")


def missing_drives(
    links: Sequence[CrossbarLink],
    own: Dynamics,
    reference: Digital,
    images: NDArray[np.floating],
    codes: NDArray[np.generic],
    slow: np.random.Generator,
) -> list[Tensor]:
    """Of every layer and of the scores, what the biases of channels lack for the drives of a die to be right.

    Mean over `OFFSET_READS` reads, images and positions of (drive of the reference - drive read), both of the states
    that the reference settles to; `own` are the dynamics of the die, `codes` the images as it takes them.
    """
    theirs, rest = reference.dynamics, reference.settle(images).states
    states = [torch.as_tensor(part, device=own.device).to(own.arithmetic.dtype) for part in (codes, *rest)]
    there = [state.to(theirs.device) for state in states]
    found = [*theirs.drives(there, theirs.input_drive(there[0])), theirs.scores(there[-1])]
    targets = [target.to(own.device) for target in found]
    missing = [torch.zeros_like(bias, dtype=torch.float64) for bias in (*own.biases, own.readout_bias)]
    for _ in range(OFFSET_READS):
        for link in links:
            link.matrix.begin(slow)
        drives = [*own.drives(states, own.input_drive(states[0])), own.scores(states[-1])]
        for total, read, target in zip(missing, drives, targets, strict=True):
            # the bias of a convolution is one for all positions
            over = (0, *range(2, read.ndim)) if total.ndim == 3 and total.shape[1:] == (1, 1) else (0,)
            total += (target.double() - read.double()).mean(dim=over).view(total.shape) / OFFSET_READS
    return missing
