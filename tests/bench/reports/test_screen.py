"""Tables on a terminal: on 80 columns every figure stays whole, for any number of machines."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from bench.records.row import Row
from bench.reports.blocks import learning_rows_of, rows_of
from bench.reports.learning import print_tables
from bench.reports.learning import tables as learning_tables
from bench.reports.run_report import columns
from bench.reports.screen import print_run, sweep_table, tables

WIDTH = 80


def shown(made: list[Table], width: int) -> list[list[str]]:
    """Cells of every line that is printed."""
    out = io.StringIO()
    console = Console(file=out, width=width)
    for table in made:
        console.print(table)
    return cells(out.getvalue())


def cells(text: str) -> list[list[str]]:
    """The same of what was printed."""
    lines = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")] for line in lines]


def whole(named: list[tuple[str, list[str]]]) -> set[tuple[str, str]]:
    """(line, cell) of a summary."""
    return {(name, cell) for name, found in named for cell in found}


def machines(count: int) -> list[Row]:
    """So many machines without a sweep, with the figures of those that were run."""
    every = [*rows_of("digits"), replace(rows_of("mnist")[-1], backend="analog wafer", point=None, details={})]
    return [replace(every[index % len(every)], seed=index) for index in range(count)]


@pytest.mark.parametrize("count", range(2, 9))
def test_the_summary_keeps_every_cell_whole_on_80_columns(
    count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    rows, out = machines(count), io.StringIO()
    with redirect_stdout(out):
        print_run(rows, tmp_path)
    text = out.getvalue()
    assert "…" not in text
    *lines, last = text.splitlines()
    assert last == f"report and figures: {tmp_path}"
    assert max(map(len, lines)) <= WIDTH
    printed = cells(text)
    titles = [title for title, _ in columns(rows)]
    names = ["per image", *titles[1:]]
    assert [line[0] for line in printed] == names * (len(printed) // len(names)), "a cell that wraps adds a line"
    found = {(titles[names.index(line[0])], cell) for line in printed for cell in line[1:]}
    assert found == whole(columns(rows))
    assert sum(len(line) - 1 for line in printed if line[0] == "per image") == count


@pytest.mark.parametrize("name", ["digits-crossbar", "digits-crossbar-noise"])
def test_points_of_a_sweep_keep_every_cell_whole(name: str) -> None:
    rows = rows_of(name)
    (wide,), narrow = sweep_table(rows, 1000), sweep_table(rows, WIDTH)
    assert len(narrow) > 1
    heading, *lines = shown([wide], 1000)
    assert len(lines) == sum(row.point is not None for row in rows)
    printed = shown(narrow, WIDTH)
    assert len(printed) == len(narrow) * (1 + len(lines))
    side_by_side: list[list[str]] = [line[:1] for line in printed[: 1 + len(lines)]]
    for number, line in enumerate(printed):
        side_by_side[number % (1 + len(lines))] += line[1:]
    assert side_by_side == [heading, *lines]


def test_one_point_needs_no_table() -> None:
    assert sweep_table(rows_of("mnist"), WIDTH) == []
    assert sweep_table(rows_of("digits"), WIDTH) == []


@pytest.mark.parametrize("name", ["digits-repair", "digits-scratch", "digits-beta"])
def test_tables_of_studies_keep_every_cell_whole(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    rows, out = learning_rows_of(name), io.StringIO()
    with redirect_stdout(out):
        print_tables(rows, tmp_path)
    assert "…" not in out.getvalue()
    printed = {cell for line in cells(out.getvalue()) for cell in line}
    for _, heading, lines in learning_tables(rows):
        assert {*heading, *(cell for line in lines for cell in line)} <= printed


WORDS = st.text("abc 12", min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), count=st.integers(1, 6), lines=st.integers(1, 4))
def test_columns_go_side_by_side_as_far_as_they_fit(data: Any, count: int, lines: int) -> None:
    cell_texts = st.lists(WORDS, min_size=1 + count, max_size=1 + count)
    heading, *rest = (data.draw(cell_texts) for _ in range(1 + lines))
    made = tables(heading, rest, WIDTH, "title")
    assert sum(len(table.columns) - 1 for table in made) == count
    printed = shown(made, WIDTH)
    assert len(printed) == len(made) * (1 + lines)
    for number, line in enumerate([heading, *rest]):
        again = [cell for table in range(len(made)) for cell in printed[table * (1 + lines) + number][1:]]
        assert again == line[1:]
    # no table has room for the first column of the next one; a column takes a blank on both sides and a line
    parts = [printed[place : place + 1 + lines] for place in range(0, len(printed), 1 + lines)]
    widths = [[max(map(len, column)) + 3 for column in zip(*part, strict=True)] for part in parts]
    assert all(1 + sum(here) + after[1] > WIDTH for here, after in pairwise(widths))
