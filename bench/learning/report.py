"""What a learning run leaves behind: report.md with its tables, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.evaluate import mean_interval, share_correct
from bench.learning.repair import summary
from bench.report import markdown, si
from bench.rows import Row


def tables(rows: list[Row]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, heading, lines) of every table of the run."""
    return {"repair": repair_tables, "scratch": scratch_tables, "beta": beta_tables}[rows[0]["learn"]](rows)


def repair_tables(rows: list[Row]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Of every point, what each way wins back."""
    heading = ["accuracy %", "before", "after", "won back %", "writes", "read energy"]
    found = []
    for title, group in groups(rows):
        lines = [["float network, no die", f"{100 * group[0]['float_accuracy']:.1f}", "", "", "", ""]]
        for arm, values in summary(group).items():
            curves = [row["arms"][arm] for row in group]
            learnt = len(curves[0]["accuracy"]) > 1
            energy = [sum(one["nominal"] for one in curve["energy_j"]) for curve in curves if _priced(curve)]
            lines.append(
                [
                    arm,
                    _accuracy(values["before"], group[0]["images"]),
                    _accuracy(values["after"], group[0]["images"]) if learnt else "-",
                    _percent(values["won_back"]) if learnt and values["won_back"] else "-",
                    f"{fmean(values['writes']):.0f}" if learnt else "-",
                    si(fmean(energy), "J") if energy else "-",
                ]
            )
        found.append((title, heading, lines))
    return found


def scratch_tables(rows: list[Row]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Final accuracy of every machine."""
    heading = ["machine", "accuracy %", "agreement", "pulses"]
    lines = []
    for title, group in groups(rows):
        curves = [row["curve"] for row in group]
        # agreement of the first epoch, in which most is learnt; later ones ask for less than the devices can do
        agreements = [fmean(curve["agreement"][0]) for curve in curves if curve["agreement"] and curve["agreement"][0]]
        writes = [curve["writes_per_device"]["mean"] for curve in curves if "writes_per_device" in curve]
        lines.append(
            [
                title,
                _accuracy([curve["accuracy"][-1] for curve in curves], group[0]["images"]),
                f"{fmean(agreements):.2f}" if agreements else "-",
                f"{fmean(writes):.3g}" if writes else "-",
            ]
        )
    return [("", heading, lines)]


def beta_tables(rows: list[Row]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Of every point, the cosine by remedy and beta."""
    found = []
    for title, group in groups(rows):
        betas = list(dict.fromkeys(entry["beta"] for entry in group[0]["cosines"]))
        remedies = list(dict.fromkeys(entry["remedy"] for entry in group[0]["cosines"]))
        lines = [[remedy, *(f"{fmean(cosines(group, remedy, beta)):.2f}" for beta in betas)] for remedy in remedies]
        found.append((title, ["beta", *(f"{beta:g}" for beta in betas)], lines))
    return found


def cosines(rows: list[Row], remedy: str, beta: float) -> list[float]:
    """One per die: mean over links."""
    return [
        fmean(entry["cosine"].values())
        for row in rows
        for entry in row["cosines"]
        if entry["remedy"] == remedy and entry["beta"] == beta
    ]


NOTES = {
    "repair": [
        "- Each way starts on the same die, made anew. Write-verify spends as many writes as EP on the die did.",
        "- Accuracies: mean over dies (95 %, Student). Won back: share of the accuracy lost against the float network",
        "  that is there at the end, mean over dies.",
        "- Writes: devices programmed, or pulsed, in all epochs. Read energy: modelled, of all reads of all epochs",
        "  (profile hermes-14nm); rows.jsonl has the energy of writes where the source of the device gives one.",
    ],
    "scratch": [
        "- Accuracy on test images after the last epoch; of dies the mean with Student's interval, else Wilson's.",
        "- Agreement: cosine of all changes asked for in the first epoch with how devices changed, mean over links.",
        "- Pulses: per device, mean over devices, in all epochs (devices programmed, where it is written with verify).",
    ],
    "beta": [
        "- Cosine between what EP on the die asks of a link and the true gradient of the network that the die holds,",
        "  mean over links, batches and dies.",
    ],
}


def write_learning_report(folder: Path, rows: list[Row], environment: dict[str, Any]) -> None:
    """report.md."""
    lines = [
        f"# Learning: {rows[0]['learn']}",
        "",
        f"{environment['date']}, commit {environment['commit']}, {environment['cpu']}, {environment['device']}.",
        "",
    ]
    for title, heading, cells in tables(rows):
        lines += [*([f"## {title}", ""] if title else []), *markdown(heading, cells), ""]
    lines += [*NOTES[rows[0]["learn"]], ""]
    lines += [f"- Stopped: {why}" for why in _stopped(rows)]
    lines += ["", "![What was learnt](learning.png)", ""]
    (folder / "report.md").write_text("\n".join(lines))


def groups(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Rows that differ in nothing but the die, with a title."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_title(row), []).append(row)
    return list(groups.items())


def _title(row: Row) -> str:
    point = row["point"]
    if point is None:
        return f"{row['backend']} {row['precision']}"
    named = [point["device"], f"noise x {point['noise_scale']:g}", f"{point['hours']:g} h"]
    named.append("ideal ADC" if point["adc_bits"] is None else f"{point['adc_bits']} bit ADC")
    return ", ".join([*named, *([row["update"]] if row["update"] else [])])


def _stopped(rows: list[Row]) -> list[str]:
    curves = [curve for row in rows for curve in [*row.get("arms", {}).values(), row.get("curve", {})]]
    return [curve["stopped"] for curve in curves if curve.get("stopped")]


def _priced(curve: dict[str, Any]) -> bool:
    return bool(curve.get("energy_j")) and None not in curve["energy_j"]


def _accuracy(values: Sequence[float], images: int) -> str:
    mean, (low, high) = share_correct([[round(value * images)] for value in values], images)
    return f"{100 * mean:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _percent(values: Sequence[float]) -> str:
    mean, (low, high) = mean_interval(values)
    return f"{100 * mean:.1f} ({100 * low:.1f}-{100 * high:.1f})"
