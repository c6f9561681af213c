"""Robust accuracy from kept rows of bench.robustness, of the same network on the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.compare.row import CompareRow
from bench.records.robust_row import RobustRow
from bench.records.rows_file import read_rows
from bench.robustness.suites import WORST

KEPT = Path(__file__).parents[1] / "results" / "robustness"


def kept_rows(folder: Path = KEPT) -> list[RobustRow]:
    """What the worst of all attacks left, of every study that is kept; none where the program was installed without."""
    files = sorted(folder.glob("*/rows.jsonl"))
    every = (RobustRow.from_json(row) for file in files for row in read_rows(file))
    return [row for row in every if row.attack == WORST]


def with_robustness(rows: Sequence[CompareRow], folder: Path = KEPT) -> list[CompareRow]:
    """The rows, each with what is known of it: of dies and chips nothing is taken from a processor."""
    known: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in kept_rows(folder):
        ball = known.setdefault((row.model, row.backend, row.precision), {})
        ball[f"{row.norm} {row.eps:.3g}"] = row.accuracy
    return [replace(row, robust=known.get((row.network, row.backend, row.precision), {})) for row in rows]
