"""What a sweep leaves for readers: report.md, summary.csv, and a picture for every number that was varied."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.records.folders import environment_of
from bench.reports.colours import COLOURS
from bench.reports.figures import LINE_FROM, new_figure, save_figure
from bench.reports.format import NOTHING, markdown, percent, si
from bench.sweeps.flat import rows_at
from bench.sweeps.grid import Grid
from bench.sweeps.place import Place
from bench.sweeps.points import Point
from models.files.whole import write_atomically

MOST_LINES = 1000
"""Rows that the report shows; summary.csv has all."""
MOST_CURVES = 10
"""Of a picture: more are not told apart."""


def write_report(
    place: Place,
    grid: Grid,
    points: Sequence[Point],
    command: str,
    unpublished: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Everything, from finished points; gives their rows, flat. `unpublished`: why points were left out."""
    finished = place.keys("rows")
    made = rows_at(place, [point.key for point in points if point.key in finished])  # in the order of the grid
    axes = [name.replace("-", "_") for name in grid.grid]
    names = list(dict.fromkeys(name for row in made for name in row))
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, names)
    writer.writeheader()
    writer.writerows(made)
    write_atomically(place.folder / "summary.csv", stream.getvalue().encode())
    pictures = draw(made, axes, place.folder)
    failed = [place.get("failed", point.key) for point in points if place.file("failed", point.key).exists()]
    lines = [
        f"# Sweep of {grid.command} over {', '.join(grid.grid)}",
        "",
        f"{len(points)} points, {len(failed)} failed. {environment_of(place.folder).words}",
        "",
        f"    {command}",
        "",
        *_table(made, axes),
        *(line for one in failed for line in ("", f"- failed at {one['coordinates']}: {one['error']}")),
        *(line for why in unpublished.values() for line in ("", f"- left out: {why}")),
        *(line for name in pictures for line in ("", f"![Accuracy]({name})")),
    ]
    write_atomically(place.folder / "report.md", ("\n".join(lines) + "\n").encode())
    return made


def _table(made: list[dict[str, Any]], axes: list[str]) -> list[str]:
    ends = [name for name in dict.fromkeys(key for row in made for key in row) if name.startswith("accuracy.")]
    heading = [*axes, "machine", "accuracy %", *(name.removeprefix("accuracy.") for name in ends), "energy"]
    lines = [
        [
            *(str(row.get(name, NOTHING)) for name in axes),
            f"{row['backend']} {row['precision']}",
            _accuracy(row),
            *(f"{100 * row[name]:.1f}" if name in row else NOTHING for name in ends),
            si(row.get("energy_j.nominal"), "J"),
        ]
        for row in made[:MOST_LINES]
    ]
    rest = len(made) - len(lines)
    return [*markdown(heading, lines), *(["", f"{rest} more rows are in summary.csv."] if rest else [])]


def _accuracy(row: dict[str, Any]) -> str:
    accuracy, interval = row.get("accuracy"), row.get("accuracy_ci95")
    if accuracy is None or interval is not None:
        return percent(accuracy, None if interval is None else [float(end) for end in interval.split()])
    return f"{100 * accuracy:.1f}"


def draw(made: list[dict[str, Any]], axes: list[str], folder: Path) -> list[str]:
    """accuracy-AXIS.png for every option with three numbers or more; a curve for all else that is varied."""
    files = []
    for axis in axes:
        numbers = {row[axis] for row in made if isinstance(row.get(axis), int | float)}
        if len(numbers) < 3:
            continue
        others = [name for name in axes if name != axis]
        curves: dict[str, list[dict[str, Any]]] = {}
        for row in made:
            if row.get(axis) in numbers and row.get("accuracy") is not None:
                where = [f"{name} {row.get(name)}" for name in others]
                curves.setdefault(", ".join([*where, f"{row['backend']} {row['precision']}"]), []).append(row)
        if not 0 < len(curves) <= MOST_CURVES:
            continue
        figure = new_figure(7.0, 4.2)
        plot = figure.subplots()
        for index, (label, along) in enumerate(curves.items()):
            _curve(plot, axis, sorted(along, key=lambda row: float(row[axis])), label, COLOURS[index % len(COLOURS)])
        # what ran: machines may have asked for another network than the options name
        model = ", ".join(dict.fromkeys(row["model"] for row in made if row.get("model")))
        plot.set(xlabel=axis.replace("_", " "), ylabel="accuracy, %", title=f"{model}, with 95 % intervals")
        plot.legend(frameon=False, fontsize=7)
        name = f"accuracy-{axis}"
        save_figure(figure, folder / f"{name}.png")
        files.append(f"{name}.png")
    return files


def _curve(plot: Any, axis: str, along: list[dict[str, Any]], label: str, colour: str) -> None:
    """Points with their intervals; a line where there are three or more."""
    places, heights = [row[axis] for row in along], [100 * row["accuracy"] for row in along]
    ends = [
        [100 * float(end) for end in (row.get("accuracy_ci95") or f"{row['accuracy']} {row['accuracy']}").split()]
        for row in along
    ]
    below = [height - low for height, (low, _) in zip(heights, ends, strict=True)]
    above = [high - height for height, (_, high) in zip(heights, ends, strict=True)]
    form = "o-" if len(along) >= LINE_FROM else "o"
    plot.errorbar(places, heights, yerr=(below, above), fmt=form, color=colour, capsize=3, label=label)
    dies = [
        (row[axis], 100 * float(die)) for row in along for die in str(row.get("crossbar.accuracy_by_die", "")).split()
    ]
    if dies:
        plot.scatter(*zip(*dies, strict=True), s=7, color=colour, alpha=0.5, linewidths=0)
