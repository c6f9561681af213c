"""What a run leaves behind: a table on the screen, summary.csv and report.md in the run folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table

from bench.machines.crossbar import AXES, main_point
from bench.records.rows import Row


def main_rows(rows: list[Row]) -> list[Row]:
    """The rows of the summary: every machine, and of a sweep of dies the disturbed point."""
    shown = (None, main_point(rows))
    return [row for row in rows if row.get("point") in shown]


def columns(rows: list[Row]) -> list[tuple[str, list[str]]]:
    """The summary, column by column: (title, one cell per row). A figure that was not measured is a dash."""
    rows = main_rows(rows)
    disturbances = list(rows[0]["robust"])
    return [
        ("backend", [f"{row['backend']} {row['precision']}" for row in rows]),
        ("accuracy %", [percent(row["accuracy"], row["accuracy_ci95"]) for row in rows]),
        *((name, [f"{100 * row['robust'][name]:.1f}" for row in rows]) for name in disturbances),
        ("steps", ["-" if row["steps"] is None else f"{row['steps']:.4g}" for row in rows]),
        ("synops sent", [si(row["synops"][_coding(row)], "") for row in rows]),
        ("dense / delta", [_saved(row["synops"]) for row in rows]),
        ("energy modelled", [spread(row["energy_j"], "J") for row in rows]),
        ("energy measured", [si(row["energy_measured_j"], "J") for row in rows]),
        ("latency modelled", [spread(row["latency_s"], "s") for row in rows]),
        ("latency measured", [si(row["latency_s"]["measured"], "s") for row in rows]),
        ("simulation", [si(row["wall_s_per_image"], "s") for row in rows]),
    ]


def screen_table(rows: list[Row], title: str) -> Table:
    """The summary for a terminal: one column per row of the run, so that it fits a narrow screen."""
    named = columns(rows)
    table = Table(title=title, title_justify="left")
    table.add_column("per image")
    for cell in named[0][1]:
        table.add_column(cell, justify="right")
    for name, cells in named[1:]:
        table.add_row(name, *cells)
    return table


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


def sweep_lines(rows: list[Row]) -> list[list[str]]:
    """One line of cells, named by `SWEEP`, for every point of a sweep of dies; dashes where nothing is published."""
    lines = []
    for row in rows:
        point = row.get("point")
        if point is None:
            continue
        bits = "ideal" if point["adc_bits"] is None else str(point["adc_bits"])
        named = [point["device"], f"{point['noise_scale']:g}", f"{point['hours']:g}", bits, str(point["tile_size"])]
        if row["accuracy"] is None:
            lines.append([*named, *["-"] * (len(SWEEP) - len(named))])
            continue
        clipped = max(max(pair) for pair in row["tiles"]["clipped"])
        lines.append(
            [
                *named,
                percent(row["accuracy"], row["accuracy_ci95"]),
                f"{100 * min(row['accuracy_by_die']):.1f}",
                f"{row['residual']['median']:.2g}",
                f"{_largest(row, 'mismatch'):.2g}",
                f"{_largest(row, 'kappa'):.2g}",
                f"{100 * clipped:.2f}",
                si(row["energy_j"]["nominal"], "J"),
                si(row["latency_s"]["nominal"], "s"),
                si(_written(row, "pulses"), ""),
                si(_written(row, "energy_j"), "J"),
            ]
        )
    return lines


def device_lines(rows: list[Row]) -> list[list[str]]:
    """Accuracy by device and age at the other values of the disturbed point: a heading, then one line per device."""
    reference = main_point(rows)
    if reference is None:
        return []
    found: dict[str, dict[float, str]] = {}
    for row in rows:
        point = row.get("point")
        if point and all(point[axis] == reference[axis] for axis in AXES if axis not in ("device", "hours")):
            cell = "-" if row["accuracy"] is None else percent(row["accuracy"], row["accuracy_ci95"])
            found.setdefault(point["device"], {})[point["hours"]] = cell
    ages = list(dict.fromkeys(age for cells in found.values() for age in cells))
    heading = ["accuracy %", *("just programmed" if age == 0 else f"after {age:g} h" for age in ages)]
    return [heading, *([device, *(cells[age] for age in ages)] for device, cells in found.items())]


def _largest(row: Row, name: str) -> float:
    """Of all links, the mean over dies."""
    return fmean(max(die[name].values(), default=0.0) for die in row["dies"])


def _written(row: Row, name: str) -> float | None:
    """What writing a die took, the mean over dies; None where the source of the device has no figure."""
    figures = [die["programming"][name] for die in row["dies"]]
    return None if None in figures else fmean(figures)


def sweep_table(rows: list[Row]) -> Table | None:
    """The points of a sweep for a terminal, what they have in common in the title, no column without a figure; None
    without any point."""
    lines = sweep_lines(rows)
    if not lines:
        return None
    axes = len(AXES)
    common = [len({line[index] for line in lines}) == 1 and index < axes for index in range(len(SWEEP))]
    fixed = ", ".join(f"{name} {lines[0][index]}" for index, name in enumerate(SWEEP) if common[index])
    table = Table(title=f"every point; {fixed}" if fixed else "every point", title_justify="left")
    shown = [not common[index] and any(line[index] != "-" for line in lines) for index in range(len(SWEEP))]
    for index, name in enumerate(SWEEP):
        if shown[index]:
            table.add_column(name, justify="right" if index else "left")
    for line in lines:
        table.add_row(*(cell for cell, show in zip(line, shown, strict=True) if show))
    return table


def write_summary(folder: Path, rows: list[Row]) -> None:
    """summary.csv: one line per row, plain numbers in SI units, empty where nothing was measured."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    with (folder / "summary.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(flat)


def write_report(
    folder: Path,
    every: list[Row],
    config: dict[str, object],
    environment: dict[str, object],
    sweeps: list[str],
) -> None:
    """report.md: the table, what its figures mean, and the pictures; `sweeps` are files with pictures of sweeps."""
    rows = main_rows(every)
    named = columns(rows)
    lines = [
        f"# {rows[0]['model']} on {', '.join(cell for cell in named[0][1])}",
        "",
        f"{rows[0]['images']} test images of {rows[0]['data']}, T = {config['steps']} synchronous steps, "
        f"{environment['date']}, commit {environment['commit']}, {environment['cpu']}, {environment['device']}.",
        "",
        *markdown(["per image", *named[0][1]], [[name, *cells] for name, cells in named[1:]]),
        "",
        "- Accuracy with its 95 % interval: Wilson's over images or, of several dies, Student's over dies;",
        "  `gaussian-S`: input noise of standard deviation S; `pgd-linf-E`: 20 white-box steps in a ball of radius E,",
        "  made on the float network and shown to every machine.",
        "- Synops sent: synaptic operations that the messages on the wire caused. Dense / delta: how many times fewer",
        "  they are if only changes are sent.",
        "- Modelled energy and latency: nominal (low to high) of the profile below. Measured: by a counter or clock of",
        "  this computer; a dash where there is none. Simulation: seconds of this computer, no figure of the chip.",
        "",
        *_sweep_section(every, sweeps),
        "| | profile | energy, J | latency, s | where the nominal energy goes | note |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for profile, cost in row["costs"].items():
            parts = ", ".join(f"{name} {si(value, 'J')}" for name, value in cost["breakdown_j"].items())
            energy, latency = spread(cost["energy_j"], "J"), spread(cost["latency_s"] or {}, "s")
            lines.append(
                f"| {row['backend']} {row['precision']} | {profile} | {energy} | {latency} | {parts} | {cost['note']} |"
            )
        lines += [
            f"| {row['backend']} {row['precision']} | {profile} | - | - | - | {why} |"
            for profile, why in row["unpriced"].items()
        ]
    lines += ["", "![Accuracy and synaptic operations against step](settling.png)", ""]
    if (folder / "energy.png").exists():
        lines += ["![Where the energy goes](energy.png)", ""]
    (folder / "report.md").write_text("\n".join(lines))


def _sweep_section(rows: list[Row], sweeps: list[str]) -> list[str]:
    """The points of a sweep, with the pictures; nothing where no dies were swept."""
    lines = sweep_lines(rows)
    if not lines:
        return []
    return [
        "## Every point",
        "",
        *markdown(SWEEP, lines),
        "",
        "- Accuracy: mean over dies with Student's 95 % interval of that mean (one die: Wilson's over images).",
        "- Residual: median over images of the largest change of a state in the last step: what noise keeps moving.",
        "- Mismatch: ||W_down^T - W_up|| / ||W_up||; kappa: load of the wires; both of the worst link, mean over dies.",
        "- Clipped: share of conversions outside the converter's range, in the link and direction with most of them.",
        "- Energy: its part in the devices is V**2 G t, without what drivers send to each other through shared wires:",
        "  up to 5 % of that part at a kappa of 0.05, a quarter at 0.4.",
        "- Write pulses and their energy: of a whole die, mean over dies; a dash where devices are programmed in one",
        "  go with their published error, or no voltage and length of a pulse are known.",
        "- Dashes only: the source of the device does not say how it is after so long.",
        "",
        *_device_section(rows),
        *(f"![Accuracy over dies]({name})\n" for name in sweeps),
        "## What it costs",
        "",
    ]


def _device_section(rows: list[Row]) -> list[str]:
    lines = device_lines(rows)
    if len(lines) < 3:
        return []
    heading, *devices = lines
    return [*markdown(heading, devices), ""]


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A table."""
    return [
        "| " + " | ".join(heading) + " |",
        "|---" * len(heading) + "|",
        *("| " + " | ".join(line) + " |" for line in lines),
    ]


def _coding(row: Row) -> str:
    """Which messages the machine put on the wire."""
    if row["backend"] in ("torch", "crossbar"):
        return "dense"
    return "delta" if row["precision"] == "delta" else "zero_skip"


def _saved(synops: dict[str, float | None]) -> str:
    """How many times fewer synaptic operations sending changes only takes; a dash where none were counted."""
    dense, delta = synops["dense"], synops["delta"]
    return f"{dense / delta:.1f}" if dense is not None and delta else "-"


def _flat(row: Row) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in row.items():
        if name in ("costs", "by_step", "unpriced", "dies", "tiles", "accuracy_by_die"):
            continue
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": part for key, part in value.items() if not isinstance(part, list)})
        elif isinstance(value, list | tuple):
            flat.update(zip((f"{name}.low", f"{name}.high"), value, strict=True))
        else:
            flat[name] = value
    if row.get("dies"):
        flat |= {f"written_per_die.{name}": _written(row, name) for name in ("devices", "pulses", "energy_j")}
    return flat


def percent(share: float, interval: list[float]) -> str:
    """A share and its interval."""
    return f"{100 * share:.1f} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


def spread(values: dict[str, float | None], unit: str) -> str:
    """Nominal (low to high), or a dash where there is no figure."""
    if values.get("nominal") is None:
        return "-"
    return f"{si(values['nominal'], unit)} ({si(values['low'], unit)} to {si(values['high'], unit)})"


def si(value: float | None, unit: str) -> str:
    """Three figures with an SI prefix."""
    if value is None:
        return "-"
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}".strip()
    return f"{value:.3g} {unit}".strip()
