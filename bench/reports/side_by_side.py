"""`python -m bench.reports.side_by_side FOLDER... --output DIR`: networks side by side on every machine.

Each folder holds a run of `bench.run` of one network, on Lava and on dies if they were asked for. Writes
side-by-side.md, a column for every network, with what its manifest says of its feedback, and side-by-side.png:
accuracy on every machine, accuracy against steps, and synaptic operations.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from bench.command_line import ConfigError
from bench.records.row import Row
from bench.records.rows_file import read_rows
from bench.reports.colours import COLOURS
from bench.reports.figures import new_figure, save_figure
from bench.reports.format import markdown, percent, si, spread
from bench.zoo.report import enough
from models.command_line import before_work, exit_code, refuse_empty
from models.files.whole import write_atomically
from models.zoo.manifests import manifest_of

MACHINES = {
    ("torch", "float"): "float",
    ("lava", "fixed"): "int8 on Lava",
    ("lava", "delta"): "int8 on Lava, changes sent",
    ("crossbar", "analog"): "dies",
}
"""Rows that are compared, by backend and precision, and what they are called."""


@dataclass(frozen=True)
class Compared:
    """One network: its rows by machine, and what its manifest says of feedback."""

    model: str
    rows: dict[str, Row]
    feedback: dict[str, Any]

    @property
    def reference(self) -> Row:
        """The row in float."""
        return self.rows["float"]


@dataclass(frozen=True)
class SideBySideConfig:
    """Networks side by side on every machine, from their run folders."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of `bench.run`, one for each network, in the order they are to stand in."""
    output: Path = Path("results/side-by-side")
    """Where side-by-side.md and side-by-side.png go."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a folder that cannot be compared."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    config = tyro.cli(SideBySideConfig, args=arguments, prog="python -m bench.reports.side_by_side")

    def work() -> None:
        refuse_empty(arguments)
        with before_work():
            networks = [compared(folder) for folder in config.folders]
            if not networks:
                raise ConfigError("no folder to compare: name at least one of bench.run")
            config.output.mkdir(parents=True, exist_ok=True)
        picture = config.output / "side-by-side.png"
        lines = [*table(networks), "", f"![Networks side by side]({picture.name})", ""]
        write_atomically(config.output / "side-by-side.md", "\n".join(lines).encode())
        draw(networks, picture)
        print("\n".join(lines[:-3]))

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped"):
        raise SystemExit(code)


def compared(folder: Path) -> Compared:
    """The rows of a run that are compared; ValueError names a folder without a float row."""
    rows = [Row.from_json(row) for row in read_rows(folder / "rows.jsonl")]
    named = {MACHINES[row.backend, row.precision]: row for row in rows if (row.backend, row.precision) in MACHINES}
    if "float" not in named:
        raise ValueError(f"{folder} holds no row of torch in float, as bench.run writes it")
    model = named["float"].model
    feedback = manifest_of(model).get("feedback")
    if feedback is None:
        raise ValueError(f"the manifest of {model} says nothing of its feedback")
    return Compared(model, named, feedback)


def table(networks: Sequence[Compared]) -> list[str]:
    """A line for every figure, a column for every network."""
    lines = [
        ["feedback by layer", *(_share(one) for one in networks)],
        ["spectral radius", *(f"{one.feedback['radius']:.2f}" for one in networks)],
        ["same answer after 2 T steps, %", *(f"{100 * one.feedback['agreement']:.1f}" for one in networks)],
        ["validation, %", *(f"{100 * one.feedback['accuracy']:.1f}" for one in networks)],
        ["validation, feedback cut, %", *(f"{100 * one.feedback['accuracy_cut']:.1f}" for one in networks)],
    ]
    for machine in MACHINES.values():
        if any(machine in one.rows for one in networks):
            lines.append([f"test, {machine}, %", *(_accuracy(one, machine) for one in networks)])
    lines.append(["steps until within 0.5 points", *(str(_enough(one.reference)) for one in networks)])
    sent = "int8 on Lava, changes sent"
    if all(sent in one.rows for one in networks):
        synops = [one.rows[sent].synops or {} for one in networks]
        lines.append(["synaptic operations, every state", *(si(counts["dense"], "") for counts in synops)])
        lines.append(["synaptic operations, changes", *(si(counts["delta"], "") for counts in synops)])
        lines.append(["energy on Loihi, changes", *(spread(one.rows[sent].energy_j or {}, "J") for one in networks)])
    if all("dies" in one.rows for one in networks):
        lines.append(["energy on dies", *(spread(one.rows["dies"].energy_j or {}, "J") for one in networks)])
    return markdown(["", *(one.model for one in networks)], lines)


def draw(networks: Sequence[Compared], file: Path) -> None:
    """Accuracy on every machine with intervals, against steps, and the work of changes."""
    figure = new_figure(13.5, 4.2)
    left, middle, right = figure.subplots(1, 3)
    machines = [name for name in MACHINES.values() if any(name in one.rows for one in networks)]
    for place, (one, colour) in enumerate(zip(networks, COLOURS, strict=False)):
        label = f"{one.model} ({_share(one)})"
        for number, machine in enumerate(machines):
            row = one.rows.get(machine)
            if row is None or row.accuracy is None or row.accuracy_ci95 is None:
                continue
            low, high = (100 * bound for bound in row.accuracy_ci95)
            value, x = 100 * row.accuracy, number + 0.16 * (place - (len(networks) - 1) / 2)
            bars = [[max(0.0, value - low)], [max(0.0, high - value)]]
            left.errorbar([x], [value], bars, fmt="o", color=colour, label=label if number == 0 else None, capsize=3)
        curve = [100 * share for share in (one.reference.by_step or {})["accuracy"]]
        middle.plot(range(1, len(curve) + 1), curve, color=colour, label=one.model)
        middle.axhline(100 * one.feedback["accuracy_cut"], color=colour, linewidth=0.8, linestyle=(0, (1, 2)))
        sent = one.rows.get("int8 on Lava, changes sent")
        if sent is not None and sent.by_step:
            work = sent.by_step["synops_delta"]
            right.plot(range(1, len(work) + 1), work, color=colour, label=one.model)
    left.set_xticks(range(len(machines)), [machine.replace(", ", ",\n") for machine in machines], fontsize=8)
    count = networks[0].reference.images
    left.set(ylabel=f"accuracy, % of {count:,} test images", title="On every machine (95 % intervals)")
    middle.set(xlabel="synchronous steps", ylabel="accuracy in float, %", xscale="log", title="dotted: feedback cut")
    right.set(xlabel="step", ylabel="synaptic operations per image and step", yscale="symlog", title="Changes sent")
    left.legend(frameon=False, fontsize=7, title="network (feedback by layer)", title_fontsize=7)
    right.legend(frameon=False, fontsize=7)
    save_figure(figure, file)


def _share(one: Compared) -> str:
    return ", ".join(f"{value:.2f}" for value in one.feedback["share"]) or "none"


def _accuracy(one: Compared, machine: str) -> str:
    row = one.rows.get(machine)
    return "-" if row is None else percent(row.accuracy, row.accuracy_ci95)


def _enough(row: Row) -> int:
    return enough(list((row.by_step or {})["accuracy"]))


if __name__ == "__main__":
    main()
