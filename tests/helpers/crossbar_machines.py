"""Networks and tiles that the tests of the crossbar machine share, and what its answers are held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st

from helpers.crossbar_examples import EXACT, IDEAL
from helpers.naive_reads import vectors_down, windows
from hw.crossbar.devices.presets import preset
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork

PCM = preset("pcm-nandakumar-2019")
LEAKY = replace(IDEAL, g_min_s=1e-6)
"""Perfect, but no device can be switched off."""
POOLINGS = ("none", "average", "max")


@st.composite
def tiles(draw, **fixed):
    """Ideal converters on tiles that cut most links."""
    rows, columns = draw(st.integers(6, 40), label="rows"), draw(st.integers(6, 20), label="columns")
    return replace(
        EXACT, rows=rows, columns=columns, encoding=draw(st.sampled_from(["pair", "offset"]), label="encoding"), **fixed
    )


def dense_network(seed=0, classes=3):
    """Dense links with squared-error output."""
    generator = torch.Generator().manual_seed(seed)

    def link(above, below):
        units = int(np.prod(below))
        weight = (2 * torch.rand((above, units), generator=generator) - 1) * 1.5 / units**0.5
        return DenseLink(weight, torch.rand(above, generator=generator) * 0.4, below)

    return EPNetwork((link(12, (1, 4, 4)), link(9, (12,)), link(classes, (9,))))


def pooled_network(pooling="max", seed=4):
    """A conv link, a pooled conv link with a remainder and a readout."""
    generator = torch.Generator().manual_seed(seed)
    first = ConvLink(torch.rand((3, 1, 3, 2), generator=generator) - 0.4, torch.full((3,), 0.1), (1, 5, 6), padding=1)
    weight = (0.2 if pooling == "max" else 0.6) * (torch.rand((4, 3, 2, 3), generator=generator) - 0.45)
    second = ConvLink(weight, torch.full((4,), 0.2), first.above, 1, 1, pooling, 2)
    units = int(np.prod(second.above))
    return EPNetwork(
        (first, second), DenseLink(torch.rand((3, units), generator=generator) - 0.5, torch.zeros(3), second.above)
    )


def assert_close(ours, theirs, atol=1e-5):
    for mine, other in zip((*ours.states, *ours.trace), (*theirs.states, *theirs.trace), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, atol=atol)
    for name in ("logits", "logits_by_step", "residual"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=atol, err_msg=name)
    np.testing.assert_array_equal(ours.steps, theirs.steps)


def assert_same(ours, theirs):
    for mine, other in zip((*ours.states, *ours.trace), (*theirs.states, *theirs.trace), strict=True):
        np.testing.assert_array_equal(mine, other)
    for name in ("logits", "logits_by_step", "residual", "steps"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def products(machine, settled, images):
    """(link, direction, vectors, images that wanted it) of every product of a settle, from its trace.

    Step t reads the states of step t - 1; the image is driven once, the readout reads the last states.
    """
    circuit, count = machine.circuit, len(images)
    layers = [np.repeat(images[None].astype(float), len(settled.trace[0]) + 1, axis=0)]
    layers += [np.concatenate([np.zeros((1, *layer.shape[1:])), layer]).astype(float) for layer in settled.trace]
    everyone = np.ones(count, bool)
    yield 0, "up", windows(circuit.wires[0], layers[0][0]), everyone
    for step in range(int(settled.steps.max())):
        for index, wire in enumerate(circuit.wires[1:], start=1):
            below, above = layers[index][step], layers[index + 1][step]
            yield index, "up", windows(wire, below), step < settled.steps
            yield index, "down", vectors_down(wire, above, below), step < settled.steps
    if circuit.readout is not None:
        yield len(circuit.wires), "up", windows(circuit.readout, layers[-1][-1]), everyone
