"""Robust accuracy from kept rows of bench.robustness, of the same network on the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.compare.row import CompareRow
from bench.records.robust_row import RobustRow
from bench.records.rows_file import read_rows
from bench.robustness.suites import STRONGEST, TWIN, WORST

KEPT = Path(__file__).parents[1] / "results"
FOLDERS = "robustness*"
"""Studies of networks, and of networks on machines."""
SHOWN_TO_IT = "of the network"
"""Said of attacks on the network in floats whose images a machine was shown, which was not attacked by everything."""


def kept_rows(folder: Path = KEPT) -> list[RobustRow]:
    """What all attacks left of a network, and the strongest of them of machines that were shown its images, of every
    study that is kept, those of most images last, and of as many those that found most; none where the program was
    installed without."""
    files = sorted(folder.glob(f"{FOLDERS}/*/rows.jsonl"))
    every = (RobustRow.from_json(row) for file in files for row in read_rows(file))
    known = [row for row in every if row.attack == WORST or (row.attack == STRONGEST and row.threat == TWIN)]
    return sorted(known, key=lambda row: (row.images, -row.accuracy))


def with_robustness(
    rows: Sequence[CompareRow], kept: Sequence[RobustRow], point: Any = None, *, exact_changes: bool = False
) -> list[CompareRow]:
    """The rows of a machine, each with what is known of it: of dies and chips nothing is taken from a processor, and of
    dies nothing from those of another device.

    Args:
        rows: Of one machine.
        kept: Those of `kept_rows`.
        point: Of its sweep: device, hours, noise; None of machines without.
        exact_changes: A chip that sends changes makes no error by it: its answers are those of states sent whole.
    """
    of_dies = None if point is None else vars(point)
    known: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in (row for row in kept if row.point == of_dies):
        ball = f"{row.norm} {row.eps:.3g}"
        # images made on the network stand in where a machine was not attacked by everything
        name = ball if row.attack == WORST else f"{ball} {SHOWN_TO_IT}"
        known.setdefault((row.model, row.backend, row.precision), {})[name] = row.accuracy

    def of(row: CompareRow) -> dict[str, float]:
        same = "fixed" if exact_changes and (row.backend, row.precision) == ("lava", "delta") else row.precision
        return known.get((row.network, row.backend, same), {})

    return [replace(row, robust=of(row)) for row in rows]
