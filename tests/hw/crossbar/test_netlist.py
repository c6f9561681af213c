"""The netlist of a tile against our nodal solution: solved by ngspice, and by a sparse solver of the text alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from hw.crossbar.files.netlist import bench_of, pins, subcircuit
from hw.crossbar.tiles.wires import Wires, effective_down, effective_up

Array = NDArray[np.float64]
WIRES = ((2.12, 6.36), (1.5, 0.0), (0.0, 3.0), (0.0, 0.0))


def by_sparse_solver(text: str, fixed_v: dict[str, float]) -> dict[str, float]:
    """Current out of every fixed node of the resistors in a netlist: Kirchhoff, knowing nothing of crossbars."""
    resistors = re.findall(r"^R\S+ (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    nodes = sorted({*fixed_v, *(node for a, b, _ in resistors for node in (a, b))})
    place = {node: k for k, node in enumerate(nodes)}
    rows, columns, values = [], [], []
    for a, b, ohm in resistors:
        for this, that in ((place[a], place[b]), (place[b], place[a])):
            rows += [this, this]
            columns += [this, that]
            values += [1 / float(ohm), -1 / float(ohm)]
    laplacian = coo_matrix((values, (rows, columns)), shape=(len(nodes),) * 2).tocsr()
    held = np.array([place[node] for node in fixed_v])
    free = np.setdiff1d(np.arange(len(nodes)), held)
    volts = np.zeros(len(nodes))
    volts[held] = list(fixed_v.values())
    if len(free):
        volts[free] = spsolve(laplacian[free][:, free].tocsc(), -laplacian[free][:, held] @ volts[held])
    currents = laplacian @ volts
    return {node: float(currents[place[node]]) for node in fixed_v}


def drawn(rows: int, columns: int, seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    g_s = rng.uniform(0, 25e-6, (rows, columns)) * (rng.random((rows, columns)) < 0.9)
    return g_s, rng.uniform(-0.2, 0.2, rows), rng.uniform(-0.2, 0.2, columns)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(WIRES), st.integers(0, 2**20))
def test_the_text_alone_says_what_the_tile_answers(
    rows: int, columns: int, ohm: tuple[float, float], seed: int
) -> None:
    g_s, up_v, down_v = drawn(rows, columns, seed)
    wires = Wires(*ohm, method="exact")
    text = subcircuit("tile", g_s, wires)
    names = pins(rows, columns)
    for driven, sensed, volts, expected in (
        (names[:rows], names[rows:], up_v, up_v @ effective_up(g_s, wires)),
        (names[rows:], names[:rows], down_v, down_v @ effective_down(g_s, wires).T),
    ):
        fixed = dict(zip(driven, volts.tolist(), strict=True)) | dict.fromkeys(sensed, 0.0)
        found = by_sparse_solver(text, fixed)
        currents = np.array([-found[name] for name in sensed])
        np.testing.assert_allclose(currents, expected, rtol=1e-9, atol=1e-9 * 25e-6 * 0.2)


@pytest.mark.skipif(which("ngspice") is None, reason="ngspice is not installed (apt install ngspice)")
@pytest.mark.parametrize("ohm", WIRES)
def test_ngspice_reads_the_tile_as_we_do(tmp_path: Path, ohm: tuple[float, float]) -> None:
    g_s, up_v, down_v = drawn(24, 17, 5)
    wires = Wires(*ohm, method="exact")
    (tmp_path / "tile.cir").write_text(subcircuit("tile", g_s, wires))
    for direction, volts, expected in (
        ("up", up_v, up_v @ effective_up(g_s, wires)),
        ("down", down_v, down_v @ effective_down(g_s, wires).T),
    ):
        bench = bench_of("tile", (24, 17), volts.tolist(), direction, "tile.cir")  # type: ignore[arg-type]
        (tmp_path / "bench.cir").write_text(bench)
        done = subprocess.run(["ngspice", "-b", "bench.cir"], cwd=tmp_path, capture_output=True, text=True, check=True)
        found = dict(re.findall(r"^i\(v(\d+)\) = (\S+)$", done.stdout, re.MULTILINE))
        currents = np.array([float(found[str(k)]) for k in range(len(expected))])
        np.testing.assert_allclose(currents, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_what_a_netlist_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"terminals are 'opposite': a netlist has pins for 'same' only"):
        subcircuit("tile", np.ones((2, 2)), Wires(1.0, 1.0, terminals="opposite"))
    with pytest.raises(ValueError, match=r"3 voltages, expected 2: one for every line driven down"):
        bench_of("tile", (4, 2), [1.0] * 3, "down", "tile.cir")
