"""Energy: where it goes, between which bounds, and what accuracy it buys."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from statistics import fmean, median
from typing import Any

import altair as alt

from bench.reports.colours import MANY_COLOURS
from bench.reports.page.accuracy import LINE_FROM, names_of, subject
from bench.reports.page.figure import Figure, Line, coloured, told, wide
from bench.reports.page.gathered import Entry, Gathered

MOST_DOTS = 500
"""Of the front: more rows are drawn as means of those that lie together."""
ROW_PX = 22
"""Height of a line of a figure of names."""
MEASURED = "measured on this computer"


def cost_figures(gathered: Gathered) -> list[Figure]:
    """Energy, its parts, events, and the front; those for which there are figures."""
    entries = [entry for entry in gathered.entries if entry.accuracy is not None]
    made = (_energy(entries), _parts(entries), _events(entries), _front(entries))
    return [figure for figure in made if figure is not None]


def _energy(entries: Sequence[Entry]) -> Figure | None:
    """Dots with ranges on one logarithmic axis."""
    name_of = names_of(entries)
    held: dict[tuple[str, str], list[dict[str, float]]] = {}
    for entry in entries:
        for profile, cost in entry.row["costs"].items():
            held.setdefault((name_of(entry), profile), []).append(cost["energy_j"])
        if entry.row["energy_measured_j"] is not None:
            joules = entry.row["energy_measured_j"]
            held.setdefault((name_of(entry), MEASURED), []).append(dict.fromkeys(("low", "nominal", "high"), joules))
    data: list[Line] = [
        {
            "machine": machine,
            "profile": profile,
            "name": f"{machine}: {profile}",
            "kind": "measured" if profile == MEASURED else "modelled",
            "low": min(one["low"] for one in ranges),
            "nominal": median(one["nominal"] for one in ranges),
            "high": max(one["high"] for one in ranges),
            "rows": len(ranges),
        }
        for (machine, profile), ranges in held.items()
    ]
    if not data:
        return None
    names = list(dict.fromkeys(machine for machine, _ in held))
    y = alt.Y("name:N", title=None, sort=None)
    scale = wide([line[name] for line in data for name in ("low", "high")], "log")
    x = alt.X("nominal:Q", title="energy per image, J", scale=scale, axis=_prefixed())
    base = alt.Chart(height=ROW_PX * len(data)).encode(y=y, color=coloured("machine", "", names).legend(None))
    hover = told(data[0], ("name",))
    chart = alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="energy per image, J"), x2="high:Q", tooltip=hover),
        base.mark_point(filled=True, size=80).encode(
            x=x, tooltip=hover, shape=alt.Shape("kind:N", legend=None, scale=_shapes())
        ),
    )
    caption = (
        "Nominal with low to high of the constants of each profile; diamonds are measured by a counter. Of several"
    )
    caption += " rows: the median, and the widest range."
    return Figure("energy", "Energy per image", subject(entries), caption, data, chart)


def _shapes() -> alt.Scale:
    return alt.Scale(domain=["modelled", "measured"], range=["circle", "diamond"])


def _prefixed() -> alt.Axis:
    """Figures of any size, by their SI prefix."""
    return alt.Axis(format="~s")


def _parts(entries: Sequence[Entry]) -> Figure | None:
    """Shares of the nominal energy, so that machines of any size compare."""
    name_of = names_of(entries)
    held: dict[tuple[str, str], list[float]] = {}
    rows: dict[str, int] = {}
    for entry in entries:
        for profile, cost in entry.row["costs"].items():
            name = f"{name_of(entry)}: {profile}"
            rows[name] = rows.get(name, 0) + 1
            for part, joules in cost["breakdown_j"].items():
                held.setdefault((name, part), []).append(joules)
    data: list[Line] = [
        {"name": name, "part": part, "energy_j": sum(joules) / rows[name]} for (name, part), joules in held.items()
    ]
    whole: dict[str, float] = {}
    for line in data:
        whole[line["name"]] = whole.get(line["name"], 0.0) + line["energy_j"]
    data = [{**line, "share": 100 * line["energy_j"] / whole[line["name"]]} for line in data if whole[line["name"]]]
    if not data:
        return None
    parts = list(dict.fromkeys(line["part"] for line in data))
    chart = (
        alt.Chart(height=ROW_PX * len(whole))
        .mark_bar()
        .encode(
            y=alt.Y("name:N", title=None, sort=None),
            x=alt.X("share:Q", title="share of the nominal energy, %", stack="zero", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color(
                "part:N",
                title="",
                sort=parts,
                scale=alt.Scale(domain=parts, range=list(MANY_COLOURS)),
                legend=alt.Legend(orient="bottom", columns=4),
            ),
            order=alt.Order("order:Q"),
            tooltip=told(data[0]),
        )
        .transform_calculate(order=f"indexof({parts!r}, datum.part)")
    )
    return Figure("energy-parts", "Where the energy goes", subject(entries), "Mean over rows.", data, chart)


EVENTS = {"reads": "reads of tiles", "dac": "conversions to analog", "adc": "conversions to digital"}


def _events(entries: Sequence[Entry]) -> Figure | None:
    """What machines do: messages that are on the wire, or what tiles do, each machine its own events."""
    name_of = names_of(entries)
    held: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        for event, count in events_of(entry).items():
            held.setdefault((name_of(entry), event), []).append(count)
    data: list[Line] = [
        {"machine": machine, "event": event, "name": f"{machine}: {event}", "count": fmean(counts), "rows": len(counts)}
        for (machine, event), counts in held.items()
    ]
    data = [line for line in data if line["count"] > 0]
    if not data:
        return None
    names = list(dict.fromkeys(line["machine"] for line in data))
    chart = (
        alt.Chart(height=ROW_PX * len(data))
        .mark_point(filled=True, size=80)
        .encode(
            y=alt.Y("name:N", title=None, sort=None),
            x=alt.X(
                "count:Q", title="per image", scale=wide([line["count"] for line in data], "log"), axis=_prefixed()
            ),
            color=coloured("machine", "", names).legend(None),
            tooltip=told(data[0], ("name",)),
        )
    )
    caption = "Each machine in its own events: synaptic operations of what is on the wire, or what tiles do."
    return Figure("events", "What machines do for an image", subject(entries), caption, data, chart)


def events_of(entry: Entry) -> dict[str, float]:
    """Events per image of the kind that the machine has."""
    tiles = (entry.row.get("crossbar") or {}).get("tiles")
    if tiles:
        return {title: float(sum(map(sum, tiles[name]))) for name, title in EVENTS.items()}
    synops, coding = entry.row["synops"], entry.row["coding"]
    return {} if synops is None or coding is None else {"synaptic operations": float(synops[coding])}


def _front(entries: Sequence[Entry]) -> Figure | None:
    """Accuracy against modelled energy; the front are rows that none beats in both."""
    name_of = names_of(entries)
    data: list[Line] = []
    for entry in entries:
        energy = entry.row["energy_j"].get("nominal")
        if energy is None or entry.accuracy is None or energy <= 0:
            continue
        low, high = entry.interval or (entry.accuracy, entry.accuracy)
        data.append(
            {
                "machine": name_of(entry),
                "energy_j": energy,
                "energy_low_j": entry.row["energy_j"]["low"],
                "energy_high_j": entry.row["energy_j"]["high"],
                "accuracy": round(100 * entry.accuracy, 3),
                "low": round(100 * low, 3),
                "high": round(100 * high, 3),
                "profile": entry.row["energy_j"]["profile"],
                "point": ", ".join(f"{name} {value}" for name, value in entry.where.items() if name in _points(entry)),
                "rows": 1,
            }
        )
    if len({line["energy_j"] for line in data}) < 2:
        return None
    best = _best(data)
    data = [{**line, "front": number in best} for number, line in enumerate(data)]
    if len(data) > MOST_DOTS:
        data = [line for line in data if line["front"]] + _together([line for line in data if not line["front"]])
    names = list(dict.fromkeys(line["machine"] for line in data))
    spent = wide([line[name] for line in data for name in ("energy_low_j", "energy_high_j")], "log")
    x = alt.X("energy_j:Q", title="modelled energy per image, J", scale=spent, axis=_prefixed())
    reached = wide([line[name] for line in data for name in ("low", "high")], most=100)
    y = alt.Y("accuracy:Q", title="accuracy, %", scale=reached)
    pick = alt.selection_point(fields=["machine"], bind="legend", name="machine_shown")
    faded = alt.condition(pick, alt.value(1), alt.value(0.1))
    base = alt.Chart().encode(color=coloured("machine", "", names), opacity=faded, tooltip=told(data[0], ("front",)))
    layers: list[alt.Chart] = [
        base.mark_rule(strokeWidth=1).encode(x=x, y=alt.Y("low:Q", title="accuracy, %"), y2="high:Q"),
        base.mark_rule(strokeWidth=1).encode(
            x=alt.X("energy_low_j:Q", title="modelled energy per image, J"), x2="energy_high_j:Q", y=y
        ),
        base.mark_point(filled=True).encode(x=x, y=y, size=alt.Size("rows:Q", legend=None, scale=_sizes())),
    ]
    if len(best) >= LINE_FROM:
        on_front = alt.Chart().transform_filter("datum.front").mark_line(strokeDash=[4, 3], color="#777777")
        layers.insert(0, on_front.encode(x=x, y=y, order="energy_j:Q"))
    caption = (
        "Modelled energy, nominal with low to high; accuracy with 95 % intervals. Rows of the front, than which no"
    )
    caption += " other is better in both, are joined where they are three or more."
    return Figure("front", "Accuracy and energy", subject(entries), caption, data, alt.layer(*layers).add_params(pick))


def _sizes() -> alt.Scale:
    return alt.Scale(type="sqrt", range=[40, 400], domain=[1, 100], clamp=True)


def _points(entry: Entry) -> set[str]:
    return set(entry.where) - {"folder", "model", "data", "machine"}


def _best(data: Sequence[Line]) -> set[int]:
    """Numbers of those that no other beats: at least as accurate for at most as much, and better in one."""
    best, most = set(), float("-inf")
    for number in sorted(range(len(data)), key=lambda one: (data[one]["energy_j"], -data[one]["accuracy"])):
        if data[number]["accuracy"] > most:
            best.add(number)
            most = data[number]["accuracy"]
    return best


def _together(data: Sequence[Line]) -> list[Line]:
    """Means of rows of one machine that lie within a tenth of a decade and a point of accuracy."""
    cells: dict[tuple[Any, ...], list[Line]] = {}
    for line in data:
        cell = (line["machine"], round(10 * log10(line["energy_j"])), round(line["accuracy"]))
        cells.setdefault(cell, []).append(line)
    figures = ("energy_j", "energy_low_j", "energy_high_j", "accuracy", "low", "high")
    return [
        {**held[0], "rows": len(held), "point": f"{len(held)} rows"}
        | {name: float(f"{fmean(line[name] for line in held):.5g}") for name in figures}
        for held in cells.values()
    ]
