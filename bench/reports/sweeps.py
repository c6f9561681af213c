"""Pictures of a sweep of dies: accuracy against noise, time, converter resolution and tile size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from bench.records.row import Row
from bench.reports.colours import COLOURS
from bench.reports.figures import LINE_FROM, dies_of, new_figure, save_figure, subject
from bench.reports.sweep_table import AXES, dies, main_point

LABELS = {
    "noise_scale": "noise, times the published one",
    "hours": "hours after programming",
    "adc_bits": "bits of the converters",
    "tile_size": "weights in a row and column of a tile",
}
LEGENDS = {"noise_scale": "noise x {}", "hours": "after {} h", "adc_bits": "{} bits", "tile_size": "tiles of {}"}
APART_PT = 5
"""Between series, on the page."""
IDEAL_BITS = 16
"""Where an ideal converter is drawn."""


def draw_sweeps(rows: list[Row], folder: Path) -> list[str]:
    """One picture for every axis that was swept, sweep-AXIS.png, with one line for every value of the next swept axis.

    Axes that are in neither stand at the value of the disturbed point. Returns the names of the files.
    """
    swept_rows = dies(rows)
    reference = main_point(swept_rows)
    if reference is None:
        return []
    values = {axis: list(dict.fromkeys(row.at(axis) for row in swept_rows)) for axis in AXES}
    swept = [axis for axis in AXES if len(values[axis]) > 1]
    float_accuracy = next(row.accuracy or 0.0 for row in rows if row.point is None)
    files = []
    for axis in swept:
        other = next((name for name in swept if name not in (axis, "device")), None)
        figure = new_figure(6.4 if axis != "device" else 8.0, 4.2)
        axes = figure.subplots()
        for index, value in enumerate(values[other] if other else [None]):
            along = [
                row
                for row in swept_rows
                if row.accuracy is not None
                and all(row.at(name) == (value if name == other else reference[name]) for name in AXES if name != axis)
            ]
            if along:
                label = None if other is None else LEGENDS[other].format(_text(value))
                _draw(axes, axis, values[axis], along, label, COLOURS[index % len(COLOURS)], index)
        if axis == "device":
            line = axes.axvline(100 * float_accuracy)
            axes.set(xlabel="accuracy, %")
        else:
            line = axes.axhline(100 * float_accuracy)
            axes.set(xlabel=LABELS[axis], ylabel="accuracy, %")
        line.set(color="#888888", linewidth=1, linestyle=":", label="float")
        axes.set_title(f"{subject(swept_rows)}\nevery die, and means with 95 % intervals", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
        name = f"sweep-{axis}.png"
        save_figure(figure, folder / name)
        files.append(name)
    return files


def _draw(
    axes: Axes, axis: str, values: list[Any], line: list[Row], label: str | None, colour: str, index: int
) -> None:
    """Means with their intervals, the dies beside them, and a line where there are points enough."""
    accuracy = [100 * (row.accuracy or 0.0) for row in line]
    bounds = [[100 * bound for bound in row.accuracy_ci95 or ()] for row in line]
    low = [middle - ends[0] for middle, ends in zip(accuracy, bounds, strict=True)]
    high = [ends[1] - middle for middle, ends in zip(accuracy, bounds, strict=True)]
    dies = [100 * die for row in line for die in dies_of(row)]
    if axis == "device":
        places = [values.index(row.at(axis)) + 0.15 * index for row in line]
        axes.errorbar(accuracy, places, xerr=(low, high), fmt="o", color=colour, capsize=3, label=label)
        beside = [place for place, row in zip(places, line, strict=True) for _ in dies_of(row)]
        axes.scatter(dies, [place + 0.07 for place in beside], s=7, color=colour, alpha=0.5, linewidths=0)
        axes.set_yticks(range(len(values)), values)
        axes.set_ylim(len(values), -1)
        return
    places = [IDEAL_BITS if row.at(axis) is None else row.at(axis) for row in line]
    if axis == "hours":
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks(
            [0, *(place for place in values if place)], [f"{place:g}" for place in [0, *filter(None, values)]]
        )
    elif axis == "tile_size":
        axes.set_xscale("log", base=2)
    if axis == "adc_bits":
        axes.set_xticks(places, [_text(row.at(axis)) for row in line])
    # series stand beside each other, in points of the page: intervals that lie on each other cannot be read
    aside = ScaledTranslation(index * APART_PT / 72, 0, axes.figure.dpi_scale_trans)
    axes.errorbar(
        places,
        accuracy,
        yerr=(low, high),
        fmt="o-" if len(places) >= LINE_FROM else "o",
        color=colour,
        capsize=3,
        label=label,
        transform=axes.transData + aside,
    )
    beside = [place for place, row in zip(places, line, strict=True) for _ in dies_of(row)]
    dots = ScaledTranslation((index + 0.5) * APART_PT / 72, 0, axes.figure.dpi_scale_trans)
    axes.scatter(beside, dies, s=7, color=colour, alpha=0.5, linewidths=0, transform=axes.transData + dots)
    ends = [(place, end) for place, pair in zip(places, bounds, strict=True) for end in pair]
    axes.update_datalim([*ends, *zip(beside, dies, strict=True)])
    axes.autoscale_view()
    axes.margins(x=0.08)


def _text(value: Any) -> str:
    return "ideal" if value is None else f"{value:g}" if isinstance(value, float | int) else str(value)
