"""Tables of a comparison, for a terminal and for a page: what is modelled, and apart from it what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.compare.physics import PUBLISHED, SILICON
from bench.compare.row import ALL
from bench.reports.format import NOTHING, percent, si, spread
from hw.cost.constants.published import LOIHI_2_TASKS, PILOTNET

Row = Mapping[str, Any]

MODELLED = (
    "network",
    "platform",
    "profile",
    "stops",
    "accuracy %",
    "energy modelled",
    "latency modelled",
    "correct answer",
    "energy x delay",
    "most goes to",
    "robust accuracy %",
)
EARLY = ("network", "platform", "rule", "accuracy %", "steps", "energy", "latency")
MEASURED = (
    "network",
    "device",
    "images at once",
    "seconds measured",
    "joules measured",
    "above idling",
    "idle",
    "counter",
)
PHYSICS = ("network", "platform", "profile", "joules per MAC", "over 24 kT 4^b / N", "over kT ln 2")
SILICON_HEADING = ("published silicon", "joules per MAC", "source")
TASKS_HEADING = ("Loihi 2, as published", "figure", "source")
TRAINING = ("how", "platform", "profile", "energy of an epoch", "note")


def platform_lines(rows: Sequence[Row]) -> list[list[str]]:
    """One line per network and platform, run to the end."""
    return [
        [
            row["network"],
            row["platform"],
            row["profile"],
            "one pass" if row["way"] == "one pass" else row["rule"],
            percent(row["accuracy"], row["accuracy_ci95"]),
            spread(row["energy_j"], "J"),
            spread(row["latency_s"] or {}, "s"),
            spread(row["correct_j"], "J"),
            si((row["energy_delay_js"] or {}).get("nominal"), "Js"),
            most_of(row["breakdown_j"]),
            ", ".join(f"{ball}: {100 * share:.1f}" for ball, share in row["robust"].items()) or NOTHING,
        ]
        for row in rows
        if row["rule"] == ALL
    ]


def early_lines(rows: Sequence[Row]) -> list[list[str]]:
    """What each rule makes of it: median and 95th percentile of steps, joules and seconds of an image."""
    lines = []
    for row in rows:
        if row["way"] == "one pass" or row["batch"] > 1:
            continue
        one = row["per_image"]
        steps = _pair(one["steps"], "") if "steps" in one else _pair(one["settle_s"], "s")
        rule = row["rule"] if row["threshold"] is None else f"{row['rule']} {row['threshold']:.3g}"
        latency = _pair(one["latency_s"], "s") if "latency_s" in one else NOTHING
        share = f"{100 * row['accuracy']:.1f}"
        lines.append([row["network"], row["platform"], rule, share, steps, _pair(one["energy_j"], "J"), latency])
    return lines


def unanswered(document: Mapping[str, Any]) -> list[str]:
    """Where there is no latency to a decision, and why, by name."""
    timeless = dict.fromkeys(row["platform"] for row in document["rows"] if row["latency_s"] is None)
    lines = [f"- {name}: no time of its operations is published" for name in timeless]
    lines += [f"- {name}: {why}" for name, why in document["without_price"].items()]
    for machine, profiles in document["unpriced"].items():
        lines += [f"- {machine}, {profile}: {why}" for profile, why in profiles.items()]
    return lines


def measured_lines(measured: Sequence[Row]) -> list[list[str]]:
    """What this computer took, by the clock and by its counter; never a modelled figure."""
    return [
        [
            row["network"],
            row["device"],
            str(row["batch"]),
            f"{si(row['seconds'], 's')} ± {si(row['seconds_sd'], 's')}",
            NOTHING if row["gross_j"] is None else f"{si(row['gross_j'], 'J')} ± {si(row['gross_sd_j'], 'J')}",
            si(row["net_j"], "J"),
            si(row["idle_w"], "W"),
            row["counter"] or "none",
        ]
        for row in measured
    ]


def reasons(measured: Sequence[Row]) -> list[str]:
    """Why nothing was counted where nothing was."""
    return list(dict.fromkeys(f"Joules were not measured: {row['reason']}." for row in measured if row["reason"]))


def best(measured: Sequence[Row]) -> list[str]:
    """How many images at once take least each: joules where they were measured, else seconds."""
    lines = []
    for network in dict.fromkeys(row["network"] for row in measured):
        rows = [row for row in measured if row["network"] == network]
        by = "seconds" if any(row["gross_j"] is None for row in rows) else "gross_j"
        least = min(rows, key=lambda row: row[by])
        figure = si(least[by], "s" if by == "seconds" else "J")
        lines.append(f"Least of an image of {network}: {figure}, {least['batch']} at once.")
    return lines


def physics_lines(physics: Mapping[str, Any]) -> list[list[str]]:
    """How far every platform is from what physics asks for."""
    return [
        [
            row["network"],
            row["platform"],
            row["profile"],
            spread({"low": row["low_j"], "nominal": row["mac_j"], "high": row["high_j"]}, "J"),
            f"{row['over_thermal']:.3g}",
            f"{row['over_landauer']:.3g}",
        ]
        for row in physics["rows"]
    ]


def silicon_lines() -> list[list[str]]:
    """What was published of silicon, and where."""
    return [[name, si(PUBLISHED[name], "J"), f"{one.kind}: {one.source}"] for name, one in SILICON.items()]


def task_lines() -> list[list[str]]:
    """Whole tasks on Loihi 2, as published, and where: no operations were published that they could be divided by."""
    told = {"PilotNet, energy of an inference": PILOTNET["inference_energy"], "PilotNet, a step": PILOTNET["step_time"]}
    told |= {name.replace("_", " "): constant for name, constant in LOIHI_2_TASKS.items()}
    return [
        [name, f"{one.nominal:g}" if one.unit == "1" else si(one.nominal, one.unit), f"{one.kind}: {one.source}"]
        for name, one in told.items()
    ]


def training_lines(training: Sequence[Row]) -> list[list[str]]:
    """What one epoch takes."""
    return [
        [
            row["how"],
            row["platform"],
            row["profile"],
            spread(row["energy_j"], "J") if row["energy_j"] else NOTHING,
            row["note"],
        ]
        for row in training
    ]


def platform_table(rows: Sequence[Row]) -> Table:
    """The platform table on a terminal."""
    table = Table("network", "platform", "accuracy %", "energy", "latency", title="modelled, of an image to the end")
    for row in rows:
        if row["rule"] == ALL:
            figures = (
                f"{100 * row['accuracy']:.1f}",
                spread(row["energy_j"], "J"),
                spread(row["latency_s"] or {}, "s"),
            )
            table.add_row(row["network"], row["platform"], *figures)
    return table


def most_of(parts: Mapping[str, float]) -> str:
    """The two parts that take most, with their shares."""
    total = sum(parts.values())
    if total <= 0:
        return NOTHING
    first = sorted(parts.items(), key=lambda part: -part[1])[:2]
    return ", ".join(f"{name} {100 * joules / total:.0f} %" for name, joules in first if joules > 0)


def _pair(values: Mapping[str, float], unit: str) -> str:
    """Median, and the 95th percentile."""
    return f"{si(values['median'], unit)}, {si(values['p95'], unit)}"
