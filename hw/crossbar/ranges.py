"""Ranges of the converters of a program, whose integers a converter can match."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hw.circuit import FixedNeuron, FloatNeuron
from hw.crossbar.link import CrossbarLink
from hw.crossbar.tiles.design import Design


def integer_ranges(links: Mapping[str, CrossbarLink], neuron: FloatNeuron | FixedNeuron, design: Design) -> None:
    """Give every converter of a program the step of one integer, so that nothing is rounded.

    Raises ValueError for a circuit of floats, for DACs that round its states, and where a converter has too few bits
    for the integers it may meet.
    """
    if isinstance(neuron, FloatNeuron) or design.input_bits is None:
        raise ValueError("only a program read through DACs has integers that a converter could match")
    if (2**design.input_bits - 1) % neuron.one:
        raise ValueError(f"input_bits is {design.input_bits}: states of {neuron.state_bits} bits would be rounded")
    step = 1 / (2 ** (design.slice_bits or design.input_bits) - 1)
    for name, link in links.items():
        bits = link.matrix.design.adc_bits
        if bits is None:
            continue
        for tile in link.matrix.tiles:
            needed = int(np.ceil(np.log2(max(tile.worst_up, tile.worst_down) / step + 1))) + 1
            if bits < needed:
                raise ValueError(f"adc_bits is {bits}: the integers of {name} need {needed}")
            tile.set_ranges(*[step * (2 ** (bits - 1) - 1)] * 2)
