"""The point of rest: Kirchhoff and the diodes, by equations of their own; energy; nudges; and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.resistive_examples import random_inputs, random_network
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.special import wrightomega

from hw.resistive import newton, settling
from hw.resistive.diodes import Bounds, Ideal, Junction, Knee, wright_omega
from hw.resistive.links import ConvResistors, DenseResistors, Operator, unrolled
from hw.resistive.network import Amplifiers, Layer, ResistiveNetwork, free_layer, matched
from hw.resistive.power import delivered_w, dissipated_w
from hw.resistive.settling import Injection, UnsettledError, pulled, pushed, settle
from hw.resistive.solver import Solver


def least_power(network: ResistiveNetwork, x: np.ndarray) -> np.ndarray:
    """The voltages of a network without amplifiers and biases by another solver: bounded least squares over all
    resistors, (end - end)^2 g."""
    starts = np.cumsum([0, *network.units])
    rows, right = [], []
    for index, link in enumerate(network.links):
        for sign, matrix in ((1.0, link.plus_s), (-1.0, link.minus_s)):
            if matrix is None:
                continue
            for k, j in np.argwhere(matrix > 0):
                row, g = np.zeros(starts[-1]), np.sqrt(matrix[k, j])
                row[starts[index] + k] = g
                if index:
                    row[starts[index - 1] + j] = -sign * g
                rows.append(row)
                right.append(sign * g * x[j] if index == 0 else 0.0)
    for index, layer in enumerate(network.layers):
        for k, leak in enumerate(layer.leak_s):
            row = np.zeros(starts[-1])
            row[starts[index] + k] = np.sqrt(leak)
            rows.append(row)
            right.append(0.0)
    scale = 1e3
    low, high = (np.concatenate([getattr(layer, name) for layer in network.layers]) for name in ("low_v", "high_v"))
    found = lsq_linear(scale * np.array(rows), scale * np.array(right), (low, high), method="bvls", tol=1e-15)
    return found.x


def mismatched(row: Amplifiers | None, share: float, seed: int) -> Amplifiers | None:
    """Gains that differ by a share, one current taken for all: the loop is certain to come to rest."""
    assert row is not None
    return replace(row, gain=row.gain * (1 + share * np.random.default_rng(seed).normal(size=len(row.gain))))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.booleans(), st.integers(0, 2**20))
def test_rest_is_where_the_power_is_least(sizes: list[int], both_rails: bool, seed: int) -> None:
    network = random_network(tuple(sizes), seed, both_rails=both_rails)
    network = replace(
        network, layers=tuple(replace(layer, bias_a=np.zeros(len(layer.bias_a))) for layer in network.layers)
    )
    inputs, solver = random_inputs(network, 2, seed), Solver(network)
    rest = settle(solver, solver.sources(inputs))
    for image in range(2):
        expected = least_power(network, inputs[image].numpy())
        np.testing.assert_allclose(torch.cat(rest.volts, dim=1)[image], expected, atol=1e-8)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=5),
    st.sampled_from([1.0, 0.5, 4.0]),
    st.sampled_from([Ideal(), Knee(0.05, 1e4), Junction(1e-14, 1.0, 100.0)]),
    st.sampled_from([0.0, 6.0]),
    st.integers(0, 2**20),
)
def test_it_comes_to_rest_for_all_conductances(
    sizes: list[int], gain: float, diode: Ideal | Knee | Junction, decades: float, seed: int
) -> None:
    """Over six decades too; no current is left over, and what is delivered is dissipated."""
    network = random_network(tuple(sizes), seed, gain=gain, diode=diode, decades=decades)
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 3, seed))
    rest = settle(solver, sources)
    largest = max(float((load * v.abs()).max()) for load, v in zip(solver.loads, rest.volts, strict=True))
    assert float(rest.residual_a.max()) <= 1e-11 * largest
    heat = sum(dissipated_w(solver, sources, rest.volts).values())
    assert torch.allclose(heat, delivered_w(solver, sources, rest.volts), rtol=1e-8)
    assert all(bool((watts >= -1e-15).all()) for watts in dissipated_w(solver, sources, rest.volts).values())


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 8), min_size=3, max_size=5),
    st.sampled_from([(1.0, 0.0), (4.0, 0.0), (0.5, 0.01)]),
    st.sampled_from([Ideal(), Knee(0.05, 1e4), Junction(1e-14, 1.0, 100.0)]),
    st.booleans(),
    st.integers(0, 2**20),
)
def test_large_networks_come_to_the_same_rest_over_six_decades(
    sizes: list[int], amplifiers: tuple[float, float], diode: Ideal | Knee | Junction, both_rails: bool, seed: int
) -> None:
    """By products with the links alone, as networks are solved that are too large to solve at once."""
    gain, mismatch = amplifiers
    network = random_network(tuple(sizes), seed, gain=gain, diode=diode, decades=6.0, both_rails=both_rails)
    if mismatch:
        network = replace(network, amplifiers=tuple(mismatched(row, mismatch, seed) for row in network.amplifiers))
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 2, seed))
    at_once = settle(solver, sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newton, "MOST_DIRECT", 0)
        patch.setattr(settling, "SWEEPS", 5)
        by_products = settle(solver, sources)
    for mine, other, load in zip(by_products.volts, at_once.volts, solver.loads, strict=True):
        np.testing.assert_allclose(load * mine, load * other, atol=1e-11 * float((load * other.abs()).max()) + 1e-20)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.sampled_from([(1.0, 0.0), (4.0, 0.0), (0.5, 0.02)]),
    st.sampled_from([0.0, 6.0]),
    st.integers(0, 2**20),
)
def test_an_image_alone_comes_to_the_rest_it_has_in_a_batch(
    sizes: list[int], amplifiers: tuple[float, float], decades: float, seed: int
) -> None:
    gain, mismatch = amplifiers
    network = random_network(tuple(sizes), seed, gain=gain, decades=decades)
    if mismatch:
        rows = (mismatched(row, mismatch, seed) for row in network.amplifiers)
        rows = (replace(row, offset_v=np.linspace(-0.01, 0.02, len(row.gain))) for row in rows if row is not None)
        network = replace(network, amplifiers=tuple(rows))
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 3, seed))
    batch = settle(solver, sources)
    assert solver.alone is not None
    for image in range(3):
        alone = settle(solver, sources[image : image + 1])
        for mine, other, load in zip(alone.volts, batch.volts, solver.loads, strict=True):
            flowing = float((load * other[image].abs()).max())
            np.testing.assert_allclose(load * mine[0], load * other[image], atol=1e-10 * flowing + 1e-18)
        assert alone.residual_a.shape == (1,)
        assert float(alone.residual_a) <= 1e-12 * max(float(load.max()) for load in solver.loads), "of a source of 1 V"


def test_weak_ties_of_strong_clusters_are_solved_by_newton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers joined by 1 mS, held to the sources by 1 nS: sweeps alone would take millions."""
    weak, strong = DenseResistors(np.full((3, 2), 1e-9)), DenseResistors(np.full((3, 3), 1e-3))
    network = ResistiveNetwork((weak, strong), (free_layer(3), free_layer(3)), (None,), 1.0)
    solver = Solver(network)
    sources = solver.sources(torch.tensor([[1.0, 0.5]]))
    rest = settle(solver, sources)
    assert rest.sweeps <= 200
    for layer in rest.volts:  # no current flows to ground, so that all nodes are at the mean of the sources
        np.testing.assert_allclose(layer, 0.75, rtol=1e-9)
    monkeypatch.setattr(newton, "STEPS", 0)
    monkeypatch.setattr(settling, "MOST_SWEEPS", 100)
    with pytest.raises(UnsettledError, match=r"not at rest after 100 sweeps: .* A are left over"):
        settle(solver, sources)


@pytest.mark.slow
def test_weak_ties_of_clusters_too_large_to_be_solved_at_once() -> None:
    """More than 6,000 nodes, random resistors over six decades between the layers, held by 1 nS at most."""
    rng = np.random.default_rng(0)
    weak = DenseResistors(1e-9 * (0.1 + rng.random((3100, 2))))
    strong = DenseResistors(1e-3 * 10.0 ** -(6 * rng.random((3000, 3100))))
    network = ResistiveNetwork((weak, strong), (free_layer(3100), free_layer(3000)), (None,), 1.0)
    solver = Solver(network)
    sources = solver.sources(torch.tensor([[1.0, 0.5]]))
    rest = settle(solver, sources)
    assert rest.sweeps <= 120
    mean = float((weak.plus_s @ np.array([1.0, 0.5])).sum() / weak.plus_s.sum())
    for layer in rest.volts:  # strong ties keep all nodes where the weak ones together pull
        np.testing.assert_allclose(layer, mean, atol=1e-4)
    flowing = float((solver.loads[0] * rest.volts[0].abs()).max())
    assert float(rest.residual_a) <= 1e-12 * flowing
    into = torch.as_tensor(weak.plus_s) @ sources[0] - torch.as_tensor(weak.plus_s.sum(axis=1)) * rest.volts[0][0]
    assert float(into.sum().abs()) <= 1e-6 * float(torch.as_tensor(weak.plus_s.sum())), "what comes in goes out"


def test_nudges_by_voltage_and_by_current_move_the_output() -> None:
    network = random_network((4, 6, 3), 1, gain=2.0)
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 4, 2))
    free = settle(solver, sources).volts[-1]
    target = torch.tensor([[0.3, -0.2, 0.1]]).double().expand(4, 3)
    strong = settle(solver, sources, injections=[None, pulled(1.0, target)]).volts[-1]
    assert torch.allclose(strong, target, atol=1e-4)
    amperes = torch.full((4, 3), 1e-7).double()
    by_current = settle(solver, sources, injections=[None, pushed(amperes)]).volts[-1]
    assert bool((by_current > free).all())
    # a source behind a conductance is a current and that conductance
    beta = 2e-6
    pulled_there = settle(solver, sources, injections=[None, pulled(beta, target)]).volts[-1]
    as_current = settle(solver, sources, injections=[None, pushed(beta * (target - pulled_there))]).volts[-1]
    assert torch.allclose(pulled_there, as_current, atol=1e-10)
    with pytest.raises(ValueError, match=r"a nudge of -1 S at layer 2 outweighs the .* S that hold a node"):
        settle(solver, sources, injections=[None, pulled(-1.0, target)])


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0), (3, 2)])
def test_shared_conductances_are_those_of_the_unrolled_link(stride: int, padding: int) -> None:
    rng = np.random.default_rng(3)
    link = ConvResistors(rng.random((3, 2, 3, 3)), rng.random((3, 2, 3, 3)), (2, 5, 6), stride, padding)
    shared, single = Operator(link, "cpu"), Operator(unrolled(link), "cpu")
    below, above = torch.as_tensor(rng.random((4, 60))), torch.as_tensor(rng.random((4, int(np.prod(link.above)))))
    for ours, theirs in (
        (shared.load_above, single.load_above),
        (shared.load_below, single.load_below),
        (shared.up(below), single.up(below)),
        (shared.down(above), single.down(above)),
        (shared.heat(below, above), single.heat(below, above)),
    ):
        assert torch.allclose(ours, theirs, rtol=1e-12)


def test_a_node_behind_every_diode_solves_its_own_equation() -> None:
    bounds = Bounds(torch.tensor([0.0, -np.inf, -np.inf]).double(), torch.tensor([np.inf, 0.2, np.inf]).double())
    current, load = torch.linspace(-3e-6, 3e-6, 13).double()[:, None].expand(13, 3), torch.tensor([2e-6]).double()
    diode = Junction(1e-12, 1.3, 2e4)
    v = diode.node(current, load, bounds)

    thermal = 1.3 * 1.380649e-23 * 300.15 / 1.602176634e-19
    for node, (sign, bound) in enumerate([(-1, 0.0), (1, 0.2)]):
        brought = sign * (current - 2e-6 * v)[:, node]  # what is left of the current goes through the diode
        forward = brought > 1e-11
        drop = 2e4 * brought + thermal * torch.log1p(brought.clamp(min=0) / 1e-12)
        np.testing.assert_allclose(sign * (v[:, node] - bound)[forward], drop[forward], atol=1e-8)
        assert float(brought[~forward].min()) >= -1.02e-12, "backwards no more than the saturation current"
        assert 0 < int(forward.sum()) < len(forward)
    np.testing.assert_allclose(v[:, 2], current[:, 2] / 2e-6)
    z = torch.linspace(-50, 200, 501).double()
    np.testing.assert_allclose(wright_omega(z), wrightomega(z.numpy()), rtol=1e-13)


def layers_of(*units: int) -> tuple[Layer, ...]:
    return tuple(free_layer(n) for n in units)


GOOD = np.full((2, 2), 1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DenseResistors(np.array([[1e-6, -1e-6]])), r"a resistor of the plus rail has -1e-06 S at \(0, 1\)"),
        (lambda: DenseResistors(GOOD, np.array([[1e-6, np.nan], [1, 1]])), r"of the minus rail has nan S at \(0, 1\)"),
        (
            lambda: DenseResistors(np.array([[1e-6, 0.0]])),
            r"has 0.0 S at \(0, 1\): expected above 0 S \(a link that lacks resistors is sparse\)",
        ),
        (
            lambda: DenseResistors(np.array([[1e-6, -0.5]]), sparse=True),
            r"has -0.5 S at \(0, 1\): expected 0 S \(none\)",
        ),
        (
            lambda: ConvResistors(np.zeros((1, 1, 3, 3)), None, (1, 4, 4)),
            r"a resistor of the plus rail has 0.0 S at \(0, 0, 0, 0\)",
        ),
        (
            lambda: ResistiveNetwork((DenseResistors(np.diag([1e-6, 0.0]), sparse=True),), layers_of(2), (), 1.0),
            "node 1 of layer 1 is floating: no resistor leads to it",
        ),
        (
            lambda: ResistiveNetwork(
                (
                    DenseResistors(np.array([[1e-6], [0.0]]), sparse=True),
                    DenseResistors(np.diag([1e-6, 1e-6]), sparse=True),
                ),
                layers_of(2, 2),
                (None,),
                1.0,
            ),
            "the network is singular: no resistors lead from node 1 of layer 1 to a source or to ground",
        ),
        (lambda: matched(3, 0.0), "an amplifier has a gain of 0.0, expected a positive number"),
        (lambda: matched(3, -2.0), "an amplifier has a gain of -2.0"),
        (lambda: Knee(0.1, 0.0), "series_ohm is 0.0 Ohm, expected a positive number; 0 is an ideal diode"),
        (lambda: Junction(0.0), "saturation_a is 0.0 A"),
        (
            lambda: Layer(np.ones(1), np.zeros(1), np.zeros(1), np.zeros(1)),
            "node 0 is held between 1.0 V and 0.0 V: low must be below high",
        ),
        (lambda: ResistiveNetwork((DenseResistors(GOOD),), layers_of(3), (), 1.0), "leads to 2 nodes, layer 1 has 3"),
        (lambda: ResistiveNetwork((DenseResistors(GOOD),), layers_of(2), (), 0.0), "input_v is 0.0 V"),
    ],
)
def test_what_is_no_network_is_refused_by_name(make: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()  # type: ignore[operator]


def test_amplifiers_that_may_run_away_are_refused_and_matched_ones_never_are() -> None:
    """Nodes that see little of their source drive each other through unequal gains, up and down."""
    links = tuple(
        DenseResistors(1e-6 * np.array(g))
        for g in (
            [[0.001], [0.001]],
            [[8.6, 6.4], [5.2, 2.7]],
            [[3.1, 0.5], [0.8, 0.2]],
            [[1.8, 8.2], [6.5, 9.2]],
        )
    )
    rows = [
        Amplifiers(np.array(gain), np.array(back), np.zeros(2))
        for gain, back in (([1.0, 2.0], [8.0, 4.0]), ([2.0, 1.0], [1.0, 8.0]), ([0.25, 4.0], [2.0, 0.125]))
    ]
    layers = layers_of(2, 2, 2, 2)
    with pytest.raises(ValueError, match=r"amplifiers make a loop of gain 1.119, expected below 1: it may run away"):
        ResistiveNetwork(links, layers, tuple(rows), 1.0)
    for gain in (1e-3, 1.0, 1e3):
        matched_rows = (matched(2, gain),) * 3
        solver = Solver(ResistiveNetwork(links, layers, matched_rows, 1.0))
        rest = settle(solver, solver.sources(torch.ones(1, 1)))
        largest = max(float((load * v.abs()).max()) for load, v in zip(solver.loads, rest.volts, strict=True))
        assert float(rest.residual_a) <= 1e-14 * largest


def test_small_mismatch_is_let_pass_and_offsets_move_the_rest() -> None:
    network = random_network((4, 6, 5, 3), 4, gain=4.0)
    rng = np.random.default_rng(0)
    rows = tuple(
        Amplifiers(
            row.gain * (1 + 0.02 * rng.normal(size=len(row.gain))), row.back, 1e-3 * rng.normal(size=len(row.gain))
        )
        for row in network.amplifiers
        if row is not None
    )
    other = replace(network, amplifiers=rows)
    inputs = random_inputs(network, 2, 0)
    one, two = (settle(Solver(n), Solver(n).sources(inputs)) for n in (network, other))
    gap = float((one.volts[-1] - two.volts[-1]).abs().max())
    assert 1e-4 < gap < 0.3
    assert float(two.residual_a.max()) < 1e-15


def test_an_injection_of_zero_changes_nothing() -> None:
    network = random_network((3, 4, 2), 0)
    solver = Solver(network)
    sources = solver.sources(random_inputs(network, 2, 1))
    nothing = Injection(torch.zeros(2, 2).double(), 0.0)
    free, same = settle(solver, sources), settle(solver, sources, injections=[None, nothing])
    assert all(torch.equal(a, b) for a, b in zip(free.volts, same.volts, strict=True))
