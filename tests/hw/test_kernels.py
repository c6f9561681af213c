"""Kernels of the Lava links against matrices built by loops, and against torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.naive import NaiveLink, conv_matrix, window_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.circuit import Wire
from hw.kernels import build_kernel, fuse


class Case(NamedTuple):
    """A wire with states below and above, (B, units) each."""

    wire: Wire
    below: NDArray[Any]
    above: NDArray[Any]


@st.composite
def cases(draw: st.DrawFn, *, pooling: tuple[str, ...], integers: bool) -> Case:
    """Any wire the kernels know, with weights and states of the full range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    batch = draw(st.integers(1, 4))
    below: tuple[int, ...] = tuple(draw(st.integers(1, most)) for most in (3, 9, 9))
    if draw(st.integers(0, 4)) == 0:
        below = draw(st.sampled_from([below, below[:1]]))
        units = draw(st.integers(1, 6))
        wire = Wire("dense", _weights(rng, (units, int(np.prod(below))), integers), below, (units,))
        return Case(wire, _states(rng, batch, below, integers), _states(rng, batch, (units,), integers))
    padding, stride = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, min(4, size + 2 * padding))) for size in below[1:])
    weight = _weights(rng, (draw(st.integers(1, 3)), below[0], *kernel), integers)
    summed = conv_matrix(weight, below, stride, padding).shape[:3]
    kind = draw(st.sampled_from(pooling if min(summed[1:]) > 1 else pooling[:1]))
    size = 1 if kind == "none" else draw(st.integers(2, min(3, *summed[1:])))
    above = window_matrix(summed, size).shape[:3]
    wire = Wire("conv", weight, below, above, stride, padding, kind, size)  # type: ignore[arg-type]
    return Case(wire, _states(rng, batch, below, integers), _states(rng, batch, above, integers))


def _weights(rng: np.random.Generator, shape: tuple[int, ...], integers: bool) -> NDArray[Any]:
    return rng.integers(-127, 128, shape).astype(np.int8) if integers else rng.normal(size=shape).astype(np.float32)


def _states(rng: np.random.Generator, batch: int, shape: tuple[int, ...], integers: bool) -> NDArray[Any]:
    size = (batch, int(np.prod(shape)))
    return rng.integers(-255, 256, size).astype(np.int16) if integers else rng.random(size).astype(np.float32)


def _batch_last(states: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(states.T).reshape(*shape, len(states))


def _through(case: Case) -> tuple[NDArray[Any], NDArray[Any]]:
    """(B, above) and (B, below) as the kernel computes them."""
    wire, count = case.wire, len(case.below)
    kernel = build_kernel(wire, wire.weight, count)
    up = kernel.up(_batch_last(case.below, wire.below))
    assert up.shape == (*wire.above, count)
    down = kernel.down(_batch_last(case.above, wire.above))
    assert down.shape == (*wire.below, count)
    return up.reshape(-1, count).T, down.reshape(-1, count).T


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum"), integers=True))
def test_integers_are_those_of_the_naive_loop_in_every_bit(case: Case) -> None:
    naive = NaiveLink(case.wire)
    up, down = _through(case)
    np.testing.assert_array_equal(up, naive.up(case.below.astype(np.int64)))
    np.testing.assert_array_equal(down, naive.down(case.above.astype(np.int64), case.below))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum", "max"), integers=False))
def test_floats_agree_with_the_naive_loop(case: Case) -> None:
    naive = NaiveLink(case.wire)
    up, down = _through(case)
    np.testing.assert_allclose(up, naive.up(case.below.astype(np.float64)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(down, naive.down(case.above.astype(np.float64), case.below), rtol=1e-4, atol=1e-4)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum", "max"), integers=True))
def test_down_is_the_transpose_of_up(case: Case) -> None:
    """<up(x), y> = <x, down(y)> exactly; under a max, at the winners of x, ties included."""
    up, down = _through(case)
    forth = (up.astype(np.int64) * case.above).sum(axis=1)
    back = (down.astype(np.int64) * case.below).sum(axis=1)
    np.testing.assert_array_equal(forth, back)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases(pooling=("none", "max"), integers=True))
def test_maxima_are_those_of_torch(case: Case) -> None:
    wire = case.wire
    if wire.kind == "dense":
        return
    sums = F.conv2d(
        torch.as_tensor(case.below).double().view(-1, *wire.below),
        torch.as_tensor(wire.weight).double(),
        stride=wire.stride,
        padding=wire.padding,
    )
    expected = F.max_pool2d(sums, wire.pool_size).flatten(1).numpy()
    np.testing.assert_array_equal(_through(case)[0], expected)


@pytest.mark.parametrize("pooling", ["none", "sum", "max"])
def test_the_same_kernel_serves_one_batch_after_another(pooling: str) -> None:
    """Buffers are reused: an earlier batch must leave nothing behind."""
    rng = np.random.default_rng(5)
    weight = rng.integers(-9, 10, (3, 2, 3, 2)).astype(np.int8)
    size = 1 if pooling == "none" else 2
    above = (3, 6 // size, 6 // size)
    wire = Wire("conv", weight, (2, 6, 5), above, 1, 1, pooling, size)  # type: ignore[arg-type]
    used = build_kernel(wire, weight, 2)
    for _ in range(3):
        below, states = (rng.integers(0, 99, (*shape, 2)).astype(np.int16) for shape in (wire.below, above))
        fresh = build_kernel(wire, weight, 2)
        np.testing.assert_array_equal(used.up(below), fresh.up(below))
        np.testing.assert_array_equal(used.down(states), fresh.down(states))


def test_answers_survive_the_next_call() -> None:
    """Links keep the sums of the last states: a later call may not write into them."""
    rng = np.random.default_rng(6)
    weight = rng.integers(-9, 10, (3, 2, 3, 3)).astype(np.int8)
    kernel = build_kernel(Wire("conv", weight, (2, 4, 4), (3, 4, 4), 1, 1), weight, 1)
    below, above = rng.integers(0, 99, (2, 4, 4, 1)), rng.integers(0, 99, (3, 4, 4, 1))
    up, down = kernel.up(below), kernel.down(above)
    kept = up.copy(), down.copy()
    kernel.up(below + 1)
    kernel.down(above + 1)
    np.testing.assert_array_equal(up, kept[0])
    np.testing.assert_array_equal(down, kept[1])


def test_a_fused_kernel_adds_the_kernel_up_over_the_window() -> None:
    """Stride 2 under a window of 2: two copies per axis, two apart."""
    fused = fuse(np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2), stride=2, window=2)[0, 0]
    np.testing.assert_array_equal(fused, [[1, 2, 1, 2], [3, 4, 3, 4], [1, 2, 1, 2], [3, 4, 3, 4]])
    fused = fuse(np.ones((1, 1, 2, 2), np.float32), stride=1, window=2)[0, 0]
    np.testing.assert_array_equal(fused, [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum"), integers=True))
def test_correlations_are_slopes_of_the_product_in_every_bit(case: Case) -> None:
    # <W s_below, s_above> is linear in W: its slope along a direction D is <D s_below, s_above>
    wire, count = case.wire, len(case.below)
    below, above = _batch_last(case.below, wire.below), _batch_last(case.above, wire.above)
    found = build_kernel(wire, wire.weight, count).correlate(below, above)
    assert found.shape == wire.weight.shape
    direction = np.random.default_rng(1).integers(-9, 10, wire.weight.shape)
    along = NaiveLink(replace(wire, weight=direction)).up(case.below.astype(np.int64))
    assert (found * direction).sum() == (along * case.above.astype(np.int64)).sum()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum", "max"), integers=False))
def test_correlations_of_floats_are_those_of_automatic_differentiation(case: Case) -> None:
    wire, count = case.wire, len(case.below)
    kernel = build_kernel(wire, wire.weight, count)
    kernel.up(_batch_last(case.below, wire.below))  # which finds the winners of a max pool
    found = kernel.correlate(_batch_last(case.below, wire.below), _batch_last(case.above, wire.above))
    weight = torch.as_tensor(wire.weight).double().requires_grad_()
    below = torch.as_tensor(case.below).double().reshape(count, *wire.below)
    if wire.kind == "dense":
        up = below.flatten(1) @ weight.T
    else:
        up = F.conv2d(below, weight, stride=wire.stride, padding=wire.padding)
        if wire.pooling == "max":
            up = F.max_pool2d(up, wire.pool_size)
        elif wire.pooling == "sum":
            up = F.avg_pool2d(up, wire.pool_size) * wire.pool_size**2
    (up.flatten(1) * torch.as_tensor(case.above).double()).sum().backward()
    np.testing.assert_allclose(found, weight.grad.numpy(), rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases(pooling=("none", "sum", "max"), integers=False))
def test_a_kernel_with_other_weights_is_the_kernel_of_those(case: Case) -> None:
    wire, count = case.wire, len(case.below)
    below, above = _batch_last(case.below, wire.below), _batch_last(case.above, wire.above)
    loaded, fresh = build_kernel(wire, 2 - 3 * wire.weight, count), build_kernel(wire, wire.weight, count)
    loaded.load(wire.weight)
    np.testing.assert_array_equal(loaded.up(below), fresh.up(below))
    np.testing.assert_array_equal(loaded.down(above), fresh.down(above))
