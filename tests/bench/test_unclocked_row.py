"""A row of a machine without clock and messages: what it does not count is missing, not nought."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.machines import DENSE, TOLERANCE
from helpers.relaxing_circuit import TIMES_S, RelaxingCircuit

from bench.evaluate import evaluate
from bench.machines import registry
from bench.machines.crossbar import CrossbarOptions, CrossbarWork
from bench.machines.registry import Backend, RowKey, Workload
from bench.records.rows import Row
from bench.reports.figures import draw_settling
from bench.reports.report import columns


def _rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The torch reference and the toy, on one small network."""
    toy = Backend(
        ("analog",),
        lambda work, job: [lambda: RelaxingCircuit(DENSE, tolerance=TOLERANCE)],  # noqa: ARG005
        lambda ledger, job, work, wall_s: ({}, {"hermes-14nm": "no crossbar"}),  # noqa: ARG005
        clocked=False,
    )
    monkeypatch.setitem(registry.BACKENDS, "toy", toy)
    nothing = CrossbarWork(CrossbarOptions(), 0, np.zeros(0, np.float32))
    work = Workload(DENSE, None, 40, 4, None, 1, "cpu", nothing)
    images = np.random.default_rng(0).random((6, 1, 2, 3)).astype(np.float32)
    labels = np.zeros(6, np.int64)
    return [
        evaluate(RowKey(*key), work, images, labels, {}, lambda what: None)  # noqa: ARG005
        for key in (("torch", "float"), ("toy", "analog"))
    ]


def test_what_is_not_counted_is_none_in_the_row_and_a_dash_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = _rows(monkeypatch)
    torch, toy = rows
    assert toy["accuracy"] == torch["accuracy"]
    assert (toy["steps"], torch["rest_s"]) == (None, None)
    assert TIMES_S[0] < toy["rest_s"] < TIMES_S[-1]
    assert toy["synops"] == {"dense": None, "zero_skip": None, "delta": None}
    assert toy["by_step"]["spikes"] is toy["by_step"]["synops_delta"] is torch["by_step"]["times_s"] is None
    assert toy["by_step"]["times_s"] == TIMES_S.tolist()
    assert len(toy["by_step"]["accuracy"]) == len(TIMES_S)
    shown = dict(columns(rows))
    for name in ("steps", "synops sent", "dense / delta"):
        assert shown[name][1] == "-", name
        assert shown[name][0] != "-", name
    draw_settling(rows, tmp_path / "settling.png")
    assert (tmp_path / "settling.png").stat().st_size > 0
