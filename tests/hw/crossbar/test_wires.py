"""Effective conductances against Kirchhoff's laws written out, and the closed form against the exact solution."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from helpers.kirchhoff import effective, solve
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.crossbar.tiles.wires import (
    CLOSED_FORM_KAPPA,
    WIRES,
    Wires,
    asymmetry,
    effective_down,
    effective_up,
    kappa,
    preset_wires,
)
from models.zoo import load_model

Array = NDArray[np.float64]

G_MIN_S, G_MAX_S = 0.25e-6, 25e-6


class Case(NamedTuple):
    """A small array behind wires that may be perfect, and that may be much too thin."""

    g_s: Array
    wires: Wires


@st.composite
def cases(draw: st.DrawFn, largest: int = 6) -> Case:
    """Any shape, unequal segments, conductances over three decades and some cells switched off."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20), label="seed"))
    shape = tuple(draw(st.integers(1, largest), label="size") for _ in range(2))
    g_s = 10.0 ** rng.uniform(-7, -4, shape) * (rng.random(shape) < 0.9)
    ohms = [draw(st.sampled_from([0.0, 0.35, 6.4, 300.0, 1e4]), label="ohm") for _ in range(2)]
    return Case(g_s, Wires(ohms[0], ohms[1], method="exact"))


def uniform(rng: np.random.Generator, m: int, n: int) -> Array:
    return rng.uniform(G_MIN_S, G_MAX_S, (m, n))


def loaded(g_s: Array, load: float, ratio: float = 1.0) -> Wires:
    """Wires of that kappa, columns of `ratio` times the resistance of rows."""
    ohm = load / kappa(g_s, Wires(1.0, ratio))
    return Wires(ohm, ratio * ohm)


def error(found: Array, wanted: Array) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


# exact: ladders and small arrays by hand


@pytest.mark.parametrize(("row_ohm", "column_ohm"), [(2.1, 6.4), (500.0, 0.0), (0.0, 500.0), (5e3, 2e4)])
def test_one_row_is_a_ladder(row_ohm: float, column_ohm: float) -> None:
    g_s = np.random.default_rng(0).uniform(1e-6, 1e-4, (1, 40))
    cells = [1 / (1 / g + column_ohm) for g in g_s[0]]  # a cell and the segment to its sense amplifier
    voltages, current = [1.0], 0.0  # from the far end back to the driver, starting with 1 V
    for cell in reversed(cells):
        current += cell * voltages[-1]
        voltages.append(voltages[-1] + row_ohm * current)
    driver = voltages.pop()
    by_hand = [cell * v / driver for cell, v in zip(cells, reversed(voltages), strict=True)]
    found = effective_up(g_s, Wires(row_ohm, column_ohm, method="exact"))
    np.testing.assert_allclose(found[0], by_hand, rtol=1e-9)


@pytest.mark.parametrize(("row_ohm", "column_ohm"), [(2.1, 6.4), (500.0, 0.0), (0.0, 500.0), (5e3, 2e4)])
def test_one_column_is_a_ladder(row_ohm: float, column_ohm: float) -> None:
    g_s = np.random.default_rng(1).uniform(1e-6, 1e-4, (12, 1))
    cells = [1 / (1 / g + row_ohm) for g in g_s[:, 0]]

    def walk(driven: int, top: float) -> tuple[float, float]:
        """Potential of the sense amplifier and current into it if the top of the column were at `top`."""
        potential, current = top, 0.0
        for i, cell in enumerate(cells):
            current += cell * ((i == driven) - potential)
            potential -= column_ohm * current
        return potential, current

    for driven in range(12):
        (low, low_a), (high, high_a) = walk(driven, 0.0), walk(driven, 1.0)
        # both are linear in the guess: take the one that puts the sense amplifier at ground
        guess = -low / (high - low) if column_ohm else 0.0
        by_hand = low_a + guess * (high_a - low_a)
        found = effective_up(g_s, Wires(row_ohm, column_ohm, method="exact"))[driven, 0]
        assert found == pytest.approx(by_hand, rel=1e-9)


def test_two_by_two_written_out() -> None:
    (a, b), (c, d) = g_s = np.array([[3e-4, 1e-4], [2e-4, 5e-4]])
    r, s = 1 / 70.0, 1 / 30.0  # segments of rows and columns in siemens
    # currents out of the nodes: row nodes 00 01 10 11, then column nodes 00 01 10 11
    nodes = np.array(
        [
            [r + r + a, -r, 0, 0, -a, 0, 0, 0],
            [-r, r + b, 0, 0, 0, -b, 0, 0],
            [0, 0, r + r + c, -r, 0, 0, -c, 0],
            [0, 0, -r, r + d, 0, 0, 0, -d],
            [-a, 0, 0, 0, s + a, 0, -s, 0],
            [0, -b, 0, 0, 0, s + b, 0, -s],
            [0, 0, -c, 0, -s, 0, s + s + c, 0],
            [0, 0, 0, -d, 0, -s, 0, s + s + d],
        ]
    )
    drivers = np.zeros((8, 2))
    drivers[0, 0] = drivers[2, 1] = r
    by_hand = (s * np.linalg.solve(nodes, drivers)[[6, 7]]).T
    np.testing.assert_allclose(effective_up(g_s, Wires(70.0, 30.0, method="exact")), by_hand, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_exact_is_kirchhoff(case: Case) -> None:
    g_s, wires = case
    wanted = effective(g_s, wires.row_ohm, wires.column_ohm)
    # dense elimination among wires of 3 S loses digits against cells of 1e-7 S
    np.testing.assert_allclose(effective_up(g_s, wires), wanted, rtol=1e-9, atol=1e-10 * g_s.max())


@settings(max_examples=60, deadline=None)
@given(cases())
def test_transposed_read_is_kirchhoff_at_its_terminals(case: Case) -> None:
    g_s, wires = case
    for terminals, drive, sense in (("same", "bottom", "left"), ("opposite", "top", "right")):
        wanted = effective(g_s, wires.row_ohm, wires.column_ohm, drive, sense).T
        found = effective_down(g_s, replace(wires, terminals=terminals))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10 * g_s.max())


@pytest.mark.parametrize("method", ["auto", "closed_form", "exact"])
def test_same_terminals_are_reciprocal(method: str) -> None:
    """The transposed read solved as a network of its own: the array drawn with its columns as rows."""
    g_s = uniform(np.random.default_rng(2), 24, 40)
    wires = Wires(2.0, 9.0, method=method)
    drawn = replace(wires, row_ohm=wires.column_ohm, column_ohm=wires.row_ohm)
    down = effective_up(np.ascontiguousarray(g_s.T[::-1, ::-1]), drawn)[::-1, ::-1].T
    assert error(down, effective_up(g_s, wires)) < 1e-10
    np.testing.assert_array_equal(effective_down(g_s, wires), effective_up(g_s, wires))


def test_opposite_terminals_break_the_symmetry() -> None:
    g_s = uniform(np.random.default_rng(3), 64, 64)
    wires = Wires(2.0, 2.0, "opposite", "exact")
    found = asymmetry(effective_up(g_s, wires), effective_down(g_s, wires))
    assert 0.03 < found < 0.06
    assert asymmetry(effective_up(g_s, wires), effective_down(g_s, replace(wires, terminals="same"))) == 0


# exact: physics


@settings(max_examples=40, deadline=None)
@given(cases())
def test_wires_only_take_current(case: Case) -> None:
    """No line carries more than with perfect wires; a single cell may, by a detour over its neighbours."""
    g_s, wires = case
    found = effective_up(g_s, wires)
    slack = 1e-12 * g_s.max()
    assert (found >= 0).all()
    assert (found.sum(1) <= g_s.sum(1) + slack).all()
    assert (found.sum(0) <= g_s.sum(0) + slack).all()


def test_equal_cells_only_lose() -> None:
    for load in (0.1, 1.0, 30.0):
        g_s = np.full((20, 30), 2e-5)
        found = effective_up(g_s, replace(loaded(g_s, load), method="exact"))
        assert (found < g_s).all()
        assert (found > 0).all()


def test_detour_makes_a_switched_off_cell_conduct() -> None:
    g_s = np.full((4, 4), 1e-4)
    g_s[1, 2] = 0.0
    assert effective_up(g_s, Wires(50.0, 50.0, method="exact"))[1, 2] > 0


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 2**20))
def test_power_of_the_sources_is_dissipated(case: Case, seed: int) -> None:
    g_s, wires = case
    volts = np.random.default_rng(seed).uniform(-0.2, 0.2, len(g_s))
    solved = solve(g_s, wires.row_ohm, wires.column_ohm, volts)
    assert solved.source_w == pytest.approx(solved.dissipated_w, rel=1e-6, abs=1e-18)
    # wires only take power from the cells: less than V**2 G of perfect ones
    assert solved.source_w <= (volts**2 @ g_s).sum() * (1 + 1e-9) + 1e-18
    np.testing.assert_allclose(
        volts @ effective_up(g_s, wires), solved.sensed_a, rtol=1e-9, atol=1e-10 * 0.2 * g_s.max()
    )


def test_perfect_wires_are_left_out() -> None:
    g_s = uniform(np.random.default_rng(4), 5, 3)
    for method in ("auto", "closed_form", "exact"):
        for terminals in ("same", "opposite"):
            wires = Wires(0.0, 0.0, terminals, method)
            np.testing.assert_array_equal(effective_up(g_s, wires), g_s)
            np.testing.assert_array_equal(effective_down(g_s, wires), g_s)
    assert effective_up(g_s, WIRES["none"]) is not g_s


# closed form


@pytest.mark.parametrize("size", [32, 64, 128])
def test_closed_form_on_uniform_arrays(size: int) -> None:
    rng = np.random.default_rng(size)
    for load in (0.4,) if size == 128 else (0.05, 0.2, 0.4):
        for ratio in (1.0,) if size == 128 else (1.0, 3.0, 0.1):
            g_s = uniform(rng, size, size)
            wires = loaded(g_s, load, ratio)
            exact = effective_up(g_s, replace(wires, method="exact"))
            assert error(effective_up(g_s, replace(wires, method="closed_form")), exact) < 0.07 * load**2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 0.4))
def test_closed_form_on_any_shape(seed: int, m: int, n: int, load: float) -> None:
    rng = np.random.default_rng(seed)
    g_s = uniform(rng, m, n)
    wires = loaded(g_s, load, 10.0 ** rng.uniform(-1, 1))
    exact = effective_up(g_s, replace(wires, method="exact"))
    assert error(effective_up(g_s, replace(wires, method="closed_form")), exact) < 0.015
    opposite = replace(wires, terminals="opposite")
    exact = effective_down(g_s, replace(opposite, method="exact"))
    assert error(effective_down(g_s, replace(opposite, method="closed_form")), exact) < 0.015


@pytest.mark.parametrize("ohms", [(300.0, 0.0), (0.0, 300.0)])
def test_closed_form_is_exact_if_one_wire_is_perfect(ohms: tuple[float, float]) -> None:
    g_s = 10.0 ** np.random.default_rng(5).uniform(-7, -4, (20, 13))
    for read in (effective_up, effective_down):
        exact = read(g_s, Wires(*ohms, "opposite", "exact"))
        np.testing.assert_allclose(read(g_s, Wires(*ohms, "opposite", "closed_form")), exact, rtol=1e-10)


def crowded(seed: int) -> Array:
    """Small arrays with current crowded somewhere: any cells, rows and columns of any size, one of each, few cells."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 33, 2)
    single = np.full((m, n), 0.01)
    single[rng.integers(0, m)], single[:, rng.integers(0, n)] = 1.0, 1.0
    kinds = (
        10.0 ** rng.uniform(-3, 0, (m, n)),
        np.outer(10.0 ** rng.uniform(-2, 0, m), 10.0 ** rng.uniform(-2, 0, n)),
        single,
        (rng.random((m, n)) < 0.1) + 1e-3,
    )
    return kinds[seed % len(kinds)] * 1e-5


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**20), st.floats(-1, 1), st.floats(0.01, 0.4))
def test_closed_form_on_crowded_arrays(seed: int, ratio: float, load: float) -> None:
    g_s = crowded(seed)
    wires = loaded(g_s, load, 10.0**ratio)
    exact = effective_up(g_s, replace(wires, method="exact"))
    # of 52,300 drawn at the largest load the worst was 0.0195
    assert error(effective_up(g_s, replace(wires, method="closed_form")), exact) < 0.025


@pytest.mark.parametrize("name", ["digits", "digits-noise-aware"])
@pytest.mark.parametrize("size", [256, 128, 64])
def test_closed_form_on_trained_weights(name: str, size: int) -> None:
    """Differential pairs of every weight tensor, `size` inputs to a tile; the last tile of a tensor has fewer."""
    for link in (*load_model(name).links, load_model(name).readout):
        matrix = link.weight.detach().double().numpy().reshape(len(link.weight), -1).T
        scale = (G_MAX_S - G_MIN_S) / np.abs(matrix).max()
        for start in range(0, len(matrix), size):
            part = matrix[start : start + size]
            g_s = np.stack([part.clip(0), (-part).clip(0)], axis=2).reshape(len(part), -1) * scale + G_MIN_S
            for load in (0.02, 0.1, 0.2, 0.4):
                wires = loaded(g_s, load)
                exact = effective_up(g_s, replace(wires, method="exact"))
                found = effective_up(g_s, replace(wires, method="closed_form"))
                assert error(found, exact) < 0.015
                # and of the weights themselves, the difference of two conductances
                assert error(found[:, ::2] - found[:, 1::2], exact[:, ::2] - exact[:, 1::2]) < 0.015


def test_auto_chooses_by_the_load() -> None:
    g_s = uniform(np.random.default_rng(6), 32, 32)
    for load, method in ((0.9 * CLOSED_FORM_KAPPA, "closed_form"), (1.1 * CLOSED_FORM_KAPPA, "exact")):
        wires = loaded(g_s, load)
        np.testing.assert_array_equal(effective_up(g_s, wires), effective_up(g_s, replace(wires, method=method)))


def test_auto_sees_current_in_one_row() -> None:
    g_s = np.full((32, 32), G_MIN_S)
    g_s[0] = G_MAX_S
    # a load that the mean over the array would call 0.4
    ohm = 0.4 / (g_s.mean() * 32**2)
    wires = Wires(ohm, ohm)
    exact = effective_up(g_s, replace(wires, method="exact"))
    assert error(effective_up(g_s, replace(wires, method="closed_form")), exact) > 0.03
    np.testing.assert_array_equal(effective_up(g_s, wires), exact)


# load, presets, refusals


def test_kappa() -> None:
    even = np.full((10, 10), 3e-6)
    assert kappa(even, Wires(2.0, 2.0)) == pytest.approx(2.0 * 3e-6 * 100)
    wide = uniform(np.random.default_rng(8), 3, 7)
    row, column = max(wide.sum(axis=1)), max(wide.sum(axis=0))
    assert kappa(wide, Wires(2.0, 5.0)) == pytest.approx((2.0 * 7 * row + 5.0 * 3 * column) / 2)
    assert kappa(wide, WIRES["none"]) == 0


def test_asymmetry() -> None:
    up = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert asymmetry(up, up) == 0
    assert asymmetry(up, up + np.array([[0.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.2)
    assert asymmetry(0 * up, 0 * up) == 0
    assert asymmetry(0 * up, up) == np.inf
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(4,\)"):
        asymmetry(up, up.ravel())


def test_presets_are_the_published_figures() -> None:
    ohm_per_m = 4.03e-8 / (1.9 * 40e-9**2)
    one_transistor, crossbar = WIRES["neurosim-22nm-1t1r"], WIRES["neurosim-22nm-crossbar"]
    assert (one_transistor.row_ohm, one_transistor.column_ohm) == pytest.approx(
        (4 * 40e-9 * ohm_per_m, 12 * 40e-9 * ohm_per_m), rel=2e-3
    )
    assert crossbar.row_ohm == crossbar.column_ohm == pytest.approx(2 * 40e-9 * ohm_per_m, rel=2e-3)
    assert all(wires.source for wires in WIRES.values())
    assert preset_wires("mnsim") is WIRES["mnsim"]
    with pytest.raises(ValueError, match=r"'copper' unknown, choices are none, aihwkit"):
        preset_wires("copper")


def test_temperature() -> None:
    wires = Wires(2.0, 5.0, "opposite", "exact")
    hot = wires.at_kelvin(400.0)
    assert (hot.row_ohm, hot.column_ohm) == pytest.approx((2.0 * 1.451, 5.0 * 1.451))
    assert (hot.terminals, hot.method) == ("opposite", "exact")
    assert wires.at_kelvin(300.0) == wires
    assert wires.at_kelvin(250.0).row_ohm < 2.0
    for kelvin in (0.0, 900.0, np.nan):
        with pytest.raises(ValueError, match=r"expected 200\.0 to 500\.0 K"):
            wires.at_kelvin(kelvin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0), "row_ohm is -1.0 Ohm"),
        ((0.0, np.nan), "column_ohm is nan Ohm"),
        ((0.0, np.inf), "column_ohm is inf Ohm"),
        ((1.0, 1.0, "left"), "terminals 'left' unknown, choices are same, opposite"),
        ((1.0, 1.0, "same", "spice"), "method 'spice' unknown, choices are auto, closed_form, exact"),
    ],
)
def test_wrong_wires_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wires(*arguments)


@pytest.mark.parametrize(
    ("g_s", "message"),
    [
        (np.array([[1e-6, -1e-6]]), "conductance -1e-06 S at row 0, column 1"),
        (np.array([[np.nan, 1e-6]]), "conductance nan S at row 0, column 0"),
        (np.array([[1e-6], [np.inf]]), "conductance inf S at row 1, column 0"),
        (np.full(3, 1e-6), r"conductances of shape \(3,\)"),
        (np.zeros((0, 3)), r"conductances of shape \(0, 3\)"),
    ],
)
def test_wrong_conductances_are_refused(g_s: Array, message: str) -> None:
    for ask in (effective_up, effective_down, kappa):
        with pytest.raises(ValueError, match=message):
            ask(g_s, Wires(1.0, 1.0, "opposite"))


def test_precision_does_not_fall_with_the_size() -> None:
    """A whole 128 x 128 tile against the sum of its parts: rows driven together carry what they carry one by one."""
    g_s = uniform(np.random.default_rng(9), 128, 128)
    wires = Wires(1.06, 1.06, method="exact")
    drawn = np.ascontiguousarray(g_s.T[::-1, ::-1])
    np.testing.assert_allclose(effective_up(drawn, wires)[::-1, ::-1].T, effective_up(g_s, wires), rtol=1e-11)
