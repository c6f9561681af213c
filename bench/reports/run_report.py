"""What a run leaves behind in its folder: summary.csv, report.md and pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

from bench.records.folders import Environment, environment_of
from bench.records.row import Row
from bench.reports.command import command_of
from bench.reports.figures import draw_energy, draw_settling
from bench.reports.format import NOTHING, markdown, percent, si, spread
from bench.reports.placement import PICTURE, TILES_PICTURE, draw_placement, draw_tiles, placement_section
from bench.reports.provenance import mixed
from bench.reports.spikes import draw_codings, draw_watched
from bench.reports.sweep_table import SWEEP, device_lines, dies, main_point, notes, sweep_lines, written
from bench.reports.sweeps import draw_sweeps
from models.files.whole import write_atomically

CONTINUOUS = {"codings.png": "Accuracy against synaptic events and against time, by what is said"}
"""What pictures of machines in continuous time show."""


def write_all(folder: Path, rows: list[Row], steps: int) -> None:
    """Everything, from finished rows; `steps` is the step limit of the run."""
    draw_settling(main_rows(rows), folder / "settling.png")
    draw_energy(main_rows(rows), folder / "energy.png")
    draw_placement(main_rows(rows), folder / PICTURE)
    draw_tiles(main_rows(rows), folder / TILES_PICTURE)
    sweeps = draw_sweeps(rows, folder)
    continuous = draw_watched(rows, folder)
    if draw_codings(main_rows(rows), folder / "codings.png"):
        continuous.insert(0, "codings.png")
    write_summary(folder, rows)
    write_report(folder, rows, steps, environment_of(folder), sweeps, continuous)


def main_rows(rows: list[Row]) -> list[Row]:
    """The rows of the summary: every machine, and of a sweep of dies the disturbed point."""
    swept, point = dies(rows), main_point(rows)
    return [row for row in rows if row not in swept or row.point == point]


LINES: dict[str, Callable[[Row], str]] = {
    "steps": lambda row: NOTHING if row.steps is None else f"{row.steps:.4g}",
    "time to rest": lambda row: si(row.rest_s, "s"),
    "synops sent": lambda row: si(_sent(row), ""),
    "dense / delta": lambda row: _saved(row),
    "activation sparsity %": lambda row: _neurobench(row, "activation_sparsity", lambda share: f"{100 * share:.1f}"),
    "dense operations": lambda row: _neurobench(row, "dense", lambda count: si(count, "")),
    "effective MACs": lambda row: _neurobench(row, "effective_macs", lambda count: si(count, "")),
    "effective ACs": lambda row: _neurobench(row, "effective_acs", lambda count: si(count, "")),
    "of them feedback %": lambda row: _neurobench(row, "feedback", lambda share: f"{100 * share:.1f}"),
    "footprint": lambda row: _neurobench(row, "footprint", lambda count: si(count, "B")),
    "energy modelled": lambda row: spread(row.energy_j, "J"),
    "energy measured": lambda row: si(row.energy_measured_j, "J"),
    "latency modelled": lambda row: spread(row.latency_s, "s"),
    "latency measured": lambda row: si(row.latency_s.get("measured"), "s"),
    "simulation": lambda row: si(row.wall_s_per_image, "s"),
}
"""Lines of the summary, below accuracies."""


def columns(rows: list[Row]) -> list[tuple[str, list[str]]]:
    """The summary, line by line: (title, one cell per row). A figure that was not measured is a dash, and a line in
    which nothing was measured is left out."""
    rows = main_rows(rows)
    lines = [
        ("backend", [row.name for row in rows]),
        ("accuracy %", [percent(row.accuracy, row.accuracy_ci95) for row in rows]),
        ("against float", [_against(row) for row in rows]),
        *((name, [_robust(row, name) for row in rows]) for name in rows[0].robust),
        *((name, [cell(row) for row in rows]) for name, cell in LINES.items()),
    ]
    return [(name, cells) for name, cells in lines if any(cell != NOTHING for cell in cells)]


def _against(row: Row) -> str:
    """Difference of accuracy to torch float on the same images, in points."""
    if row.against_float is None:
        return NOTHING
    low, high = row.against_float["ci95"]
    return f"{100 * row.against_float['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _robust(row: Row, name: str) -> str:
    return f"{100 * row.robust[name]:.1f}" if name in row.robust else NOTHING


def _sent(row: Row) -> float | None:
    return None if row.synops is None or row.coding is None else row.synops[row.coding]


def _neurobench(row: Row, name: str, words: Callable[[float], str]) -> str:
    """A figure under NeuroBench's name; a dash for one that was not counted, and for operations of the other kind."""
    figure = None if row.neurobench is None else row.neurobench[name]
    nothing = figure is None or (figure == 0 and name.startswith("effective"))
    return NOTHING if figure is None or nothing else words(figure)


def _saved(row: Row) -> str:
    """How many times fewer synaptic operations changes cause; a dash where they are not counted, or none was caused."""
    return f"{row.synops['dense'] / row.synops['delta']:.1f}" if row.synops and row.synops["delta"] else NOTHING


def write_summary(folder: Path, rows: list[Row]) -> None:
    """summary.csv: one line per row, plain numbers in SI units, empty where nothing was measured."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, names)
    writer.writeheader()
    writer.writerows(flat)
    write_atomically(folder / "summary.csv", stream.getvalue().encode())


def write_report(
    folder: Path,
    every: list[Row],
    steps: int,
    environment: Environment,
    sweeps: list[str],
    continuous: Sequence[str] = (),
) -> None:
    """report.md: the table, what its figures mean, and the pictures; `sweeps` are files with pictures of sweeps,
    `continuous` those of machines in continuous time."""
    rows = main_rows(every)
    named = columns(rows)
    lines = [
        f"# {rows[0].model} on {', '.join(cell for cell in named[0][1])}",
        "",
        f"{rows[0].images} test images of {rows[0].data}, T = {steps} synchronous steps, {environment.words}",
        "",
        f"    {command_of(folder)}",
        "",
        *markdown(["per image", *named[0][1]], [[name, *cells] for name, cells in named[1:]]),
        "",
        *mixed(every),
        "- Accuracy with its 95 % interval, Wilson's over images; of several dies it counts dies and images. Against",
        "  float: difference to torch float on the same images, in pairs (Newcombe), where answers were kept;",
        "  `gaussian-S`: input noise of standard deviation S; `pgd-linf-E`: 20 white-box steps in a ball of radius E,",
        "  made on the float network and shown to every machine.",
        "- Synops sent: synaptic operations that the messages on the wire caused. Dense / delta: how many times fewer",
        "  they are if only changes are sent.",
        "- Activation sparsity, dense and effective operations, footprint: NeuroBench's names, counted by the machine,",
        "  the transposed feedback and the readout included; MACs of messages that carry numbers, ACs of spikes.",
        "- Modelled energy and latency: nominal (low to high) of the profile below. Measured: by a counter or clock of",
        "  this computer; a dash where there is none. Simulation: seconds of this computer, no figure of the chip.",
        "",
        *_sweep_section(every, sweeps),
        *placement_section(rows),
        "| | profile | energy, J | latency, s | where the nominal energy goes | note |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for profile, cost in row.costs.items():
            parts = ", ".join(f"{name} {si(value, 'J')}" for name, value in cost["breakdown_j"].items())
            energy, latency = spread(cost["energy_j"], "J"), spread(cost["latency_s"] or {}, "s")
            lines.append(f"| {row.name} | {profile} | {energy} | {latency} | {parts} | {cost['note']} |")
        lines += [f"| {row.name} | {profile} | - | - | - | {why} |" for profile, why in row.unpriced.items()]
    lines += ["", "![Accuracy and synaptic operations against step](settling.png)", ""]
    if (folder / "energy.png").exists():
        lines += ["![Where the energy goes](energy.png)", ""]
    lines += [f"![{CONTINUOUS.get(name, 'What the neurons of one image do')}]({name})\n" for name in continuous]
    write_atomically(folder / "report.md", "\n".join(lines).encode())


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
        "- Accuracy: mean over dies with the 95 % interval of that mean, which counts dies and images.",
        "- Residual: median over images of the largest change of a state in the last step: what noise keeps moving.",
        "- Mismatch: ||W_down^T - W_up|| / ||W_up||; kappa: load of the wires; both of the worst link, mean over dies.",
        "- Clipped: share of conversions outside the converter's range, in the link and direction with most of them.",
        "- Energy: its part in the devices is V**2 G t, without what drivers send to each other through shared wires:",
        "  up to 5 % of that part at a kappa of 0.05, a quarter at 0.4.",
        "- Write pulses and their energy: of a whole die, mean over dies; a dash where devices are programmed in one",
        "  go with their published error, or no voltage and length of a pulse are known.",
        *notes(rows),
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


def _flat(row: Row) -> dict[str, object]:
    """One line of summary.csv: pairs and dictionaries of numbers spread over columns."""
    values = {name: value for name, value in row.to_json().items() if name not in ("costs", "by_step", "unpriced")}
    for block in row.details:
        del values[block]
    against = values.pop("against_float") or {}
    ends = against.get("ci95") or (None, None)
    line: dict[str, object] = {}
    line |= {f"against_float.{name}": end for name, end in zip(("low", "high"), ends, strict=True) if against}
    for name, value in values.items():
        if isinstance(value, dict):
            line.update({f"{name}.{key}": part for key, part in value.items() if not isinstance(part, list | tuple)})
        elif isinstance(value, list | tuple):
            line.update(zip((f"{name}.low", f"{name}.high"), value, strict=True))
        else:
            line[name] = value
    if "crossbar" in row.details:
        line |= {f"written_per_die.{name}": written(row, name) for name in ("devices", "pulses", "energy_j")}
    return line | ({"against_float": against["difference"]} if against else {})
