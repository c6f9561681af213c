"""What a learning run leaves behind: report.md with its tables, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console

from bench.records.folders import Environment
from bench.records.learning_row import LearningCurve, LearningRow
from bench.records.statistics import estimate_of_dies, mean_interval
from bench.reports.command import command_of
from bench.reports.format import markdown, percent, si
from bench.reports.lessons import cosines, groups
from bench.reports.provenance import mixed
from bench.reports.screen import tables as screen_tables
from bench.studies.repair import summary
from models.files.whole import write_atomically


def tables(rows: list[LearningRow]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, heading, lines) of every table of the run."""
    return {"repair": repair_tables, "scratch": scratch_tables, "beta": beta_tables}[rows[0].learn](rows)


def repair_tables(rows: list[LearningRow]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Of every point, what each way wins back."""
    heading = ["accuracy %", "before", "after", "won back %", "writes per device", "reads, per epoch"]
    made = []
    for title, group in groups(rows):
        lines = [["float network, no die", f"{100 * (group[0].float_accuracy or 0.0):.1f}", "", "", "", ""]]
        for arm, values in summary(group).items():
            curves = [(row.arms or {})[arm] for row in group]
            learnt = len(curves[0]["accuracy"]) > 1
            lines.append(
                [
                    arm,
                    _accuracy(values["before"], group[0].images),
                    _accuracy(values["after"], group[0].images) if learnt else "-",
                    _percent(values["won_back"]) if learnt and values["won_back"] else "-",
                    _writes(curves) if learnt else "-",
                    _epoch_energy(curves),
                ]
            )
        made.append((title, heading, lines))
    return made


def scratch_tables(rows: list[LearningRow]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Final accuracy of every machine."""
    heading = ["machine", "accuracy %", "agreement", "writes per device", "reads, per epoch"]
    lines = []
    for title, group in groups(rows):
        curves = [row.curve or {} for row in group]
        # agreement of the first epoch, in which most is learnt; later ones ask for less than the devices can do
        agreements = [fmean(curve["agreement"][0]) for curve in curves if curve["agreement"] and curve["agreement"][0]]
        lines.append(
            [
                title,
                _accuracy([curve["accuracy"][-1] for curve in curves], group[0].images),
                f"{fmean(agreements):.2f}" if agreements else "-",
                _writes(curves) if "writes_per_device" in curves[0] else "-",
                _epoch_energy(curves),
            ]
        )
    return [("", heading, lines)]


def beta_tables(rows: list[LearningRow]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Of every point, the cosine by remedy and beta."""
    made = []
    for title, group in groups(rows):
        betas = list(dict.fromkeys(entry["beta"] for entry in group[0].cosines or []))
        remedies = list(dict.fromkeys(entry["remedy"] for entry in group[0].cosines or []))
        lines = [[remedy, *(f"{fmean(cosines(group, remedy, beta)):.2f}" for beta in betas)] for remedy in remedies]
        made.append((title, ["beta", *(f"{beta:g}" for beta in betas)], lines))
    return made


_EFFORT = [
    "- Writes: pulses, or programmings where a device is rewritten, in all epochs: mean over the devices of a die, and",
    "  in brackets the most that any device had. Reads: modelled energy of all reads of an epoch, profile hermes-14nm.",
    "  rows.jsonl has both by epoch, verify reads too, and the energy of writes where a device's source gives it.",
]
NOTES = {
    "repair": [
        "- Each way starts on the same die, made anew. Write-verify spends as many writes as EP on the die did.",
        "- Accuracies: mean over dies with its 95 % interval, which counts dies and images. Won back: share of the",
        "  accuracy lost against the float network that is there at the end, mean over dies (Student's interval).",
        *_EFFORT,
    ],
    "scratch": [
        "- Accuracy on test images after the last epoch, with its 95 % interval, which counts dies and images.",
        "- Agreement: cosine of all changes asked for in the first epoch with how devices changed, mean over links.",
        *_EFFORT,
    ],
    "beta": [
        "- Cosine between what EP on the die asks of a link and the true gradient of the network that the die holds,",
        "  mean over links, batches and dies; without the readout, which sees its error whatever the nudge.",
    ],
}


def write_learning_report(folder: Path, rows: list[LearningRow], environment: Environment) -> None:
    """report.md."""
    lines = [
        f"# Learning: {rows[0].learn}",
        "",
        environment.words,
        "",
        f"    {command_of(folder)}",
        "",
    ]
    for title, heading, cells in tables(rows):
        lines += [*([f"## {title}", ""] if title else []), *markdown(heading, cells), ""]
    lines += mixed(rows)
    lines += _damage(rows[0])
    lines += [*NOTES[rows[0].learn], ""]
    lines += [f"- Stopped: {why}" for why in _stopped(rows)]
    lines += ["", "![What was learnt](learning.png)", ""]
    write_atomically(folder / "report.md", "\n".join(lines).encode())


def print_tables(rows: list[LearningRow], folder: Path) -> None:
    """The tables on the screen, and where the report lies."""
    console = Console()
    for title, heading, lines in tables(rows):
        for table in screen_tables(heading, lines, console.width, title):
            console.print(table)
    for line in mixed(rows):
        console.print(line, markup=False)
    console.print(f"report and figure: {folder}", soft_wrap=True)


def _damage(row: LearningRow) -> list[str]:
    """What was wrong with the dies of a repair."""
    if row.damage is None:
        return []
    on, off, terminals = (row.damage.get(name) for name in ("stuck_on", "stuck_off", "transpose_terminals"))
    stuck = f"- Damage: {100 * (on or 0):g} % of the devices stuck on, {100 * (off or 0):g} % stuck off;"
    age = "errors of programming and drift as the device and its age have them."
    if terminals is None:
        return [stuck, f"  {age}", "- Reads of resistors are the heat while they settle; none of them is a conversion."]
    return [f"{stuck} transposed reads at the", f"  {terminals} ends of the wires; {age}"]


def _stopped(rows: list[LearningRow]) -> list[str]:
    return [curve["stopped"] for row in rows for curve in row.curves() if curve.get("stopped")]


def _writes(curves: Sequence[LearningCurve]) -> str:
    """Per device: mean over devices and dies, and the most of any."""
    counts = [curve["writes_per_device"] for curve in curves]
    mean, most = fmean(count["mean"] for count in counts), max(count["max"] for count in counts)
    return f"{mean:.0f} ({most})" if mean >= 100 else f"{mean:.2g} ({most})"


def _epoch_energy(curves: Sequence[LearningCurve]) -> str:
    """Mean over epochs and dies; a dash where the profile has no price or nothing is priced."""
    energies = [energy for curve in curves for energy in curve.get("energy_j", [])]
    if not energies or None in energies:
        return "-"
    return si(fmean(energy["nominal"] for energy in energies), "J")


def _accuracy(values: Sequence[float], images: int) -> str:
    made = estimate_of_dies(values, images)
    return percent(made.share, made.interval)


def _percent(values: Sequence[float]) -> str:
    mean, (low, high) = mean_interval(values)
    return f"{100 * mean:.1f} ({100 * low:.1f}-{100 * high:.1f})"
