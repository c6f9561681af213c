"""ngspice as judge: voltages and power of random networks, with every kind of diode, and what is said without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.resistive_examples import needs_ngspice, random_inputs, random_network

from hw.resistive import spice
from hw.resistive.diodes import Diode, Ideal, Junction, Knee
from hw.resistive.netlist import netlist
from hw.resistive.network import ResistiveNetwork
from hw.resistive.power import delivered_w, dissipated_w
from hw.resistive.settling import settle
from hw.resistive.solver import Solver
from hw.resistive.spice import SpiceError, run_spice

SMALL = [((6, 10, 4), 1.0), ((5, 3), 1.0), ((8, 12, 7, 5), 4.0), ((3, 5, 4, 3, 2), 2.0), ((20, 16, 8), 0.5)]
LARGE = [((64, 64, 10), 1.0), ((90, 100, 20), 1.0), ((60, 80, 60, 10), 4.0), ((32, 64, 32, 16, 10), 4.0)]


def gaps(network: ResistiveNetwork, seed: int) -> tuple[float, float]:
    """Largest distance of a node in volts, and of the power in shares: ours from SPICE's."""
    inputs, solver = random_inputs(network, 1, seed), Solver(network)
    sources = solver.sources(inputs)
    rest = settle(solver, sources)
    found = run_spice(netlist(network, inputs[0].numpy(), "op"))
    theirs = found.volts(network)
    off = max(float(np.abs(a[-1] - b[0].numpy()).max()) for a, b in zip(theirs, rest.volts, strict=True))
    heat = float(sum(dissipated_w(solver, sources, rest.volts).values()))
    assert heat == pytest.approx(float(delivered_w(solver, sources, rest.volts)), rel=1e-9)
    return off, abs(found.delivered_w(network) - heat) / heat


@needs_ngspice
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("sizes", "gain"), SMALL)
def test_ideal_diodes(sizes: tuple[int, ...], gain: float, seed: int) -> None:
    volts, power = gaps(random_network(sizes, seed, gain=gain, both_rails=seed == 3), seed)
    assert volts <= 1e-9
    assert power <= 1e-9


@needs_ngspice
@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "gain"), LARGE)
def test_ideal_diodes_of_large_networks(sizes: tuple[int, ...], gain: float) -> None:
    volts, power = gaps(random_network(sizes, 7, gain=gain), 7)
    assert volts <= 1e-9
    assert power <= 1e-9


@needs_ngspice
@pytest.mark.parametrize("diode", [Knee(0.05, 1e4), Junction(1e-14, 1.0), Junction(1e-7, 1.05, 500.0)])
def test_diodes_with_a_knee_are_within_a_thousandth_of_the_supply(diode: Diode) -> None:
    """Straight lines, silicon and Schottky; supply 1 V. To what SPICE allows its own junctions."""
    for sizes, gain in SMALL[:4]:
        volts, power = gaps(random_network(sizes, 2, gain=gain, diode=diode), 2)
        assert volts <= 1e-4
        assert power <= 1e-4


@needs_ngspice
def test_what_a_real_diode_costs_is_shown() -> None:
    """Silicon instead of ideal diodes moves nodes by tenths of a volt where the supply is 1 V."""
    ideal, real = random_network((16, 32, 8), 0), random_network((16, 32, 8), 0, diode=Junction(1e-14))
    inputs = random_inputs(ideal, 1, 0)
    volts = [settle(Solver(n), Solver(n).sources(inputs)).volts[0] for n in (ideal, real)]
    assert 0.1 < float((volts[0] - volts[1]).abs().max()) < 1.0


def test_without_ngspice_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spice, "PROGRAM", "ngspice-that-is-not-there")
    with pytest.raises(SpiceError, match=r"is not installed: it is in the package ngspice \(apt-get install ngspice\)"):
        run_spice("* nothing\n")


@needs_ngspice
def test_a_netlist_that_spice_cannot_read_is_told() -> None:
    with pytest.raises(SpiceError, match="gave no answer"):
        run_spice("* wrong\nR1 a 0\n.control\nop\nquit\n.endc\n.end\n")


def test_a_network_too_large_for_spice_is_refused() -> None:
    network = random_network((400, 300, 10), 0)
    with pytest.raises(ValueError, match=r"resistors: SPICE takes hours beyond 200,000, use a smaller network"):
        netlist(network, torch.zeros(400).numpy(), "op")


def test_an_ideal_diode_is_named_as_such() -> None:
    assert "sidiode(Ron=1e-06 Roff=1e15 Vfwd=0.0" in netlist(random_network((2, 2, 1), 0), np.zeros(2), "op")
    assert Ideal() == Ideal()
