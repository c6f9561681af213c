"""Accuracy against whatever was varied, and against disturbances: every die a dot behind its mean, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import altair as alt
import numpy as np

from bench.records.statistics import estimate_of_dies
from bench.reports.page.figure import Figure, Line, coloured, told, wide
from bench.reports.page.gathered import Entry, Gathered, varied

REPEATS = ("seed",)
"""What is varied for its own sake: rows that differ in nothing else are one point of a figure."""
IDEAL_BITS = 16
"""Where an ideal converter is drawn."""
LINE_FROM = 3
"""Points that make a line: two make none."""
MOST_COLOURS, MOST_SELECTS, MOST_GROUPS = 8, 4, 600
MOST_TICKS, SHIFT_PX = 12, 8
"""Values that are written below an axis as they are, and pixels between series."""
MOST_DOTS = 3000
"""Dies that are drawn one by one; of more, the lowest, the quartiles and the highest of each point."""
FIRST = ("device", "model", "machine", "folder")
"""What gets colours rather than a selection, if it is varied."""
SEVERAL = "Of several rows of a machine: the mean, and the widest interval."
LABELS = {
    "noise_scale": "noise, times the published one",
    "hours": "hours after programming",
    "adc_bits": "bits of the converters (16: ideal)",
    "tile_size": "weights in a row and column of a tile",
    "steps": "step limit",
    "gaussian": "standard deviation of the input noise",
    "pgd-linf": "radius of the attack (Linf)",
}


def accuracy_figures(gathered: Gathered) -> list[Figure]:
    """Against every number that was varied, then against disturbances."""
    measured = [entry for entry in gathered.entries if entry.accuracy is not None]
    swept = [name for name in varied(measured) if name not in REPEATS]
    figures = [_along(measured, axis, swept) for axis in swept]
    return [figure for figure in (*figures, *_disturbed(measured)) if figure is not None]


def subject(entries: Sequence[Entry]) -> str:
    """What a figure is of: network, device, dies, images."""
    models = sorted({str(entry.row["model"]) for entry in entries})
    devices = sorted({str(entry.where["device"]) for entry in entries if "device" in entry.where})
    dies = sorted({len(entry.dies) for entry in entries if entry.dies})
    images = sorted({entry.row["images"] for entry in entries if entry.row["images"]})
    parts = [models[0] if len(models) == 1 else f"{len(models)} networks"]
    if devices:
        parts.append(devices[0] if len(devices) == 1 else f"{len(devices)} devices")
    if dies:
        parts.append(f"{dies[0]} dies" if len(dies) == 1 else f"{dies[0]} to {dies[-1]} dies")
    if images:
        parts.append(f"{images[0]:,} images" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,} images")
    return ", ".join(parts)


def _along(measured: Sequence[Entry], axis: str, swept: Sequence[str]) -> Figure | None:
    """Against one number; None where that has fewer than two values."""
    entries = [entry for entry in measured if _is_place(axis, entry.where.get(axis, ""))]
    if len({entry.where[axis] for entry in entries}) < 2:
        return None
    others = [name for name in varied(entries) if name in swept and name != axis]
    colour, selects, fixed, entries = _choices(entries, others)
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    chosen = _selection(entries, selects)
    for entry in entries:
        key = (_place(entry.where[axis]), str(entry.where.get(colour)), *chosen(entry).values())
        groups.setdefault(key, []).append(entry)
    selects = list(chosen(entries[0]))
    names = ("place", "series", *selects)
    data = [line for key, group in groups.items() for line in _lines(dict(zip(names, key, strict=True)), group)]
    reference = {entry.accuracy for entry in measured if entry.machine == "torch float" and axis not in entry.where}
    if len(reference) == 1 and (only := next(iter(reference))) is not None:
        data.append({"kind": "float", "accuracy": 100 * only, "series": "torch float"})
    caption = "; ".join(
        f"{name.replace('_', ' ')} is {value}, others are in the table" for name, value in fixed.items()
    )
    title = f"Accuracy against {axis.replace('_', ' ')}"
    labels = (LABELS.get(axis, axis), LABELS.get(colour, colour))
    return _figure(f"accuracy-{axis}", title, subject(entries), caption, _thinned(data), labels, selects)


def _selection(entries: Sequence[Entry], selects: Sequence[str]) -> Callable[[Entry], dict[str, str]]:
    """Values that are chosen by name: one at a time where every combination exists, else all together."""
    held = {tuple(str(entry.where.get(name)) for name in selects) for entry in entries}
    if len(held) == prod(len({values[place] for values in held}) for place in range(len(selects))):
        return lambda entry: {name: str(entry.where.get(name)) for name in selects}
    joined = ("folder", "model", "machine", "device")
    order = sorted(selects, key=lambda name: name not in joined)
    return lambda entry: {
        "of": ", ".join(
            str(entry.where[name]) if name in joined else f"{name} {entry.where[name]}"
            for name in order
            if name in entry.where
        )
    }


def _choices(entries: Sequence[Entry], others: Sequence[str]) -> tuple[str, list[str], dict[str, str], list[Entry]]:
    """What has colours, what can be selected, what stands at its first value since it is too much, and what is left."""
    counts = {name: len({str(entry.where.get(name)) for entry in entries}) for name in others}
    coloured_first = [name for name in (*FIRST, *others) if 1 < counts.get(name, 0) <= MOST_COLOURS]
    colour = coloured_first[0] if coloured_first else "machine"
    selects = [name for name in others if name != colour]
    fixed: dict[str, str] = {}
    while len(selects) > MOST_SELECTS or (prod(counts[name] for name in selects) > MOST_GROUPS and selects):
        name = selects.pop()
        fixed[name] = str(entries[0].where.get(name))
    kept = [entry for entry in entries if all(str(entry.where.get(name)) == held for name, held in fixed.items())]
    return colour, selects, fixed, kept


def _lines(where: Line, group: Sequence[Entry]) -> list[Line]:
    """A mean with its interval, and its dies."""
    dies = [share for entry in group for share in entry.dies]
    if len(group) == 1:
        share, interval = group[0].accuracy or 0.0, group[0].interval
    else:
        shares = dies or [entry.accuracy or 0.0 for entry in group]
        made = estimate_of_dies(shares, int(group[0].row["images"]))
        share, interval = made.share, made.interval
        dies = shares
    low, high = interval or (share, share)
    mean = {**where, "kind": "mean", "accuracy": 100 * share, "low": 100 * low, "high": 100 * high, "dies": len(dies)}
    return [mean, *({**where, "kind": "die", "accuracy": 100 * die} for die in dies)]


def _thinned(data: list[Line]) -> list[Line]:
    """With five dies at most of each point where there are too many; every mean knows how long its line is."""
    dots = [line for line in data if line["kind"] == "die"]
    rest = [line for line in data if line["kind"] != "die"]
    lengths: dict[tuple[Any, ...], int] = {}
    for line in rest:
        lengths[_series_of(line)] = lengths.get(_series_of(line), 0) + 1
    for line in rest:
        line["points"] = lengths[_series_of(line)]
    if len(dots) > MOST_DOTS:
        grouped: dict[tuple[Any, ...], list[Line]] = {}
        for line in dots:
            grouped.setdefault((line["place"], *_series_of(line)), []).append(line)
        dots = [
            {**held[0], "accuracy": float(share)}
            for held in grouped.values()
            for share in dict.fromkeys(np.quantile([line["accuracy"] for line in held], (0, 0.25, 0.5, 0.75, 1)))
        ]
    rounded = [{name: _rounded(value) for name, value in line.items()} for line in (*rest, *dots)]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(line.items()) for line in rounded)]


def _series_of(line: Line) -> tuple[Any, ...]:
    figures = ("place", "kind", "accuracy", "low", "high", "dies", "points")
    return tuple(value for name, value in line.items() if name not in figures)


def _disturbed(measured: Sequence[Entry]) -> list[Figure | None]:
    """Against the strength of each kind of disturbance, of which clean images are strength 0."""
    entries = [entry for entry in measured if entry.row["robust"]]
    name_of = names_of(entries)
    kinds = dict.fromkeys(name.rpartition("-")[0] for entry in entries for name in entry.row["robust"])
    figures: list[Figure | None] = []
    for kind in kinds:
        groups: dict[tuple[float, str], list[tuple[float, tuple[float, float] | None]]] = {}
        for entry in entries:
            series = name_of(entry)
            groups.setdefault((0.0, series), []).append((entry.accuracy or 0.0, entry.interval))
            for name, share in entry.row["robust"].items():
                of, _, strength = name.rpartition("-")
                if of == kind and _is_number(strength):
                    interval = entry.row["robust_ci95"].get(name)
                    groups.setdefault((float(strength), series), []).append((share, interval))
        data = [_mean_line(place, series, held) for (place, series), held in groups.items()]
        if len({line["place"] for line in data}) < 2 or len({line["series"] for line in data}) > 4 * MOST_COLOURS:
            continue
        title = f"Accuracy against {LABELS.get(kind, kind).split(' (')[0]}"
        figures.append(
            _figure(
                f"accuracy-{kind}", title, subject(entries), SEVERAL, _thinned(data), (LABELS.get(kind, kind), ""), ()
            )
        )
    return figures


def _mean_line(place: float, series: str, held: Sequence[tuple[float, tuple[float, float] | None]]) -> Line:
    """Of several rows the mean, and the widest of what their intervals hold."""
    share = float(np.mean([one for one, _ in held]))
    ends = [interval or (one, one) for one, interval in held]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    where = {"place": place, "series": series, "kind": "mean", "dies": len(held)}
    return {**where, "accuracy": 100 * share, "low": 100 * low, "high": 100 * high}


def names_of(entries: Sequence[Entry]) -> Callable[[Entry], str]:
    """What tells rows apart in a legend: the machine, and of network, data and folder what it takes."""
    told_by: list[str] = []

    def name(entry: Entry) -> str:
        return ", ".join([entry.machine, *(str(entry.where[part]) for part in told_by)])

    for part in ("model", "data", "folder"):
        before = len({name(entry) for entry in entries})
        if part in varied(entries):
            told_by.append(part)
            if len({name(entry) for entry in entries}) == before:
                told_by.pop()
    return name


def _figure(
    name: str,
    title: str,
    subtitle: str,
    caption: str,
    data: Sequence[Line],
    labels: tuple[str, str],
    selects: Sequence[str],
) -> Figure:
    """`labels`: of the horizontal axis and of the colours."""
    first = _fullest(data, selects)
    chosen = [
        alt.param(
            name=f"select_{axis}",
            value=first[axis],
            bind=alt.binding_select(
                options=list(dict.fromkeys(line[axis] for line in data if axis in line)), name=f"{axis}: "
            ),
        )
        for axis in selects
    ]
    base = alt.Chart()
    for axis in selects:
        base = base.transform_filter(f"datum.kind === 'float' || datum['{axis}'] === select_{axis}")
    layers, pick = _layers(base, data, labels)
    said = "Means with 95 % intervals, which count dies and images; dots beside them are dies"
    dotted = "; dotted: torch float" if any(line["kind"] == "float" for line in data) else ""
    text = f"{said}{dotted}. {caption}".strip()
    return Figure(name, title, subtitle, text, data, alt.layer(*layers).add_params(*chosen, pick))


def _fullest(data: Sequence[Line], selects: Sequence[str]) -> dict[str, str]:
    """The values to choose at first: those of which there is most to see."""
    counts = Counter(tuple(line[axis] for axis in selects) for line in data if line["kind"] == "mean")
    return dict(zip(selects, counts.most_common(1)[0][0], strict=True))


def _layers(base: alt.Chart, data: Sequence[Line], labels: tuple[str, str]) -> tuple[list[alt.Chart], alt.Parameter]:
    """Dies, the float reference, lines, intervals and means; series stand beside each other where they are few."""
    series = list(dict.fromkeys(line["series"] for line in data if line["kind"] != "float"))
    places = sorted({line["place"] for line in data if "place" in line})
    axis = alt.Axis(values=places, format=",.4~g") if len(places) <= MOST_TICKS else alt.Axis()
    x = alt.X("place:Q", title=labels[0], scale=_scale(places), axis=axis)
    heights = [line[name] for line in data for name in ("low", "accuracy", "high") if name in line]
    y = alt.Y("accuracy:Q", title="accuracy, %", scale=wide(heights, most=100))
    pick = alt.selection_point(fields=["series"], bind="legend", name="series_shown")
    bright, pale = (alt.condition(pick, alt.value(high), alt.value(low)) for high, low in ((1, 0.1), (0.45, 0.05)))
    kinds = {line["kind"] for line in data}
    layers = []
    if "float" in kinds:
        dotted = base.transform_filter("datum.kind === 'float'").mark_rule(strokeDash=[2, 3], color="#777777")
        layers.append(dotted.encode(y=y, tooltip=["series:N", "accuracy:Q"]))
    apart = [[name] for name in series] if len(series) <= MOST_COLOURS else [series]
    for number, together in enumerate(apart):
        shift = SHIFT_PX * (number - (len(apart) - 1) / 2)
        own = base.transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=together))
        own = own.encode(x=x, color=coloured("series", labels[1], series))
        means = own.transform_filter("datum.kind === 'mean'").encode(opacity=bright, tooltip=told(data[0]))
        if "die" in kinds:
            dots = own.transform_filter("datum.kind === 'die'").mark_circle(size=14, xOffset=shift - SHIFT_PX / 2)
            layers.append(dots.encode(y=y, opacity=pale))
        layers += [
            means.transform_filter(f"datum.points >= {LINE_FROM}")
            .mark_line(strokeWidth=1.5, xOffset=shift)
            .encode(y=y),
            means.mark_rule(strokeWidth=1.5, xOffset=shift).encode(y=alt.Y("low:Q", title="accuracy, %"), y2="high:Q"),
            means.mark_point(filled=True, size=50, xOffset=shift).encode(y=y),
        ]
    return layers, pick


def _scale(places: Sequence[float]) -> alt.Scale:
    """Logarithmic where values span more than a decade."""
    positive = [place for place in places if place > 0]
    if len(positive) < 2 or max(positive) < 15 * min(positive):
        return wide(places)
    return wide(places, "log" if len(positive) == len(places) else "symlog")


def _is_place(axis: str, value: Any) -> bool:
    return (value is None and axis == "adc_bits") or (isinstance(value, int | float) and not isinstance(value, bool))


def _place(value: float | None) -> float:
    return float(IDEAL_BITS if value is None else value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
