"""What happens on the way: accuracy against steps or time, against epochs of learning, cosines against the nudge."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import altair as alt

from bench.records.learning_row import LearningRow
from bench.records.statistics import accuracy_interval, estimate_of_dies, mean_interval
from bench.reports.lessons import cosines, groups
from bench.reports.page.accuracy import LINE_FROM, names_of, subject
from bench.reports.page.figure import Figure, Line, coloured, told, wide
from bench.reports.page.gathered import Attack, Entry, Gathered, Lesson

MOST_CURVES = 12
"""Of a figure: more are not told apart."""


def course_figures(gathered: Gathered) -> list[Figure]:
    """Settling, then learning; those for which there are rows."""
    entries = [entry for entry in gathered.entries if entry.row["by_step"]]
    stepped = [entry for entry in entries if "times_s" not in entry.row["by_step"]]
    timed = [entry for entry in entries if "times_s" in entry.row["by_step"]]
    made = [
        _settling("settling", "How fast networks decide", "step", stepped),
        _settling("settling-time", "How fast networks decide, in the machine's own time", "time, s", timed),
        _work(stepped),
        _learning(gathered.lessons),
        _cosines(gathered.lessons),
        *_attacks(gathered.attacks),
    ]
    return [figure for figure in made if figure is not None]


def _settling(name: str, title: str, along: str, entries: Sequence[Entry]) -> Figure | None:
    """Of each machine the first row that was also disturbed, or the first."""
    shown = _firsts(entries)
    data: list[Line] = []
    for series, entry in shown.items():
        curve = entry.row["by_step"]
        places = curve.get("times_s") or range(1, len(curve["accuracy"]) + 1)
        intervals = curve.get("accuracy_ci95") or [_interval(share, entry) for share in curve["accuracy"]]
        for place, share, (low, high) in zip(places, curve["accuracy"], intervals, strict=True):
            if place > 0:
                figures = {"accuracy": 100 * share, "low": 100 * low, "high": 100 * high}
                data.append({"place": place, "series": series, **{key: round(at, 3) for key, at in figures.items()}})
    if not data:
        return None
    points = "; ".join(
        f"{series}: " + ", ".join(f"{key} {value}" for key, value in (entry.row["point"] or {}).items())
        for series, entry in shown.items()
        if entry.row["point"]
    )
    caption = "Bands are 95 % intervals. " + (f"Of swept machines one point ({points})." if points else "")
    scale = wide([line["place"] for line in data], "log")
    chart = _curves(data, alt.X("place:Q", title=along, scale=scale))
    return Figure(name, title, subject(list(shown.values())), caption.strip(), data, chart)


def _firsts(entries: Sequence[Entry]) -> dict[str, Entry]:
    name_of = names_of(entries)
    shown: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: not entry.row["robust"]):
        shown.setdefault(name_of(entry), entry)
    return dict(list(shown.items())[:MOST_CURVES])


def _interval(share: float, entry: Entry) -> tuple[float, float]:
    """Of a row that has none by step: of one machine over images, of dies with their spread at the end."""
    images = int(entry.row["images"])
    if len(entry.dies) < 2:
        return accuracy_interval(round(share * images), images)
    shift = share - fmean(entry.dies)
    return estimate_of_dies([min(1.0, max(0.0, die + shift)) for die in entry.dies], images).interval


def _curves(data: Sequence[Line], x: alt.X) -> alt.LayerChart:
    """Lines with bands; a legend that picks."""
    names = list(dict.fromkeys(line["series"] for line in data))
    pick = alt.selection_point(fields=["series"], bind="legend", name="series_shown")
    heights = [line[name] for line in data for name in ("low", "high")]
    y = alt.Y("accuracy:Q", title="accuracy, %", scale=wide(heights, most=100))
    colour = coloured("series", "", names)
    base = alt.Chart().encode(x=x, color=colour)
    return alt.layer(
        base.mark_area().encode(
            y=alt.Y("low:Q", title="accuracy, %"),
            y2="high:Q",
            opacity=alt.condition(pick, alt.value(0.12), alt.value(0)),
        ),
        base.mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1.6).encode(
            y=y,
            opacity=alt.condition(pick, alt.value(1), alt.value(0.1)),
            strokeDash=alt.StrokeDash("series:N", legend=None, sort=names),
            tooltip=told(data[0]),
        ),
    ).add_params(pick)


def _work(entries: Sequence[Entry]) -> Figure | None:
    """Synaptic operations of each step, of machines that send messages: what is on their wires."""
    data: list[Line] = []
    for series, entry in _firsts([entry for entry in entries if "crossbar" not in entry.row]).items():
        counts = entry.row["by_step"].get(f"synops_{entry.row['coding']}") or []
        data += [
            {"place": step, "series": series, "synops": round(count, 2)} for step, count in enumerate(counts, start=1)
        ]
    if not data:
        return None
    names = list(dict.fromkeys(line["series"] for line in data))
    scale = alt.Scale(type="symlog", constant=100, domainMin=0)
    chart = (
        alt.Chart()
        .mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1.6)
        .encode(
            x=alt.X("place:Q", title="step", scale=alt.Scale(type="log", nice=False)),
            y=alt.Y("synops:Q", title="synaptic operations per image", scale=scale, axis=alt.Axis(format="~s")),
            color=coloured("series", "", names),
            strokeDash=alt.StrokeDash("series:N", legend=None, sort=names),
            tooltip=told(data[0]),
        )
    )
    caption = "Of what is on the wire. Crossbars, whose events are reads of tiles, are not among them."
    return Figure("work", "Work of each step", subject(entries), caption, data, chart)


def _learning(lessons: Sequence[Lesson]) -> Figure | None:
    """Accuracy against epochs: means over dies with intervals, every die a dot."""
    data: list[Line] = []
    names = _grouped(lessons)
    for name, rows in names.items():
        for arm, curves in _ways(rows).items():
            series = f"{name}, {arm}" if arm else name
            for epoch in range(min(map(len, curves))):
                shares = [curve[epoch] for curve in curves]
                made = estimate_of_dies(shares, rows[0].images)
                low, high = made.interval
                figures = {"accuracy": made.share, "low": low, "high": high}
                line = {"place": epoch, "series": series, "kind": "mean", "dies": len(shares)}
                data.append({**line, **{key: round(100 * value, 3) for key, value in figures.items()}})
                if len(shares) > 1:
                    dots = {"place": epoch, "series": series, "kind": "die"}
                    data += [{**dots, "accuracy": round(100 * share, 3)} for share in shares]
    if not data:
        return None
    axis = alt.X("place:Q", title="epochs", axis=alt.Axis(tickMinStep=1), scale=wide([line["place"] for line in data]))
    models = sorted({lesson.row.model or lesson.row.backend for lesson in lessons})
    caption = "Means with 95 % intervals, which count dies and images; dots are dies."
    chart = _means(data, axis, "accuracy", "accuracy, %")
    return Figure("learning", "Learning on machines", ", ".join(models), caption, data, chart)


def _grouped(lessons: Sequence[Lesson]) -> dict[str, list[LearningRow]]:
    """Rows that differ in nothing but the die, by what they are of."""
    several = len({lesson.source for lesson in lessons}) > 1
    held: dict[str, list[LearningRow]] = {}
    for lesson in lessons:
        (title, _), *_ = groups([lesson.row])
        swept = [f"{key} {value}" for key, value in lesson.where.items()]
        held.setdefault(", ".join([*([lesson.source] if several else []), title, *swept]), []).append(lesson.row)
    return held


def _ways(rows: Sequence[LearningRow]) -> dict[str, list[list[float]]]:
    """Courses of accuracy by way, one for each die; a study of one way has it under ""."""
    ways: dict[str, list[list[float]]] = {}
    for row in rows:
        for arm, curve in {**(row.arms or {}), **({"": row.curve} if row.curve else {})}.items():
            ways.setdefault(arm, []).append(curve["accuracy"])
    return ways


def _cosines(lessons: Sequence[Lesson]) -> Figure | None:
    """Agreement with the true gradient against the strength of the nudge."""
    data: list[Line] = []
    for name, rows in _grouped([lesson for lesson in lessons if lesson.row.cosines]).items():
        entries: list[dict[str, Any]] = rows[0].cosines or []
        for remedy in dict.fromkeys(entry["remedy"] for entry in entries):
            for beta in dict.fromkeys(entry["beta"] for entry in entries if entry["remedy"] == remedy):
                values = cosines(rows, remedy, beta)
                mean, (low, high) = mean_interval(values)
                line = {"place": beta, "series": f"{name}, {remedy}", "kind": "mean", "dies": len(values)}
                data.append({**line, "cosine": mean, "low": low, "high": high})
                data += [{**line, "kind": "die", "cosine": value} for value in values]
    if not data:
        return None
    axis = alt.X("place:Q", title="beta", scale=wide([line["place"] for line in data], "log"))
    caption = "Cosine with the true gradient of the network that the die holds, means over links; dots are dies, with"
    caption += " Student's 95 % intervals over them."
    chart = _means(data, axis, "cosine", "cosine with the true gradient")
    return Figure("cosines", "What a noisy die sees of the gradient", "", caption, data, chart)


def _means(data: list[Line], x: alt.X, figure: str, title: str) -> alt.LayerChart:
    """Means with whiskers, dies as dots, lines where they have points enough."""
    lengths: dict[str, int] = {}
    for line in data:
        if line["kind"] == "mean":
            lengths[line["series"]] = lengths.get(line["series"], 0) + 1
    for line in data:
        line["points"] = lengths[line["series"]]
    names = list(lengths)
    pick = alt.selection_point(fields=["series"], bind="legend", name="series_shown")
    shown = alt.condition(pick, alt.value(1), alt.value(0.1))
    heights = [line[name] for line in data for name in ("low", figure, "high") if name in line]
    y = alt.Y(f"{figure}:Q", title=title, scale=wide(heights, most=100))
    base = alt.Chart().encode(x=x, color=coloured("series", "", names), opacity=shown)
    means = base.transform_filter("datum.kind === 'mean'")
    return alt.layer(
        base.transform_filter("datum.kind === 'die'")
        .mark_circle(size=16)
        .encode(y=y, opacity=alt.condition(pick, alt.value(0.35), alt.value(0.03))),
        means.transform_filter(f"datum.points >= {LINE_FROM}").mark_line(strokeWidth=1.5).encode(y=y),
        means.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
        means.mark_point(filled=True, size=45).encode(y=y, tooltip=told(data[0])),
    ).add_params(pick)


def _attacks(attacks: Sequence[Attack]) -> list[Figure | None]:
    """Of each norm, what is left at every radius after the worst that was found there, by network and machine."""
    norms = dict.fromkeys(attack.row.norm for attack in attacks if attack.row.norm is not None)
    return [_left([attack for attack in attacks if attack.row.norm == norm], str(norm)) for norm in norms]


def _left(attacks: Sequence[Attack], norm: str) -> Figure | None:
    several = len({attack.row.model for attack in attacks}) > 1
    worst: dict[tuple[str, float], Attack] = {}
    for attack in attacks:
        series = ", ".join([attack.machine, *([attack.row.model] if several else [])])
        places = [(series, 0.0), (series, float(attack.row.eps or 0))]
        for place, share in zip(places, (attack.row.clean, attack.row.accuracy), strict=True):
            held = worst.get(place)
            if held is None or share < (held.row.accuracy if place[1] else held.row.clean):
                worst[place] = attack
    data: list[Line] = []
    for (series, eps), attack in worst.items():
        row = attack.row
        share = row.accuracy if eps else row.clean
        low, high = row.accuracy_ci95 if eps else accuracy_interval(round(row.clean * row.images), row.images)
        figures = {"accuracy": 100 * share, "low": 100 * low, "high": 100 * high}
        line = {"place": eps, "series": series, "kind": "mean", "attack": row.attack if eps else "none"}
        data.append({**line, **{name: round(value, 3) for name, value in figures.items()}})
    if len({line["place"] for line in data}) < 2:
        return None
    axis = alt.X("place:Q", title=f"radius ({norm})", scale=wide([line["place"] for line in data]))
    models = sorted({attack.row.model for attack in attacks})
    counts = sorted({attack.row.images for attack in attacks})
    caption = "At each radius the attack after which least was left; 95 % intervals. Radius 0: images as they are."
    chart = _means(data, axis, "accuracy", "accuracy, %")
    subtitle = f"{', '.join(models[:3])}{' ..' if len(models) > 3 else ''}, {counts[0]} images"
    return Figure(f"attacks-{norm.lower()}", f"What attacks leave, {norm}", subtitle, caption, data, chart)
