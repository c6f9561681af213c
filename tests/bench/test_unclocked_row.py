"""A row of a machine without clock and messages: what it does not count is missing, not nought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers.machines import DENSE, TOLERANCE
from helpers.relaxing_circuit import TIMES_S, RelaxingCircuit

from bench.evaluate import Origin, Shown, evaluate
from bench.machines.backend import Backend, Conditions, Prices, RowKey, Settling, Workload
from bench.machines.torch import TorchBackend
from bench.records.row import Row
from bench.reports.figures import draw_settling
from bench.reports.run_report import columns
from hw.ledger import Ledger
from hw.machine import Machine


@dataclass(frozen=True)
class Relaxing(Backend):
    """The toy of the helpers."""

    name = "relaxing"
    precisions = ("analog",)

    def open(self, work: Workload, key: RowKey) -> Sequence[Callable[[], Machine]]:  # noqa: ARG002
        return [lambda: RelaxingCircuit(work.network, tolerance=TOLERANCE)]

    def prices(self, ledger: Ledger, key: RowKey, work: Workload, wall_s: float) -> Prices:  # noqa: ARG002
        return Prices({}, {})

    def coding(self, precision: str) -> None:  # noqa: ARG002
        return None


def _row(backend: Backend) -> Row:
    images = np.random.default_rng(0).random((6, 1, 2, 3)).astype(np.float32)
    work = Workload(DENSE, None, Conditions(Settling(40, 4), images, 0, "cpu"))
    key = RowKey(backend.name, backend.precisions[0])
    shown = Shown(images, np.zeros(6, np.int64), {})
    return evaluate(backend, key, work, shown, Origin("dense", "noise", 0), lambda what: None)[0]  # noqa: ARG005


def test_what_is_not_counted_is_none_in_the_row_and_a_dash_in_the_table(tmp_path: Path) -> None:
    reference, toy = _row(TorchBackend()), _row(Relaxing())
    assert toy.accuracy == reference.accuracy
    assert toy.steps is toy.synops is toy.coding is reference.rest_s is None
    assert toy.rest_s is not None
    assert TIMES_S[0] < toy.rest_s < TIMES_S[-1]
    assert toy.by_step is not None
    assert toy.by_step.keys() == {"accuracy", "accuracy_ci95", "times_s"}
    assert toy.by_step["times_s"] == TIMES_S.tolist()
    assert len(toy.by_step["accuracy"]) == len(TIMES_S)
    shown = dict(columns([reference, toy]))
    for name in ("steps", "synops sent", "dense / delta"):
        assert shown[name][1] == "-", name
        assert shown[name][0] != "-", name
    assert shown["time to rest"][0] == "-"
    draw_settling([reference, toy], tmp_path / "settling.png")
    assert (tmp_path / "settling.png").stat().st_size > 0
