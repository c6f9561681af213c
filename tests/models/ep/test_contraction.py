"""Contraction: the bound against matrices written out, and against what settling does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.ep_examples import conv_network, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ep.contraction import contraction, spectral_norm
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import Conv, Span, build_network
from models.ep.relaxation import relax


def matrix_of(link: Link) -> np.ndarray:
    """The map of a link, column by column."""
    below = torch.Size(link.below)
    unit = torch.eye(below.numel(), dtype=link.weight.dtype).view(-1, *below)
    return link.up(unit)[0].flatten(1).T.double().numpy()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31), kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 2),
    average=st.booleans(),
)  # fmt: skip
def test_the_norm_of_a_link_is_that_of_its_matrix(
    seed: int, kernel: int, stride: int, padding: int, average: bool
) -> None:
    weight = torch.randn((3, 2, kernel, kernel), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pooled = ("average", 2) if average and (7 + 2 * padding - kernel) // stride >= 1 else ("none", 1)
    link = ConvLink(weight, torch.ones(3, dtype=torch.float64), (2, 7, 7), stride, padding, *pooled)
    assert spectral_norm(link) == pytest.approx(np.linalg.norm(matrix_of(link), 2), rel=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (4, 1)])
def test_the_norm_of_a_dense_link(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    link = DenseLink(weight, torch.zeros(shape[0]), (shape[1],))
    assert spectral_norm(link) == pytest.approx(float(torch.linalg.matrix_norm(weight.double(), 2)), rel=1e-6)


def test_the_bound_is_no_smaller_than_the_norm_of_the_whole_loop_and_exact_for_two_layers() -> None:
    network = conv_network(0, gain=0.5)
    blocks = [matrix_of(link) for link in network.links[1:]]
    sizes = [torch.Size(shape).numel() for shape in network.layers]
    ends = np.cumsum([0, *sizes])
    loop = np.zeros((ends[-1], ends[-1]))
    for block, (start, middle), (_, end) in zip(blocks, pairwise(ends[:-1]), pairwise(ends[1:]), strict=True):
        loop[middle:end, start:middle], loop[start:middle, middle:end] = block, block.T
    bound, whole = contraction(network), np.linalg.norm(loop, 2)
    assert bound is not None
    assert whole <= bound * (1 + 1e-9)
    assert bound == pytest.approx(np.hypot(*[np.linalg.norm(block, 2) for block in blocks]))
    two = conv_network(0, gain=0.5, dense=False)
    assert contraction(two) == pytest.approx(np.linalg.norm(matrix_of(two.links[1]), 2))


@pytest.mark.parametrize("gain", [0.1, 0.25])
def test_states_come_together_at_least_that_fast(gain: float) -> None:
    network, images = conv_network(3, gain=gain), random_images(2)
    q = contraction(network)
    assert q is not None
    assert q < 1
    generator = torch.Generator().manual_seed(1)
    starts = [
        tuple(torch.rand((2, *shape), generator=generator, dtype=torch.float64) for shape in network.layers)
        for _ in range(2)
    ]
    apart = distance(*starts)
    for steps in (1, 2, 5):
        ends = [relax(network, images, steps=steps, schedule="synchronous", start=start).states for start in starts]
        assert distance(*ends) <= apart * q**steps * (1 + 1e-9)
    # a sweep replaces odd layers by what even ones say: what counts is how far apart the even ones were
    apart = (starts[0][1] - starts[1][1]).norm().item()
    ends = [relax(network, images, steps=3, schedule="odd_even", start=start).states for start in starts]
    assert (ends[0][1] - ends[1][1]).norm().item() <= apart * q**6 * (1 + 1e-9)


def test_skips_count_and_a_maximum_has_no_bound() -> None:
    layers = (Conv(3, gain=0.2),) * 4
    draw = {"input_shape": (1, 5, 5), "layers": layers, "classes": 2}
    plain = build_network(**draw, generator=torch.Generator().manual_seed(0))
    skipping = build_network(**draw, generator=torch.Generator().manual_seed(0), spans=(Span(1, 4),))
    a2, a3, a4 = (spectral_norm(link) for link in plain.links[1:])
    a14 = spectral_norm(skipping.skips[0].link)
    chain = np.diag([a2, a3, a4], 1)
    assert contraction(plain) == pytest.approx(np.linalg.norm(chain + chain.T, 2))
    chain[0, 3] = a14
    assert contraction(skipping) == pytest.approx(np.linalg.norm(chain + chain.T, 2))
    maxima = build_network((1, 8, 8), (Conv(2), Conv(2, pooling="max", pool_size=2)), 2, torch.Generator())
    assert contraction(maxima) is None


def distance(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> float:
    return sum((one - other).square().sum() for one, other in zip(a, b, strict=True)) ** 0.5
