"""What a run prints on a terminal: tables whose figures stay whole, however narrow it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.records.row import Row
from bench.reports.provenance import mixed
from bench.reports.run_report import columns
from bench.reports.sweep_table import AXES, SWEEP, notes, sweep_lines

BORDERS = 3
"""Characters that a column takes beside its text."""


def print_run(rows: list[Row], folder: Path) -> None:
    """The summary, the points of a sweep, and where the report lies."""
    console = Console()
    named = columns(rows)
    heading, *lines = ([name, *cells] for name, cells in named)
    heading = ["per image", *heading[1:]]
    title = f"{rows[0].model}, {rows[0].images} images of {rows[0].data}"
    for table in tables(heading, lines, console.width, title):
        console.print(table)
    sweep = sweep_table(rows, console.width)
    for table in sweep:
        console.print(table)
    for line in [*notes(rows), *mixed(rows)]:
        console.print(line, markup=False)
    console.print(f"report and figures: {folder}", soft_wrap=True)


def tables(heading: Sequence[str], lines: Sequence[Sequence[str]], width: int, title: str) -> list[Table]:
    """The columns side by side in as many tables as the width takes, the first column in each: no cell is broken."""
    widths = [max(len(line[index]) for line in [heading, *lines]) + BORDERS for index in range(len(heading))]
    groups: list[list[int]] = [[]]
    for index in range(1, len(heading)):
        taken = 1 + widths[0] + sum(widths[other] for other in groups[-1])
        if groups[-1] and taken + widths[index] > width:
            groups.append([])
        groups[-1].append(index)
    made = []
    for number, group in enumerate(groups):
        table = Table(title=title if number == 0 else None, title_justify="left")
        table.add_column(heading[0], no_wrap=True)
        for index in group:
            table.add_column(heading[index], justify="right", no_wrap=True)
        for line in lines:
            table.add_row(line[0], *(line[index] for index in group))
        made.append(table)
    return made


def sweep_table(rows: list[Row], width: int) -> list[Table]:
    """The points of a sweep, what they have in common in the title, no column without a figure; none without points."""
    lines = sweep_lines(rows)
    if not lines:
        return []
    common = [len({line[index] for line in lines}) == 1 and index < len(AXES) for index in range(len(SWEEP))]
    fixed = ", ".join(f"{name} {lines[0][index]}" for index, name in enumerate(SWEEP) if common[index])
    shown = [index for index in range(len(SWEEP)) if not common[index] and any(line[index] != "-" for line in lines)]
    if len(lines) == 1:
        return []
    cells = [[line[index] for index in shown] for line in lines]
    title = f"every point; {fixed}" if fixed else "every point"
    return tables([SWEEP[index] for index in shown], cells, width, title)
