"""Fresh noise behind wires against finite differences of the nodal solution, cell by cell and read by read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers import kirchhoff
from helpers.crossbar_examples import EXACT, IDEAL
from numpy.typing import NDArray

from hw.crossbar.devices.curves import ConstantCurve, SquareRoot
from hw.crossbar.devices.device import Device
from hw.crossbar.tiles.fresh_noise import FreshNoise
from hw.crossbar.tiles.layout import ConvLayout
from hw.crossbar.tiles.sensitivity import sensitivity_down, sensitivity_up
from hw.crossbar.tiles.tile import Reading, Tile
from hw.crossbar.tiles.wires import Wires, effective_down, effective_up, kappa

Array = NDArray[np.float64]

SQUARE_ROOT = replace(IDEAL, fresh=SquareRoot(0.0175, g_max_s=IDEAL.g_max_s), g_min_s=0.5e-6)
FLAT = replace(IDEAL, fresh=ConstantCurve(0.25e-6), g_min_s=0.5e-6)
"""Noise of small cells counts, and wires that lead currents around change theirs most."""


def by_cell(solve: Callable[[Array], Array], g_s: Array) -> Array:
    """(m, n, ...) derivative of what is solved by every conductance, central differences."""
    step_s = 1e-4 * g_s.max()
    derivative = []
    for place in np.ndindex(*g_s.shape):
        up, down = g_s.copy(), g_s.copy()
        up[place] += step_s
        down[place] -= step_s
        derivative.append((solve(up) - solve(down)) / (2 * step_s))
    return np.reshape(derivative, (*g_s.shape, *np.shape(derivative[0])))


def own(jacobian: Array) -> Array:
    """(m, n) d I_ij / d G_ij of (m, n, m, n)."""
    return np.einsum("ijij->ij", jacobian)


@pytest.mark.parametrize(("load", "worst"), [(0.05, 5e-4), (0.2, 5e-3), (0.4, 0.015), (1.0, 0.08)])
@pytest.mark.parametrize("terminals", ["same", "opposite"])
def test_a_read_follows_a_cell_by_the_product_of_two_voltages(load: float, worst: float, terminals: str) -> None:
    g_s = np.random.default_rng(2).uniform(1e-6, 25e-6, (7, 6))
    ohm = load / kappa(g_s, Wires(1.0, 2.0))
    wires = Wires(ohm, 2 * ohm, terminals, "exact")  # type: ignore[arg-type]
    drive, sense = ("bottom", "left") if terminals == "same" else ("top", "right")
    up = by_cell(lambda g: kirchhoff.effective(g, ohm, 2 * ohm), g_s)
    down = by_cell(lambda g: kirchhoff.effective(g, ohm, 2 * ohm, drive, sense).T, g_s)
    found_up, found_down = sensitivity_up(g_s, wires, 1.0), sensitivity_down(g_s, wires, 1.0)
    np.testing.assert_allclose(found_up.alone, own(up), rtol=worst)
    np.testing.assert_allclose(found_down.alone, own(down), rtol=worst)
    # all driven at 1 V: the current of a column is the sum over its rows, that of a row the sum over its columns
    np.testing.assert_allclose(found_up.together, np.einsum("ijkj->ij", up), rtol=worst)
    np.testing.assert_allclose(found_down.together, np.einsum("ijik->ij", down), rtol=worst)
    # what a cell keeps of its current is more
    overstated = (effective_up(g_s, wires) / g_s / own(up)).mean() - 1
    assert overstated > 8 * abs((found_up.alone / own(up)).mean() - 1)


def inputs(count: int) -> dict[str, Array]:
    """One input, all of them, few of them and any of them."""
    rng = np.random.default_rng(4)
    few = (rng.random((40, count)) < 0.3) * rng.random((40, count))
    return {
        "one": np.eye(count),
        "all": np.ones((1, count)),
        "few": few[few.any(axis=1)],
        "any": rng.random((40, count)),
        "signed": rng.uniform(-1, 1, (40, count)),
    }


def sigma(reading: Reading, x: Array) -> Array:
    """(B, outputs) spread of one read, what the outputs share included."""
    driven = torch.as_tensor(x)
    parts = [part for part in (reading.fresh, reading.common) if part is not None]
    total = sum((part.sigma(torch.nn.functional.linear, driven, driven**2) ** 2 for part in parts), torch.zeros(1))
    return np.asarray(total.sqrt().numpy())


def exact_sigma(tile: Tile, x: Array, name: str) -> Array:
    """The same, every cell drawn anew: sqrt(sum_kl sigma_kl**2 (sum_i x_i dW_ij / dG_kl)**2)."""
    codec, g_s = tile.design.codec, tile.array.conductance_s()
    effective, decode = (effective_up, codec.up) if name == "up" else (effective_down, codec.down)
    weight = by_cell(lambda g: decode(effective(g, tile.wires), np.zeros_like(g), tile.scale).weight, g_s)
    read = np.einsum("bi,klij->bklj", x, weight)
    return np.asarray(np.sqrt(np.einsum("kl,bklj->bj", tile.device.fresh(g_s) ** 2, read**2)))


@pytest.mark.parametrize(("encoding", "device"), [("pair", SQUARE_ROOT), ("pair", FLAT), ("offset", FLAT)])
@pytest.mark.parametrize(("load", "mean", "worst"), [(0.1, 0.006, 0.03), (0.4, 0.03, 0.1), (1.0, 0.08, 0.22)])
def test_noise_of_a_read_is_that_of_the_nodal_solution(
    encoding: str, device: Device, load: float, mean: float, worst: float
) -> None:
    """Small arrays are the worst case: what a cell does to its own voltage counts most there."""
    weight = np.random.default_rng(3).uniform(-1, 1, (5, 9))
    free = Tile(weight, 1.0, replace(EXACT, encoding=encoding), device, dtype=torch.float64)
    ohm = load / kappa(free.array.conductance_s(), Wires(1.0, 1.0))
    wired = replace(EXACT, encoding=encoding, wires=Wires(ohm, ohm, method="exact"))
    tile = Tile(weight, 1.0, wired, device, dtype=torch.float64)
    for name, reading, count in (("up", tile.up, 9), ("down", tile.down, 5)):
        for kind, x in inputs(count).items():
            ratio = sigma(reading, x) / exact_sigma(tile, x, name) - 1
            assert abs(ratio.mean()) < mean, (name, kind, ratio.mean())
            assert np.abs(ratio).max() < worst, (name, kind, np.abs(ratio).max())


def test_reads_behind_wires_have_that_spread() -> None:
    weight, count = np.random.default_rng(5).uniform(-1, 1, (4, 8)), 40_000
    design = replace(EXACT, wires=Wires(300.0, 300.0, method="exact"))
    tile = Tile(weight, 1.0, design, FLAT, dtype=torch.float64, noise_seed=(6,))
    x = np.random.default_rng(6).uniform(0, 1, 8)
    read = tile @ torch.as_tensor(x)[:, None].expand(-1, count)
    # the spread of 40,000 reads is known to 0.35 %
    np.testing.assert_allclose(read.numpy().std(axis=1), exact_sigma(tile, x[None], "up")[0], rtol=0.025)


def test_windows_of_an_image_are_read_as_vectors() -> None:
    """A convolution asks for the mean product of the inputs of every window, padding included."""
    layout = ConvLayout(below=(3, 6, 5), kernel=(3, 2), stride=1, padding=1, used=(6, 6))
    rng = np.random.default_rng(7)
    alone = rng.random((18, 4))
    noise = FreshNoise.of(alone, 0.8 * alone, torch.as_tensor)
    assert noise is not None
    x = torch.as_tensor(rng.random((2, 3, 6, 5)))
    x[:, :, :2, :3] = 0.0  # some windows see nothing
    found = noise.sigma(partial(layout.up, inputs=slice(0, 18)), x, x * x)
    vectors = torch.nn.functional.unfold(x, (3, 2), padding=1).transpose(1, 2).reshape(-1, 18)
    expected = noise.sigma(torch.nn.functional.linear, vectors, vectors**2)
    np.testing.assert_allclose(found, expected.reshape(2, 6, 6, 4).permute(0, 3, 1, 2), rtol=1e-9, atol=1e-12)
    assert (found == 0).any()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_equal_inputs_lose_what_is_lifted_and_one_loses_nothing(count: int) -> None:
    alone = np.ones((count, 3))
    noise = FreshNoise.of(alone, 0.64 * alone, torch.as_tensor)
    assert noise is not None
    one, same = torch.eye(count, dtype=torch.float64)[:1], torch.full((1, count), 0.5, dtype=torch.float64)
    linear = torch.nn.functional.linear
    np.testing.assert_allclose(noise.sigma(linear, one, one**2), 1.0)
    if count > 1:
        np.testing.assert_allclose(noise.sigma(linear, same, same**2), 0.8 * 0.5 * count**0.5)


def test_perfect_wires_lift_nothing() -> None:
    tile = Tile(np.random.default_rng(8).uniform(-1, 1, (3, 5)), 1.0, EXACT, FLAT)
    for reading in (tile.up, tile.down):
        assert reading.fresh is not None
        assert reading.fresh.lifted is None
    assert Tile(np.eye(2), 1.0, EXACT, IDEAL).up.fresh is None
