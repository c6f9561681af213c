"""Tiles: what one read computes, and the law of its noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, noisy_reads, uniform_drift
from helpers.kirchhoff import solve as kirchhoff
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest

from hw.crossbar.devices.device import Temperature
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.matrix import TiledMatrix
from hw.crossbar.tiles.tile import Tile
from hw.crossbar.tiles.wires import Wires, kappa

PCM = preset("pcm-nandakumar-2019")


def drawn(outputs, inputs, seed=0, count=6):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (outputs, inputs)), torch.as_tensor(rng.uniform(0, 1, (inputs, count)))


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 13)),
    encoding=st.sampled_from(["pair", "offset"]),
    size=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    weight_bits=st.sampled_from([None, 4, 8]),
    cell_bits=st.integers(1, 4),
    slice_bits=st.sampled_from([None, 1, 3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_perfect_tiles_compute_the_product(shape, encoding, size, weight_bits, cell_bits, slice_bits, seed):
    """Whatever is cut, sliced and encoded: the digital result is that of the quantized weights and inputs, exactly."""
    weight, x = drawn(*shape, seed)
    design = Design(*size, encoding, weight_bits, cell_bits, input_bits=8, slice_bits=slice_bits, adc_bits=None)
    matrix = TiledMatrix(weight, Fabrication(replace(IDEAL, g_min_s=1e-6), design), dtype=torch.float64)
    expected = weight
    if weight_bits is not None:
        top = 2 ** (weight_bits - 1) - 1
        unit = np.abs(weight).max() / top
        expected = np.rint(weight / unit) * unit
    driven = np.rint(x.numpy() * 255) / 255
    np.testing.assert_allclose((matrix @ x).numpy(), expected @ driven, atol=1e-9)
    above = torch.as_tensor(np.random.default_rng(seed).uniform(0, 1, (6, shape[0])))
    back = np.rint(above.numpy() * 255) / 255 @ expected
    np.testing.assert_allclose(matrix.down(above)[0].numpy(), back, atol=1e-9)


def test_one_array_serves_both_directions():
    weight, _ = drawn(20, 30)
    tile = Tile(weight, 1.0, replace(EXACT, wires=Wires(2.0, 2.0)), PCM, dtype=torch.float64)
    tile.begin(np.random.default_rng(1))
    np.testing.assert_allclose(tile.down.weight.numpy(), tile.up.weight.T.numpy(), rtol=0, atol=1e-15)
    assert tile.mismatch() < 1e-12
    opposite = Tile(weight, 1.0, replace(EXACT, wires=Wires(2.0, 2.0, terminals="opposite")), PCM, dtype=torch.float64)
    assert opposite.mismatch() > 1e-4


@pytest.mark.parametrize("encoding", ["pair", "offset"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_fresh_noise_is_the_law_of_a_matrix_redrawn_for_every_vector(encoding, direction):
    outputs, inputs, count = 3, 5, 40_000
    device = noisy_reads()
    weight, _ = drawn(outputs, inputs)
    tile = Tile(weight, 1.0, replace(EXACT, encoding=encoding), device, dtype=torch.float64, noise_seed=(7,))
    x = np.random.default_rng(3).uniform(0, 1, inputs if direction == "up" else outputs)
    many = torch.as_tensor(x)[:, None].expand(-1, count)
    read = (tile @ many if direction == "up" else tile.T @ many).numpy()
    # the same physics device by device: every vector meets conductances of its own
    rng, g = np.random.default_rng(11), tile.array.conductance_s()
    redrawn = g + device.fresh(g) * rng.standard_normal((count, *g.shape))
    unit = tile.scale
    if encoding == "pair":
        signed = unit * (redrawn[:, :, ::2] - redrawn[:, :, 1::2])
    elif direction == "up":
        signed = unit * (redrawn[:, :-1, :-1] - redrawn[:, :-1, -1:])
    else:
        signed = unit * (redrawn[:, :-1, :-1] - redrawn[:, -1:, :-1])
    slow = np.einsum("nij,i->jn" if direction == "up" else "nij,j->in", signed, x)
    for ours, theirs in zip(read, slow, strict=True):
        assert ks_2samp(ours, theirs).pvalue > 0.01
    covariance, expected = np.cov(read), np.cov(slow)
    np.testing.assert_allclose(covariance, expected, atol=0.03 * expected.diagonal().max())
    if encoding == "offset":  # what all outputs share is there, and as large as the formula says
        reference = tile.array.conductance_s()[:-1, -1] if direction == "up" else tile.array.conductance_s()[-1, :-1]
        shared = unit**2 * (device.fresh(reference) ** 2 * x**2).sum()
        off = covariance[~np.eye(len(covariance), dtype=bool)]
        np.testing.assert_allclose(off, shared, rtol=0.06)


def test_two_reads_are_independent_and_a_seed_repeats_them():
    weight, x = drawn(4, 6, count=20_000)
    one, two = (Tile(weight, 1.0, EXACT, noisy_reads(), noise_seed=(5,), dtype=torch.float64) for _ in range(2))
    first, second, again = one @ x, one @ x, two @ x
    np.testing.assert_array_equal(first.numpy(), again.numpy())
    clean = torch.as_tensor(weight) @ x
    for a, b in zip((first - clean).numpy(), (second - clean).numpy(), strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_reads_of_the_default_device_follow_its_law():
    """Nandakumar PCM: sigma = 0.0175 g_max sqrt(g / g_max) of each device of a pair, one row at full voltage."""
    tile = Tile(np.array([[0.4]]), 1.0, EXACT, replace(PCM.noisy(0.0), fresh=PCM.fresh), dtype=torch.float64)
    read = (tile @ torch.ones(1, 100_000, dtype=torch.float64))[0].numpy()
    # G+ = 0.4 g_max and G- = 0, in weights of g_max
    assert kstest((read - 0.4) / (0.0175 * np.sqrt(0.4)), "norm").pvalue > 0.01


def test_converters_round_and_saturate():
    weight, x = drawn(5, 8)
    tile = Tile(weight, 1.0, Design(adc_bits=5, input_bits=None), IDEAL, dtype=torch.float64)
    tile.set_ranges(1.5, 1.5)
    step = 1.5 / 15
    expected = np.clip(np.rint(weight @ x.numpy() / step), -15, 15) * step
    np.testing.assert_allclose((tile @ x).numpy(), expected, atol=1e-12)
    big = torch.ones(8, 1, dtype=torch.float64)
    matrix = TiledMatrix(np.ones((5, 8)), Fabrication(IDEAL, Design(adc_bits=5, input_bits=None)), dtype=torch.float64)
    matrix.tiles[0].set_ranges(1.5, 1.5)
    sums, read = matrix.up(big.T)
    assert (sums == 1.5).all()
    assert read.clipped.tolist() == [5]


def test_ranges_come_from_a_percentile_of_what_calibration_sees():
    weight, x = drawn(40, 30, count=100)
    tile = Tile(weight, 1.0, Design(adc_bits=8, input_bits=None), IDEAL, dtype=torch.float64)
    tile.calibrate(x, percent=90.0)
    up = np.abs(weight @ x.numpy())
    assert tile.adc_up.full_scale == pytest.approx(np.percentile(up, 90.0))
    down = np.abs(weight.T @ np.clip(weight @ x.numpy(), 0, 1))
    assert tile.adc_down.full_scale == pytest.approx(np.percentile(down, 90.0))


def test_gains_and_offsets_of_converters_stay_with_the_array():
    weight, x = drawn(6, 9)
    design = replace(EXACT, dac_gain_sigma=0.05, adc_gain_sigma=0.02, adc_offset_sigma=0.01)
    tile = Tile(weight, 1.0, design, IDEAL, seed=(2,), dtype=torch.float64)
    rows, columns = tile.gains["dac", "rows"], tile.gains["adc", "columns"]
    expected = columns[:, None] * (weight @ (rows[:, None] * x.numpy())) + tile.offsets["up"][:, None]
    np.testing.assert_allclose((tile @ x).numpy(), expected, rtol=1e-12)
    wide = Tile(np.ones((100, 400)), 1.0, replace(design, rows=400), IDEAL, dtype=torch.float64)
    assert wide.gains["dac", "rows"].std() == pytest.approx(0.05, rel=0.15)
    assert wide.offsets["up"].std() == pytest.approx(0.01 * 400, rel=0.3)


def test_bit_serial_inputs_are_converted_slice_by_slice():
    weight, x = drawn(4, 10)
    design = Design(input_bits=4, slice_bits=1, adc_bits=4)
    matrix = TiledMatrix(weight, Fabrication(IDEAL, design), dtype=torch.float64)
    matrix.tiles[0].set_ranges(2.0, 2.0)
    step, codes = 2.0 / 7, np.rint(x.numpy() * 15).astype(int)
    expected = sum(
        2**bit / 15 * np.clip(np.rint(weight @ ((codes >> bit) & 1) / step), -7, 7) * step for bit in range(4)
    )
    np.testing.assert_allclose((matrix @ x).numpy(), expected, atol=1e-12)


def test_heat_is_v_squared_g_t_over_all_devices():
    weight, x = drawn(6, 9, count=3)
    device = replace(IDEAL, g_min_s=2e-6, read_v=0.3, read_s=1e-7)
    design = Design(rows=5, columns=8, input_bits=4, slice_bits=2, adc_bits=None)
    matrix = TiledMatrix(weight, Fabrication(device, design), dtype=torch.float64)
    _, read = matrix.up(x.T)
    codes = np.rint(x.numpy() * 15).astype(int)
    expected = np.zeros(3)
    for placed in matrix.placed:
        g = placed.tile.array.conductance_s()
        for part in (codes & 3, codes >> 2):
            volts = 0.3 * part[placed.inputs] / 3
            expected += (volts**2 * g.sum(axis=1)[:, None]).sum(axis=0) * 1e-7
    np.testing.assert_allclose(read.array_j.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("load", "missing"), [(0.0, 1e-9), (0.05, 0.05), (0.4, 0.25), (2.0, 0.67)])
@pytest.mark.parametrize("driven", [1.0, 0.2])
def test_heat_behind_wires_is_that_of_the_sources_less_what_drivers_send_to_each_other(load, missing, driven):
    """Against Kirchhoff's equations of all resistors, in both directions."""
    weight, x = drawn(6, 24, count=4)
    x = x * (torch.as_tensor(np.random.default_rng(5).random(x.shape)) < driven)
    device = replace(IDEAL, g_min_s=1e-6)
    codec = EXACT.codec
    g_s = codec.targets(weight.T, float(np.abs(weight).max()), device)
    ohm = load / kappa(g_s, Wires(1.0, 1.0))
    matrix = TiledMatrix(
        weight, Fabrication(device, replace(EXACT, wires=Wires(ohm, ohm, method="exact"))), dtype=torch.float64
    )
    assert matrix.tiles[0].kappa() == pytest.approx(load)
    up, down = matrix.up(x.T)[1], matrix.down(x[:6].T)[1]
    columns = codec.drive_columns(x[:6].T.numpy())
    for read, vectors, drive, sense in ((up, x.T.numpy(), "left", "bottom"), (down, columns, "bottom", "left")):
        for joules, volts in zip(read.array_j.numpy(), vectors, strict=True):
            sources = kirchhoff(g_s, ohm, ohm, volts * device.read_v, drive, sense).source_w * device.read_s
            assert (1 - missing) * sources <= joules <= sources * (1 + 1e-9)


@pytest.mark.parametrize("terminals", ["same", "opposite"])
@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_folded_wires_are_the_nodal_solution(encoding, terminals):
    weight, x = drawn(8, 12)
    design = replace(EXACT, encoding=encoding, wires=Wires(3.0, 2.0, terminals, method="exact"))
    tile = Tile(weight, 1.0, design, IDEAL, dtype=torch.float64)
    np.testing.assert_allclose((tile @ x).numpy(), tile.solve(x).numpy(), atol=1e-9)
    np.testing.assert_allclose((tile.T @ x[:8]).numpy(), tile.T.solve(x[:8]).numpy(), atol=1e-9)


@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_nonlinear_cells_follow_their_curve_and_the_nodal_solution(encoding):
    device = replace(preset("reram-milo-2021"), read_v=0.4).noisy(0.0)
    weight, x = drawn(6, 10)
    design = replace(EXACT, encoding=encoding)
    tile = Tile(weight, 1.0, design, device, dtype=torch.float64)
    g = tile.array.conductance_s()
    log = np.log10(g)
    second = np.polyval([1.388e-4, 1.541e-3, 5.711e-3, 7.063e-3], log)  # Milo 2021 as fitted by CrossSim
    third = np.polyval([8.871e-5, 6.7919e-4, 1.2968e-3], log)
    volts = 0.4 * np.pad(x.numpy().T, ((0, 0), (0, len(g) - 10)))[:, :, None]
    currents = (g * volts + second * volts**2 + third * volts**3).sum(axis=1)
    signed = currents[:, ::2] - currents[:, 1::2] if encoding == "pair" else currents[:, :-1] - currents[:, -1:]
    np.testing.assert_allclose((tile @ x).numpy(), signed.T * tile.scale / 0.4, atol=1e-12)
    # the even part of a cell's current turns over when it is driven from its column: the directions differ
    one = torch.eye(10, dtype=torch.float64)
    matrices = (tile @ one).numpy(), (tile.T @ one[:6, :6]).numpy().T
    expected = np.linalg.norm(matrices[1] - matrices[0]) / np.linalg.norm(matrices[0])
    assert tile.mismatch() == pytest.approx(expected, rel=1e-9)
    assert expected > 0.01
    # both directions, against cells solved one by one
    np.testing.assert_allclose((tile @ x).numpy(), tile.solve(x).numpy(), atol=1e-9)
    np.testing.assert_allclose((tile.T @ x[:6]).numpy(), tile.T.solve(x[:6]).numpy(), atol=1e-9)
    # behind wires, the fold lets every cell see its share of the voltage: close to the fixed point, not equal to it
    wired = Tile(weight, 1.0, replace(design, wires=Wires(2.0, 2.0)), device, dtype=torch.float64)
    for side, values in ((wired, x), (wired.T, x[:6])):
        solved = side.solve(values)
        assert float((side @ values - solved).norm() / solved.norm()) < 0.005
    assert float((tile @ x - wired.solve(x)).norm() / wired.solve(x).norm()) > 0.005


def test_drift_is_compensated_exactly_where_all_devices_drift_alike():
    weight, x = drawn(7, 11)
    matrix = TiledMatrix(weight, Fabrication(uniform_drift(0.05), EXACT), dtype=torch.float64)
    matrix.age(990.0)
    np.testing.assert_allclose((matrix @ x).numpy(), weight @ x.numpy() * 100**-0.05, rtol=1e-9)
    matrix.compensate()
    assert matrix.gain.total == pytest.approx(100**0.05)
    np.testing.assert_allclose((matrix @ x).numpy(), weight @ x.numpy(), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 1}, "256 x 1 devices holds no weight as pair: 1 x 2 are needed"),
        ({"columns": 1, "rows": 1, "encoding": "offset"}, "1 x 1 devices holds no weight as offset: 2 x 2"),
        ({"encoding": "ternary"}, "encoding 'ternary' is unknown, choices are pair, balanced, offset"),
        ({"adc_bits": 1}, "adc_bits is 1, choices are 2 to 24"),
        ({"input_bits": 17}, "input_bits is 17, choices are 1 to 16"),
        ({"slice_bits": 9}, "slice_bits is 9, must be 1 to input_bits, which is 8"),
        ({"weight_bits": 1}, "weight_bits is 1"),
        ({"cell_bits": 0}, "cell_bits is 0"),
        ({"neurons": "spiking"}, "neurons 'spiking' are unknown, choices are digital, analog"),
        ({"dac_gain_sigma": -0.1}, "dac_gain_sigma is -0.1"),
    ],
)
def test_a_design_that_cannot_be_built_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Design(**change)


def test_calibration_that_fails_leaves_the_converters_as_they_were():
    weight, x = drawn(4, 6)
    tile = Tile(weight, 1.0, Design(), IDEAL)
    for _ in range(2):  # without ranges, then with some
        before = tile.adc_up, tile.adc_down
        with pytest.raises(ValueError, match="the DAC drives -1 to 1"):
            tile.calibrate(x + 5)
        for percent in (0.0, 100.1, np.nan):
            with pytest.raises(ValueError, match="percentile is"):
                tile.calibrate(x, percent)
        with pytest.raises(ValueError, match="ADC range is -1"):
            tile.set_ranges(1.0, -1.0)
        assert (tile.adc_up, tile.adc_down) == before
        tile.calibrate(x)


@pytest.mark.parametrize("wires", [Wires(0.0, 0.0), Wires(2.0, 2.0)])
@pytest.mark.parametrize("kelvin", [np.nan, -5.0, 199.0, 501.0, 1000.0])
def test_a_refused_temperature_leaves_every_tile_as_it_was(wires, kelvin):
    hot = replace(PCM, temperature=Temperature(0.1, 300.0))
    weight, _ = drawn(7, 11)
    matrix = TiledMatrix(weight, Fabrication(hot, replace(EXACT, rows=5, columns=6, wires=wires)), dtype=torch.float64)
    matrix.age(60.0, 350.0)
    before = [(tile.array, tile.up.weight) for tile in matrix.tiles]
    for seconds, temperature, message in ((3600.0, kelvin, "temperature is"), (-1.0, 350.0, "time is -1")):
        with pytest.raises(ValueError, match=message):
            matrix.age(seconds, temperature)
        for tile, (array, up) in zip(matrix.tiles, before, strict=True):
            assert tile.array is array
            assert tile.up.weight is up
    matrix.age(3600.0)
    assert {tile.array.seconds for tile in matrix.tiles} == {3600.0}


def test_warm_copper_wires_take_more_of_a_read():
    """Where cells need no activation the wires alone feel 350 K: they resist 1 + 0.00451 * 50 times as much."""
    device = replace(IDEAL, temperature=Temperature(0.0, 300.0))
    weight, x = drawn(7, 11)
    tiles = [
        Tile(weight, 1.0, replace(EXACT, wires=Wires(ohm, ohm)), device, dtype=torch.float64)
        for ohm in (20.0, 20.0 * 1.2255)
    ]
    tiles[0].age(0.0, 350.0)
    warm, worse = tiles
    assert warm.kappa() == pytest.approx(worse.kappa())
    for read in (lambda tile: tile @ x, lambda tile: tile.solve(x), lambda tile: tile.T.solve(x[:7])):
        np.testing.assert_allclose(read(warm).numpy(), read(worse).numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "largest", "message"),
    [
        (np.ones(3), 1.0, r"weights of shape \(3,\), expected a matrix"),
        (np.ones((0, 3)), 1.0, r"weights of shape \(0, 3\), expected a matrix"),
        (np.full((2, 2), np.nan), 1.0, "the largest weight is nan"),
        (np.full((2, 2), np.inf), 1.0, "the largest weight is inf"),
        (np.zeros((2, 2)), 0.0, "largest is 0.0, expected a positive weight"),
        (np.ones((2, 2)), np.inf, "largest is inf, expected a positive weight"),
        (np.ones((2, 2)), 0.5, "the largest weight is 1, the range of a device stands for 0.5"),
    ],
)
def test_weights_that_no_device_can_hold_are_refused(weight, largest, message):
    with pytest.raises(ValueError, match=message):
        Tile(weight, largest, Design(), IDEAL)
    if largest:  # a matrix takes the largest weight if it is told none
        for design in (Design(), Design(weight_bits=4)):
            with pytest.raises(ValueError, match=message):
                TiledMatrix(weight, Fabrication(IDEAL, design), largest=largest)


def test_bad_reads_are_refused():
    weight, x = drawn(4, 6)
    tile = Tile(weight, 1.0, Design(), IDEAL)
    with pytest.raises(ValueError, match="ADC has no range"):
        _ = tile @ x
    with pytest.raises(ValueError, match="ADC range is 0"):
        tile.set_ranges(0.0, 1.0)
    tile.calibrate(x)
    for bad in (x + 1, x * torch.nan):
        with pytest.raises(ValueError, match="the DAC drives -1 to 1"):
            _ = tile @ bad
    for reader in (tile, TiledMatrix(weight, Fabrication(IDEAL, Design()))):
        with pytest.raises(ValueError, match=r"inputs \(5, 6\) do not fit: expected \(6,\) or \(6, N\)"):
            _ = reader @ x[:5]
        with pytest.raises(ValueError, match=r"inputs of shape \(0, 6\): there is nothing to drive"):
            _ = reader @ x[:, :0]
    with pytest.raises(ValueError, match=r"the largest weight is .*, the range of a device stands for 0.5"):
        Tile(weight, 0.5, Design(), IDEAL)
    with pytest.raises(ValueError, match="need 6 rows and 4 columns, a tile holds 3 x 2"):
        Tile(weight, 1.0, Design(rows=3, columns=4), IDEAL)
