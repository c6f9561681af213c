"""Links on tiles: both directions against matrices built by loops, and which reads share their noise."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, noisy_reads
from helpers.naive import NaiveLink
from helpers.naive_reads import heat, vectors_down, windows
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hw.circuit import Wire
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.link import CrossbarLink
from hw.crossbar.tiles.design import Design

LEAKY = replace(IDEAL, g_min_s=1e-6)
"""Perfect, but no device can be switched off."""


@st.composite
def wires(draw, pooling=("none", "sum", "max")):
    """Dense or conv, non-square, any stride and padding, pools with a remainder."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20), label="seed"))
    if draw(st.integers(0, 4), label="conv") == 0:
        below = draw(st.sampled_from([(5,), (1,), (2, 3, 2), (9,)]), label="below")
        above = draw(st.integers(1, 7), label="above")
        return Wire("dense", rng.uniform(-1, 1, (above, int(np.prod(below)))), below, (above,))
    below = tuple(draw(st.integers(1, most), label="below") for most in (3, 7, 7))
    padding, stride = draw(st.integers(0, 2), label="padding"), draw(st.integers(1, 6), label="stride")
    kernel = [draw(st.integers(1, min(3, size + 2 * padding)), label="kernel") for size in below[1:]]
    summed = [(size + 2 * padding - edge) // stride + 1 for size, edge in zip(below[1:], kernel, strict=True)]
    kind = draw(st.sampled_from(pooling), label="pooling") if min(summed) > 1 else "none"
    size = 1 if kind == "none" else draw(st.integers(2, min(3, *summed)), label="pool size")
    channels = draw(st.integers(1, 4), label="channels")
    weight = rng.uniform(-1, 1, (channels, below[0], *kernel))
    above = (channels, *(length // size for length in summed))
    return Wire("conv", weight, below, above, stride, padding, kind, size)


@st.composite
def designs(draw, *, linear=False):
    """Tiles that may be smaller than a kernel, with ideal converters; `linear`: nor do drivers round."""
    bits = None if linear else draw(st.sampled_from([None, 1, 5, 8]), label="input bits")
    return Design(
        rows=draw(st.integers(2, 12), label="rows"),
        columns=draw(st.integers(2, 12), label="columns"),
        encoding=draw(st.sampled_from(["pair", "offset"]), label="encoding"),
        weight_bits=draw(st.sampled_from([None, 2, 5, 8]), label="weight bits"),
        cell_bits=draw(st.integers(1, 4), label="cell bits"),
        input_bits=bits,
        slice_bits=None if bits is None else draw(st.none() | st.integers(1, bits), label="slice bits"),
        adc_bits=None,
    )


def link_of(wire, design, device=LEAKY, *, one=1, noise_seed=(2,)):
    return CrossbarLink(wire, one, Fabrication(device, design, seed=(1,), noise_seed=noise_seed), dtype=torch.float64)


def held(wire, design):
    """The weights that slices of cells can hold."""
    if design.weight_bits is None:
        return wire.weight
    unit = np.abs(wire.weight).max() / (2 ** (design.weight_bits - 1) - 1)
    return np.rint(wire.weight / unit) * unit


def driven(x, design):
    return x if design.input_bits is None else np.rint(x * (2**design.input_bits - 1)) / (2**design.input_bits - 1)


def states(shape, one, seed, count=2):
    """Codes 0..one, (count, *shape), some of them zero."""
    x = np.clip(np.random.default_rng(seed).uniform(-0.3, 1, (count, *shape)), 0, 1)
    return x if one == 1 else np.rint(x * one)


def flat(x):
    return np.asarray(x).reshape(len(x), -1)


@given(wire=wires(), design=designs(), one=st.sampled_from([1, 255]), seed=st.integers(0, 99))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_both_directions_are_matrices_built_by_loops(wire, design, one, seed):
    """Whatever is cut, sliced, encoded, strided, padded and pooled."""
    link, naive = link_of(wire, design, one=one), NaiveLink(wire, held(wire, design))
    below, above = states(wire.below, one, seed), states(wire.above, one, seed + 1)
    sums, switch = link.up(torch.as_tensor(below))
    assert tuple(sums.shape[1:]) == wire.above
    seen = flat(driven(below / one, design)) * one
    np.testing.assert_allclose(flat(sums.numpy()), naive.up(seen), atol=1e-9 * one)
    back = link.down(torch.as_tensor(above), switch)
    assert tuple(back.shape[1:]) == wire.below
    spread = driven(above / one, design) * one
    if wire.pooling == "max":
        expected = unpooled(wire, naive.sums, seen, spread, switch.numpy(), 1e-9 * one)
    else:
        expected = flat(spread) @ naive.matrix
    np.testing.assert_allclose(flat(back.numpy()), expected, atol=1e-9 * one)
    assert [name for name, _ in link.log] == ["up", "down"]


def unpooled(wire, matrix, below, above, switch, atol):
    """States above on the winners that the switch names, sent down; each must be a largest sum of its own window."""
    rows, columns = (
        (n + 2 * wire.padding - k) // wire.stride + 1
        for n, k in zip(wire.below[1:], wire.weight.shape[2:], strict=True)
    )
    sums = (below @ matrix.T).reshape(len(below), -1, rows, columns)
    size, width = wire.pool_size, columns // wire.pool_size * wire.pool_size
    spread = np.zeros_like(sums)
    for image, unit, i, j in product(*map(range, above.shape)):
        row, column = divmod(int(switch[image, unit, i, j]), width)
        assert (row // size, column // size) == (i, j)
        window = sums[image, unit, i * size : (i + 1) * size, j * size : (j + 1) * size]
        assert sums[image, unit, row, column] >= window.max() - atol
        spread[image, unit, row, column] = above[image, unit, i, j]
    return flat(spread) @ matrix


@given(wire=wires(pooling=("none", "sum")), design=designs(linear=True), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_down_is_the_exact_transpose_of_up(wire, design, seed):
    """<up(x), y> = <x, down(y)> for states of both signs."""
    link, rng = link_of(wire, design), np.random.default_rng(seed)
    x, y = (torch.as_tensor(rng.uniform(-1, 1, (1, *shape))) for shape in (wire.below, wire.above))
    up, down = link.up(x)[0], link.down(y)
    size = np.linalg.norm(up) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(down)
    assert float((up * y).sum()) == pytest.approx(float((x * down).sum()), abs=1e-12 * size)


@given(wire=wires(), design=designs(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_heat_is_that_of_every_device_at_every_position(wire, design, seed):
    assume(wire.pooling != "max" or design.weight_bits is None)  # coarse weights tie
    device = replace(LEAKY, read_v=0.3, read_s=1e-7)
    link = link_of(wire, design, device)
    below, above = states(wire.below, 1, seed), states(wire.above, 1, seed + 1)
    below = below + 1e-3 * (below == 0) if wire.pooling == "max" else below  # winners without ties
    _, switch = link.up(torch.as_tensor(below))
    link.down(torch.as_tensor(above), switch)
    (_, up), (_, down) = link.log
    np.testing.assert_allclose(up.array_j.numpy(), heat(link, windows(wire, below), "up"), rtol=1e-9)
    sent = vectors_down(wire, above, driven(below, design))
    np.testing.assert_allclose(down.array_j.numpy(), heat(link, sent, "down"), rtol=1e-9)


# which reads share their noise


def pointwise(pooling, size):
    return Wire("conv", np.array([[[[0.6]]], [[[-0.4]]]]), (1, 4, 4), (2, 4 // size, 4 // size), 1, 0, pooling, size)


def noise_down(pooling, size):
    """(B, 4, 4) of a pointwise convolution, every position in the same state."""
    wire = pointwise(pooling, size)
    link = link_of(wire, EXACT, noisy_reads())
    above = torch.full((5000, *wire.above), 0.5, dtype=torch.float64)
    switch = link.up(torch.rand(5000, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[1]
    return link.down(above, switch)[:, 0].numpy()


def test_one_read_serves_all_positions_under_a_sum_pool():
    answers = noise_down("sum", 2)
    blocks = answers.reshape(-1, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4, 4)
    np.testing.assert_array_equal(blocks, blocks[:, :, :1].repeat(4, axis=2))
    correlation = np.corrcoef(blocks[:, :, 0].T)
    assert np.abs(correlation - np.eye(4)).max() < 0.06  # 4 standard errors of 5000 pairs


def test_without_a_pool_every_position_is_a_read_of_its_own():
    answers = noise_down("none", 1).reshape(5000, 16)
    assert np.abs(np.corrcoef(answers.T) - np.eye(16)).max() < 0.07
    link = link_of(pointwise("none", 1), EXACT, noisy_reads())
    up = link.up(torch.full((5000, 1, 4, 4), 0.5, dtype=torch.float64))[0][:, 0].reshape(5000, 16).numpy()
    assert np.abs(np.corrcoef(up.T) - np.eye(16)).max() < 0.07


def test_a_max_pool_takes_the_largest_of_noisy_reads():
    """The maximum of four independent normal readings, in mean and spread, and not a noisy maximum."""
    link = link_of(pointwise("max", 2), EXACT, noisy_reads())
    quiet = link_of(pointwise("none", 1), EXACT, noisy_reads(), noise_seed=(9,))
    x = torch.full((20_000, 1, 4, 4), 0.5, dtype=torch.float64)
    sigma = float(quiet.up(x)[0][:, 0].std())
    found = (link.up(x)[0][:, 0].numpy() - 0.3) / sigma
    assert found.mean() == pytest.approx(1.0294, abs=0.02)  # expected maximum of four standard normal numbers
    assert found.std() == pytest.approx(0.7012, abs=0.02)


def test_a_partitioned_matrix_adds_up_the_noise_of_its_tiles():
    """Two tiles of half the rows have as much noise together as one, and the reads of a tile differ from another's."""
    wire = Wire("dense", np.full((1, 8), 0.5), (8,), (1,))
    x = torch.ones(20_000, 8, dtype=torch.float64)
    whole, halves = (link_of(wire, replace(EXACT, rows=rows), noisy_reads()) for rows in (8, 4))
    assert (len(whole.matrix.tiles), len(halves.matrix.tiles)) == (1, 2)
    one, two = (link.up(x)[0].std() for link in (whole, halves))
    assert float(two / one) == pytest.approx(1.0, abs=0.03)
    first, second = (
        tile.up.read(torch.nn.functional.linear, x[:, :4], x[:, :4], tile.generator)[:, 0]
        for tile in halves.matrix.tiles
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_a_max_pool_is_not_undone_without_its_switch():
    link = link_of(pointwise("max", 2), EXACT)
    with pytest.raises(AssertionError, match="undone at its switch"):
        link.down(torch.zeros(1, 2, 2, 2, dtype=torch.float64))


@pytest.mark.parametrize(("size", "padding", "stride", "kernel"), [(1, 2, 5, 1), (2, 3, 9, 2), (3, 2, 7, 1)])
def test_windows_that_see_padding_only_give_and_take_nothing(size, padding, stride, kernel):
    wire = Wire("conv", np.ones((1, 1, kernel, kernel)), (1, size, size), (1, 1, 1), stride, padding)
    link = link_of(wire, EXACT)
    assert float(link.up(torch.ones(1, 1, size, size, dtype=torch.float64))[0]) == 0
    np.testing.assert_array_equal(link.down(torch.ones(1, 1, 1, 1, dtype=torch.float64)), np.zeros((1, 1, size, size)))
    assert float(link.log[0][1].array_j) == 0 < float(link.log[1][1].array_j)
