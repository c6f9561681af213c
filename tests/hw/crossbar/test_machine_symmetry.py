"""Both directions of a link: how far the wires make them differ, and how loaded the wires are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT
from helpers.crossbar_machines import PCM, dense_network, pooled_network

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.wires import Wires, effective_down, effective_up, kappa
from mapping.machines import to_crossbar


@pytest.mark.parametrize("wires", [Wires(0.0, 0.0), Wires(2.0, 5.0), Wires(2.0, 5.0, method="exact")])
def test_pairs_read_at_the_same_ends_stay_symmetric(wires):
    machine = to_crossbar(pooled_network(), Fabrication(PCM, replace(EXACT, rows=10, wires=wires)), steps=2)
    machine.age(1000.0)
    assert machine.mismatch() == {"link2": 0.0}


@pytest.mark.parametrize("terminals", ["same", "opposite"])
@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_mismatch_is_that_of_the_wired_conductances(encoding, terminals):
    wires = Wires(20.0, 30.0, terminals, method="exact")
    design = replace(EXACT, rows=10, columns=6, encoding=encoding, wires=wires)
    machine = to_crossbar(dense_network(), Fabrication(PCM, design), steps=2)
    found = machine.mismatch()
    assert list(found) == ["link2", "link3"]
    for name, link in zip(machine.names[1:], machine.links[1:], strict=True):
        up, down = np.zeros((2, *link.matrix.shape))
        for placed in link.matrix.placed:
            g_s, part = placed.tile.array.conductance_s(), (placed.outputs, placed.inputs)
            above, below = effective_up(g_s, wires), effective_down(g_s, wires)
            if encoding == "pair":
                up[part], down[part] = (g[:, ::2].T - g[:, 1::2].T for g in (above, below))
            else:  # each direction subtracts a reference of its own
                up[part], down[part] = (above[:-1, :-1] - above[:-1, -1:]).T, (below[:-1, :-1] - below[-1:, :-1]).T
        expected = np.linalg.norm(down - up) / np.linalg.norm(up)
        assert found[name] == pytest.approx(expected, rel=1e-4, abs=1e-12)
        assert (found[name] > 1e-4) == (terminals == "opposite" or encoding == "offset")


def test_the_load_of_the_wires_is_that_of_the_worst_tile():
    wires = Wires(2.0, 5.0)
    machine = to_crossbar(pooled_network(), Fabrication(PCM, replace(EXACT, rows=7, columns=6, wires=wires)), steps=2)
    found = machine.kappa()
    assert list(found) == ["link1", "link2", "readout"]
    for value, link in zip(found.values(), machine.links, strict=True):
        loads = [kappa(tile.array.conductance_s(), wires) for tile in link.matrix.tiles]
        assert value == max(loads) > 0
    assert set(to_crossbar(pooled_network(), Fabrication(PCM, EXACT), steps=2).kappa().values()) == {0.0}
