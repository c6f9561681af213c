"""The table of a page: a line for every row, plain numbers that sort, in units of the heading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.statistics import accuracy_interval
from bench.reports.page.costs import events_of
from bench.reports.page.figure import Line
from bench.reports.page.gathered import Attack, Entry, Gathered, Lesson

NANO, MICRO, MILLI = 1e9, 1e6, 1e3


def lines_of(gathered: Gathered) -> list[Line]:
    """All rows; a figure that was not measured is None."""
    varied = gathered.varied()
    lines = [*(_line(entry, varied) for entry in gathered.entries)]
    several = len(gathered.sources) > 1
    lines += [_attacked(attack, several) for attack in gathered.attacks]
    return [*lines, *(line for lesson in gathered.lessons for line in _learnt(lesson, several))]


def columns_of(lines: Sequence[Line]) -> list[str]:
    """Names of columns in which anything stands."""
    names = dict.fromkeys(name for line in lines for name in line)
    return [name for name in names if any(line.get(name) not in (None, "") for line in lines)]


def _line(entry: Entry, varied: Sequence[str]) -> Line:
    row = entry.row
    where = {name: entry.where.get(name) for name in varied if name not in ("model", "machine", "data")}
    low, high = entry.interval or (None, None)
    against = row["against_float"] or {}
    ends = against.get("ci95") or (None, None)
    line: Line = {
        "machine": entry.machine,
        "network": row["model"],
        "data": row["data"],
        **where,
        "images": row["images"],
        "dies": len(entry.dies) or None,
        "accuracy %": _percent(entry.accuracy),
        "low": _percent(low),
        "high": _percent(high),
        "against float": _percent(against.get("difference")),
        "from": _percent(ends[0]),
        "to": _percent(ends[1]),
    }
    line |= {f"{name} %": _percent(share) for name, share in row["robust"].items()}
    energy, latency = row["energy_j"], row["latency_s"]
    line |= {
        "steps": _short(row["steps"]),
        "energy, µJ": _short(energy.get("nominal"), MICRO),
        "energy low": _short(energy.get("low"), MICRO),
        "energy high": _short(energy.get("high"), MICRO),
        "measured, µJ": _short(row["energy_measured_j"], MICRO),
        "latency, µs": _short(latency.get("nominal"), MICRO),
        "measured, ms": _short(latency.get("measured"), MILLI),
    }
    line |= {name: _short(count) for name, count in events_of(entry).items()}
    return line | _room(row)


def _room(row: Any) -> Line:
    """What a network takes of a chip: cores, or tiles and the fullest of their buffers."""
    placed = (row.get("lava") or {}).get("placement")
    tiles = (row.get("crossbar") or {}).get("tiles") or {}
    return {
        "cores": sum(layer["cores"] for layer in placed["layers"]) if placed else None,
        "tiles": sum(tiles["tiles"]) if tiles else None,
        "buffer, B": max(tiles.get("buffer_bytes") or [None]),
    }


def _learnt(lesson: Lesson, several: bool) -> list[Line]:
    """A line for every way of a study."""
    row = lesson.row
    where = {"folder": lesson.source} if several else {}
    where |= {name.replace("-", "_"): _word(value) for name, value in lesson.where.items()}
    point = row.point or {}
    known = {"machine": f"{row.backend} {row.precision}", "network": row.model, "study": row.learn, **where, **point}
    known |= {"update": row.update, "die": row.die, "images": row.images}
    ways = {**(row.arms or {}), **({"from scratch": row.curve} if row.curve else {})}
    if not ways:
        return [known]
    return [
        {
            **known,
            "way": way,
            "before %": _percent(curve["accuracy"][0]),
            "accuracy %": _percent(curve["accuracy"][-1]),
            **_ends(curve["accuracy"][-1], row.images),
            "epochs": len(curve["accuracy"]) - 1,
        }
        for way, curve in ways.items()
    ]


def _ends(share: float, images: int) -> Line:
    """Wilson's interval, of one die or machine."""
    low, high = accuracy_interval(round(share * images), images)
    return {"low": _percent(low), "high": _percent(high)}


def _attacked(attack: Attack, several: bool) -> Line:
    row = attack.row
    low, high = row.accuracy_ci95
    where = {"folder": attack.source} if several else {}
    where |= {name.replace("-", "_"): _word(value) for name, value in attack.where.items() if name != "model"}
    return {
        "machine": attack.machine,
        "network": row.model,
        "data": row.data,
        **where,
        "images": row.images,
        "dies": row.dies,
        "accuracy %": _percent(row.accuracy),
        "low": _percent(low),
        "high": _percent(high),
        "attack": row.attack,
        "threat": row.threat,
        "gradient": row.gradient,
        "ball": None if row.norm is None else f"{row.norm} {row.eps:.3g}",
        "severity": row.severity,
        "clean %": _percent(row.clean),
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _short(value: float | None, factor: float = 1.0) -> float | None:
    """Four figures."""
    return None if value is None else float(f"{factor * value:.4g}")


def _word(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
