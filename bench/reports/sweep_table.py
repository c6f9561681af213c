"""Dies of a sweep as tables: every point, and every device against its age."""

from __future__ import annotations

from statistics import fmean

from bench.machines.crossbar_dies import AXES, Point, strangeness
from bench.records.row import Row
from bench.reports.format import NOTHING, percent, si

SWEEP = (
    "device",
    "noise",
    "hours",
    "ADC bits",
    "tile",
    "accuracy %",
    "worst die",
    "residual",
    "mismatch",
    "kappa",
    "clipped %",
    "energy",
    "latency",
    "write pulses",
    "write energy",
)


def dies(rows: list[Row]) -> list[Row]:
    """Those of crossbars."""
    return [row for row in rows if row.backend == "crossbar"]


def main_point(rows: list[Row]) -> dict[str, object] | None:
    """The point that was disturbed; None without dies, or where the source of the device says nothing there."""
    rows = dies(rows)
    if not rows:
        return None
    row = min(rows, key=lambda row: strangeness(Point(**row.point)))  # type: ignore[arg-type]
    return None if row.accuracy is None else row.point


def sweep_lines(rows: list[Row]) -> list[list[str]]:
    """One line of cells, named by `SWEEP`, for every point of a sweep of dies; dashes where nothing is published."""
    lines = []
    for row in dies(rows):
        point = row.point
        assert point is not None
        bits = "ideal" if point["adc_bits"] is None else str(point["adc_bits"])
        named = [point["device"], f"{point['noise_scale']:g}", f"{point['hours']:g}", bits, str(point["tile_size"])]
        if row.accuracy is None or row.residual is None:
            lines.append([*named, *[NOTHING] * (len(SWEEP) - len(named))])
            continue
        clipped = max(max(pair) for pair in row.crossbar["tiles"]["clipped"])
        lines.append(
            [
                *named,
                percent(row.accuracy, row.accuracy_ci95),
                f"{100 * min(row.crossbar['accuracy_by_die']):.1f}",
                f"{row.residual['median']:.2g}",
                f"{_largest(row, 'mismatch'):.2g}",
                f"{_largest(row, 'kappa'):.2g}",
                f"{100 * clipped:.2f}",
                si(row.energy_j["nominal"], "J"),
                si(row.latency_s["nominal"], "s"),
                si(written(row, "pulses"), ""),
                si(written(row, "energy_j"), "J"),
            ]
        )
    return lines


def notes(rows: list[Row]) -> list[str]:
    """What is so wrong with a point that its accuracy says nothing of the network."""
    told = []
    for row in dies(rows):
        if row.accuracy is None or sum(map(sum, row.crossbar["tiles"]["array_j"])) > 0:
            continue
        point = row.point or {}
        told.append(
            f"- {point['device']}, noise x {point['noise_scale']:g}, {point['hours']:g} h: no device conducts, so that"
            f" nothing was computed; its accuracy of {100 * row.accuracy:.1f} % is that of biases alone."
        )
    return told


def device_lines(rows: list[Row]) -> list[list[str]]:
    """Accuracy by device and age at the other values of the disturbed point: a heading, then one line per device."""
    reference = main_point(rows)
    if reference is None:
        return []
    table: dict[str, dict[float, str]] = {}
    for row in dies(rows):
        point = row.point or {}
        if all(point[axis] == reference[axis] for axis in AXES if axis not in ("device", "hours")):
            cell = percent(row.accuracy, row.accuracy_ci95)
            table.setdefault(point["device"], {})[point["hours"]] = cell
    ages = list(dict.fromkeys(age for cells in table.values() for age in cells))
    heading = ["accuracy %", *("just programmed" if age == 0 else f"after {age:g} h" for age in ages)]
    return [heading, *([device, *(cells[age] for age in ages)] for device, cells in table.items())]


def _largest(row: Row, name: str) -> float:
    """Of all links, the mean over dies."""
    return fmean(max(die[name].values(), default=0.0) for die in row.crossbar["dies"])


def written(row: Row, name: str) -> float | None:
    """What writing a die took, the mean over dies; None where the source of the device has no figure."""
    figures = [die["programming"][name] for die in row.crossbar["dies"]]
    return None if None in figures else fmean(figures)
