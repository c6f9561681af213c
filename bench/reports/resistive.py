"""Tables of what resistors that settle by themselves give: for the report of a study, and for the page about them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.records.learning_row import LearningRow
from bench.reports.format import markdown, si, spread
from bench.studies.repair import ARMS, summary


def energy_lines(energy: dict[str, Any]) -> list[list[str]]:
    """Machine, accuracy, energy and time of an image."""
    return [
        [one["name"], f"{100 * one['accuracy']:.2f}", spread(one["energy_j"], "J"), spread(one["latency_s"], "s")]
        for one in energy["machines"]
    ]


def energy_table(energy: dict[str, Any]) -> list[str]:
    """Of every machine."""
    return markdown(["machine", "accuracy %", "energy, modelled", "time, modelled"], energy_lines(energy))


def varied_table(energy: dict[str, Any]) -> list[str]:
    """Rows: capacities; columns: drivers and amplifiers."""
    drivers = list(dict.fromkeys(one["drivers"] for one in energy["varied"]))
    rows = []
    for capacity in dict.fromkeys(one["capacity"] for one in energy["varied"]):
        found = [one["energy_j"] for one in energy["varied"] if one["capacity"] == capacity]
        cells = [f"{si(joules, 'J')}, {joules / energy['thermal_limit_j']:,.0f} x limit" for joules in found]
        rows.append([f"{capacity:g} x", *cells])
    return markdown(["capacities", *(f"drivers and amplifiers {share:g} x" for share in drivers)], rows)


def repair_table(studies: Sequence[Sequence[LearningRow]]) -> list[str]:
    """Accuracy before and after both ways of a repair, mean and worst of dies."""
    lines = []
    for rows in studies:
        for scale in dict.fromkeys(row.at("resistor_noise") for row in rows):
            group = [row for row in rows if row.at("resistor_noise") == scale]
            ways, damage = summary(group), group[0].damage or {}
            before = _mean_and_worst(ways[ARMS[0]]["before"])
            stuck = f"{100 * (damage['stuck_on'] + damage['stuck_off']):g} %"
            lines.append([stuck, f"{scale:g} x", before, *(_mean_and_worst(ways[arm]["after"]) for arm in ARMS[:2])])
    return markdown(["devices stuck", "noise", "an hour after programming %", *(f"{arm} %" for arm in ARMS[:2])], lines)


def speed_table(timed: dict[str, Any]) -> list[str]:
    """Seconds of an image in a batch, alone, and in ngspice."""
    seconds, ratios, lines = timed["seconds"], timed["ratios"], []
    for suffix, name in (("", "100 hidden nodes"), ("_32", "32 hidden nodes")):
        own = [
            f"{si(seconds[kind + suffix], 's')}, {ratios[ratio + suffix]:,.0f} times sooner"
            for kind, ratio in (("batch", "spice_over_resistive"), ("alone", "spice_over_alone"))
        ]
        count = f"{name}, {timed['others']['resistors' + suffix]:,.0f} resistors"
        lines.append([count, *own, si(seconds["spice" + suffix], "s")])
    return markdown(["network", "an image of a batch of 256", "an image alone", "ngspice"], lines)


def _mean_and_worst(shares: Sequence[float]) -> str:
    return f"{100 * fmean(shares):.1f} (worst {100 * min(shares):.1f})"
