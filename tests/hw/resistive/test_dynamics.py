"""Settling in time: closed form, eigenvalues, two integrators, and SPICE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.resistive_examples import needs_ngspice, random_inputs, random_network

from hw.resistive import dynamics
from hw.resistive.diodes import Knee
from hw.resistive.dynamics import integrate, rest_s, settle_in_time, time_constants_s
from hw.resistive.links import DenseResistors
from hw.resistive.netlist import netlist
from hw.resistive.network import ResistiveNetwork, free_layer
from hw.resistive.parasitics import Parasitics, driven_f, node_capacities
from hw.resistive.settling import settle
from hw.resistive.solver import Solver
from hw.resistive.spice import run_spice

FARAD = 1e-13


def farads(network: ResistiveNetwork) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    return [torch.as_tensor(FARAD * (0.5 + rng.random(units))) for units in network.units]


def test_one_node_charges_as_the_closed_form_says() -> None:
    network = ResistiveNetwork((DenseResistors(np.array([[2e-6]])),), (free_layer(1),), (), 1.0)
    solver, farad = Solver(network), [torch.tensor([1e-13]).double()]
    slow, fast = time_constants_s(solver, farad)
    assert slow == pytest.approx(5e-8)
    assert fast == pytest.approx(5e-8)
    times = np.linspace(2e-9, 4e-7, 200)
    expected = 1 - np.exp(-times / 5e-8)
    sources = solver.sources(torch.ones(1, 1))
    exact = integrate(solver, sources, farad, times).volts[0][:, 0, 0]
    np.testing.assert_allclose(exact, expected, atol=1e-6)
    euler = settle_in_time(solver, sources, farad, times, substeps=4).volts[0][:, 0, 0]
    np.testing.assert_allclose(euler, expected, atol=3e-3)
    reached = rest_s(times, exact[:, None].numpy(), 0.01)
    assert reached == pytest.approx(5e-8 * np.log(100 / (1 + 99 * np.exp(-8))), rel=3e-2)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_lanczos_finds_what_all_eigenvalues_say(gain: float, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network((5, 9, 8, 6), 1, gain=gain)
    solver, farad = Solver(network), farads(network)
    free = [v[0] != 0 for v in settle(solver, solver.sources(random_inputs(network, 1, 0))).volts]
    dense = time_constants_s(solver, farad), time_constants_s(solver, farad, free)
    monkeypatch.setattr(dynamics, "DENSE", 0)
    assert time_constants_s(solver, farad) == pytest.approx(dense[0], rel=1e-4)
    held = time_constants_s(solver, farad, free)[0]
    assert held == pytest.approx(dense[1][0], rel=1e-4)
    assert held <= dense[0][0] * (1 + 1e-9), "a diode that conducts makes no node slower"


def test_both_integrators_end_where_sweeps_come_to_rest() -> None:
    network = random_network((4, 8, 6, 3), 3, gain=2.0)
    solver, farad = Solver(network), farads(network)
    sources = solver.sources(random_inputs(network, 2, 1))
    times = time_constants_s(solver, farad)[0] * np.geomspace(0.02, 30, 30)
    rest = settle(solver, sources)
    euler = settle_in_time(solver, sources, farad, times, substeps=4)
    for image in range(2):
        exact = integrate(solver, sources[image : image + 1], farad, times)
        for mine, other, end in zip(euler.volts, exact.volts, rest.volts, strict=True):
            largest = float(end.abs().max())
            np.testing.assert_allclose(other[-1, 0], end[image], atol=1e-4 * largest)
            np.testing.assert_allclose(mine[-1, image], end[image], atol=1e-4 * largest)
            np.testing.assert_allclose(mine[:, image], other[:, 0], atol=0.06 * largest)


def with_bandwidth(network: ResistiveNetwork, bandwidth_hz: float | None) -> ResistiveNetwork:
    rows = tuple(None if row is None else replace(row, bandwidth_hz=bandwidth_hz) for row in network.amplifiers)
    return replace(network, amplifiers=rows)


@pytest.mark.parametrize("bandwidth_hz", [2e6, 5e6, 1e10])
def test_slow_amplifiers_are_part_of_the_slowest_time_constant(
    bandwidth_hz: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How fast the stiff integrator's last distance from rest shrinks; and Lanczos where all are not computed."""
    network = with_bandwidth(random_network((5, 9, 8, 6), 1, gain=3.0), bandwidth_hz)
    free = replace(
        network,
        layers=tuple(
            replace(free_layer(n), leak_s=x.leak_s) for n, x in zip(network.units, network.layers, strict=True)
        ),
    )
    solver, farad = Solver(free), farads(free)
    sources = solver.sources(random_inputs(free, 1, 0))
    slow, fast = time_constants_s(solver, farad)
    times = slow * np.linspace(6, 9, 61)
    path = integrate(solver, sources, farad, times)
    end = settle(solver, sources).volts
    far = [
        float(max((layer[t] - last).abs().max() for layer, last in zip(path.volts, end, strict=True)))
        for t in range(61)
    ]
    seen = -3 * slow / np.log(far[-1] / far[0])
    assert seen == pytest.approx(slow, rel=0.02)
    as_fast_as_one_likes = time_constants_s(Solver(with_bandwidth(free, None)), farad)
    assert slow > as_fast_as_one_likes[0]
    if bandwidth_hz == 1e10:
        assert slow == pytest.approx(as_fast_as_one_likes[0], rel=0.01)
    monkeypatch.setattr(dynamics, "DENSE", 0)
    assert time_constants_s(solver, farad) == pytest.approx((slow, fast), rel=1e-4)


def test_the_batched_rule_follows_slow_amplifiers_as_the_stiff_integrator_does() -> None:
    network = with_bandwidth(random_network((4, 8, 6, 3), 3, gain=2.0), 2e6)
    solver, farad = Solver(network), farads(network)
    sources = solver.sources(random_inputs(network, 2, 1))
    slow = time_constants_s(solver, farad)[0]
    times = slow * np.geomspace(0.02, 30, 30)
    euler = settle_in_time(solver, sources, farad, times, substeps=8)
    fast = settle_in_time(Solver(with_bandwidth(network, None)), sources, farad, times, substeps=8)
    for image in range(2):
        exact = integrate(solver, sources[image : image + 1], farad, times)
        for mine, other in zip(euler.volts, exact.volts, strict=True):
            largest = float(other[-1].abs().max())
            np.testing.assert_allclose(mine[:, image], other[:, 0], atol=0.04 * largest)
        unlike = (fast.volts[-1][:, image] - exact.volts[-1][:, 0]).abs().max()
        assert float(unlike) > 0.1 * largest, "the bandwidth is felt"


@needs_ngspice
@pytest.mark.parametrize(("gain", "bandwidth_hz"), [(1.0, None), (4.0, None), (4.0, 2e8)])
def test_spice_settles_as_soon(gain: float, bandwidth_hz: float | None) -> None:
    """To 0.1 %, within 1 % of the time; amplifiers with one pole too."""
    network = random_network((6, 10, 8, 4), 2, gain=gain)
    network = with_bandwidth(network, bandwidth_hz)
    solver, farad, inputs = Solver(network), farads(network), random_inputs(network, 1, 4)
    end_s = 14 * time_constants_s(solver, farad)[0] + (0.0 if bandwidth_hz is None else 14 / (2 * np.pi * bandwidth_hz))
    path = integrate(solver, solver.sources(inputs), farad, np.linspace(0, end_s, 2001)[1:])
    line = f"tran {end_s / 1000!r} {end_s!r} 0 {end_s / 1000!r} uic"
    found = run_spice(netlist(network, inputs[0].numpy(), line, [c.numpy() for c in farad]))
    ours = np.concatenate([layer[:, 0].numpy() for layer in path.volts], axis=1)
    theirs = np.concatenate(found.volts(network), axis=1)
    mine, other = rest_s(path.times_s, ours, 1e-3), rest_s(found.values["time"], theirs, 1e-3)
    assert mine == pytest.approx(other, rel=0.01)


def test_capacities_count_the_cells_of_a_node() -> None:
    network = random_network((4, 6, 3), 0, gain=2.0)
    below, above = node_capacities(network, Parasitics(1e-15, 10e-15))
    np.testing.assert_allclose(below, 10e-15 + (2 * 4 + 3) * 1e-15)
    np.testing.assert_allclose(above, 10e-15 + 6 * 1e-15)
    assert driven_f(network, Parasitics(1e-15, 0.0)) == pytest.approx((4 * 6 * 2 + 6 * 3) * 1e-15)
    with pytest.raises(ValueError, match=r"cell_f is -1.0 F, expected 0 to"):
        Parasitics(cell_f=-1.0)
    with pytest.raises(ValueError, match="both 0 F"):
        Parasitics(0.0, 0.0)


def test_what_is_not_followed_in_time_is_refused() -> None:
    network = random_network((3, 4, 2), 0)
    solver = Solver(network)
    with pytest.raises(ValueError, match="2 images, expected one"):
        integrate(solver, solver.sources(random_inputs(network, 2, 0)), farads(network), np.array([1e-9]))
    other = Solver(replace(network, diode=Knee(0.1, 1e3)))
    with pytest.raises(ValueError, match="only ideal ones are followed in time"):
        integrate(other, other.sources(random_inputs(network, 1, 0)), farads(network), np.array([1e-9]))
