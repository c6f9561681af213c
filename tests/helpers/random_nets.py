"""Random networks, programs and images for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from mapping.program import Program, ProgramError, ProgramLink
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork


@st.composite
def networks(
    draw: st.DrawFn, *, pooling: Sequence[str] = ("none", "average"), layers: int = 3, largest: int = 7
) -> EPNetwork:
    """Chains of conv and dense links over non-square maps and kernels, with a readout or squared-error output."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20), label="seed"))
    below: tuple[int, ...] = (
        draw(st.integers(1, 2), label="input channels"),
        *(draw(st.integers(3, largest), label="input size") for _ in range(2)),
    )
    links: list[Link] = []
    for _ in range(draw(st.integers(1, layers), label="layers")):
        link = _conv(draw, below, pooling, generator) if len(below) == 3 and draw(st.integers(0, 3)) else None
        links.append(link or _dense(draw(st.integers(2, 7), label="units"), below, generator))
        below = links[-1].above
    classes = draw(st.integers(2, 4), label="classes")
    if draw(st.booleans(), label="readout"):
        return EPNetwork(tuple(links), _dense(classes, below, generator))
    return EPNetwork((*links, _dense(classes, below, generator)))


def _conv(
    draw: st.DrawFn, below: tuple[int, ...], pooling: Sequence[str], generator: torch.Generator
) -> ConvLink | None:
    padding = draw(st.integers(0, 2), label="padding")
    kernel = [draw(st.integers(1, min(3, size + 2 * padding)), label="kernel") for size in below[1:]]
    channels = draw(st.integers(1, 4), label="channels")
    weight, bias = _drawn((channels, below[0], *kernel), generator)
    stride, kind = draw(st.integers(1, 2), label="stride"), draw(st.sampled_from(pooling), label="pooling")
    pool_size = 1 if kind == "none" else draw(st.integers(2, 3), label="pool size")
    try:
        return ConvLink(weight, bias, below, stride, padding, kind, pool_size)  # type: ignore[arg-type]
    except ValueError:  # nothing left above
        return None


def _dense(units: int, below: tuple[int, ...], generator: torch.Generator) -> DenseLink:
    return DenseLink(*_drawn((units, int(np.prod(below))), generator), below)


def _drawn(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    fan_in = int(np.prod(shape[1:]))
    weight = (2 * torch.rand(shape, generator=generator) - 1) * 0.7 * (3 / fan_in) ** 0.5
    return weight, torch.rand(shape[0], generator=generator) * 0.5 - 0.1


def program_of(network: EPNetwork, *, state_bits: int, seed: int) -> Program:
    """A program near that network, every link with an exponent of its own: not the ones `quantize` would choose."""
    rng = np.random.default_rng(seed)
    exponents = rng.integers(6, 10, len(network.links) + 1).tolist()
    while True:
        points = [max(pair) for pair in zip(exponents, [*exponents[1:-1], exponents[-2]], strict=False)]
        links = tuple(
            _integers(link, exponent, point, state_bits, half=2 ** (point - 1))
            for link, exponent, point in zip(network.links, exponents, points, strict=False)
        )
        readout = network.readout
        try:
            top = None if readout is None else _integers(readout, exponents[-1], exponents[-1], state_bits, half=0)
            return Program(links, top, state_bits)
        except ProgramError:  # an accumulator could overflow
            exponents = [exponent - 1 for exponent in exponents]


def _integers(link: Link, exponent: int, point: int, state_bits: int, half: int) -> ProgramLink:
    window = getattr(link, "pool_size", 1) ** 2
    weight = np.clip(np.rint(link.weight.double().numpy() / window * 2.0**exponent), -127, 127).astype(np.int8)
    bias = np.rint(link.bias.double().numpy() * (2**state_bits - 1) * 2.0**point).astype(np.int32) + np.int32(half)
    if isinstance(link, DenseLink):
        return ProgramLink("dense", link.below, weight, exponent, bias)
    return ProgramLink(
        "conv", link.below, weight, exponent, bias, link.stride, link.padding, link.pooling, link.pool_size
    )


def random_images(shape: tuple[int, ...], count: int, seed: int) -> NDArray[Any]:
    """(count, *shape) in [0, 1], a third of the pixels black and some white."""
    images = np.random.default_rng(seed).uniform(-0.5, 1.1, (count, *shape))
    return np.clip(images, 0, 1).astype(np.float32)


def mixed_network() -> EPNetwork:
    """One network with everything that maps to integers: strides, paddings, a pool with a remainder, a dense link."""
    generator = torch.Generator().manual_seed(8)
    first = ConvLink(*_drawn((3, 2, 3, 2), generator), (2, 7, 6), stride=2, padding=1)
    pooled = ConvLink(*_drawn((4, 3, 2, 2), generator), first.above, 1, 1, "average", 2)
    dense = _dense(6, pooled.above, generator)
    return EPNetwork((first, pooled, dense), _dense(3, (6,), generator))


def restless_winners() -> EPNetwork:
    """The layer above a max pool is saturated from the first step on, while the winners below still change."""
    generator = torch.Generator().manual_seed(1)
    first = ConvLink(*_drawn((3, 1, 3, 3), generator), (1, 6, 6), padding=1)
    weight, bias = _drawn((4, 3, 3, 3), generator)
    pooled = ConvLink(2 * weight, bias + 5, first.above, 1, 1, "max", 2)
    return EPNetwork((first, pooled), _dense(3, pooled.above, generator))
