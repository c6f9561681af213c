"""`python -m bench.diff BEFORE AFTER`: what has changed between two runs or sweeps, and is any of it worse?

Rows of the two folders are matched by what they are of (network, machine, number format, point). Accuracies differ by
d = after - before, with the interval of Newcombe's hybrid of the intervals (l, u) that the rows have,

    d - sqrt((a - l_a)**2 + (u_b - b)**2)  to  d + sqrt((u_a - a)**2 + (b - l_b)**2),

(Newcombe, Statistics in Medicine 17:873, 1998, method 10): the images need not be the same. Worse is an accuracy whose
whole interval lies below -`points`, a modelled energy, latency or number of synaptic operations that has grown by more
than `percent`, and a row that is gone. The exit code is 1 where anything is worse, so that a CI stops there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import hypot, isfinite
from pathlib import Path
from typing import Annotated, Any

import tyro

from bench.command_line import ConfigError, Group, option, parse
from bench.records.folders import ROWS
from bench.records.rows_file import read_rows
from bench.reports.format import NOTHING, markdown
from bench.sweeps.flat import flattened, rows
from models.command_line import FAILED, exit_code, refuse_empty

HELP = "What has changed between two runs or sweeps; exit code 1 where anything is worse."
NAMES = ("study", "learn", "model", "data", "backend", "precision", "update", "die", "seed", "images")
"""What a row is of, beside its point or its coordinates."""
COSTS = ("energy_j.nominal", "latency_s.nominal", "synops.dense", "synops.zero_skip", "synops.delta", "steps")


@dataclass(frozen=True)
class DiffOptions:
    """Which two, and what counts as worse."""

    before: tyro.conf.Positional[Path]
    """Folder of a run or a sweep."""
    after: tyro.conf.Positional[Path]
    """The same, later."""
    points: Annotated[float, option("X")] = 0.0
    """Points of accuracy that may be lost for certain."""
    percent: Annotated[float, option("X")] = 5.0
    """By how much a modelled cost may grow."""
    json: Annotated[bool, option()] = False
    """Print the last line, JSON, on a terminal too."""


@dataclass(frozen=True)
class Change:
    """One figure of one row. None: it is not there."""

    row: str
    figure: str
    before: float | None
    after: float | None
    interval: tuple[float, float] | None
    """Of the difference of accuracies, 95 %."""
    worse: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for folders that hold nothing to compare, 1 where anything is worse."""
    arguments = sys.argv[1:] if arguments is None else arguments
    found: list[Change] = []

    def work() -> None:
        groups = {"diff": Group(DiffOptions(tyro.MISSING, tyro.MISSING))}
        options: DiffOptions = parse(groups, arguments, "python -m bench.diff", HELP).diff
        refuse_empty(arguments)
        for name, value in (("--points", options.points), ("--percent", options.percent)):
            if not (isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}, must be a finite number from 0")
        found.extend(changes(rows_of(options.before), rows_of(options.after), options))
        print("\n".join(lines_of(found)))
        if options.json or not sys.stdout.isatty():
            print(json.dumps({"worse": sum(one.worse for one in found), "changes": [asdict(one) for one in found]}))

    if code := exit_code(work, batch=lambda: "smaller folders", stopped=lambda: "stopped"):
        raise SystemExit(code)
    if any(change.worse for change in found):
        raise SystemExit(FAILED)


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Flat rows of a run or a sweep, by what they are of; ConfigError where there is none, or two are the same."""
    if (folder / ROWS).is_file():
        found = [flattened(row) for row in read_rows(folder / ROWS)]
        named = [{name: row[name] for name in row if name in NAMES or name.startswith("point.")} for row in found]
    elif (folder / "rows").is_dir():
        found = rows(folder)
        # coordinates stand before the figures of a row, which begin with its version
        named = [_until_schema(row) | {name: row[name] for name in row if name in NAMES} for row in found]
    else:
        raise ConfigError(f"{folder} is no folder of a run or a sweep: it has neither {ROWS} nor rows")
    by_name: dict[str, dict[str, Any]] = {}
    for name, row in zip(map(_words, named), found, strict=True):
        if name in by_name:
            raise ConfigError(f"{folder}: two rows of {name}")
        by_name[name] = row
    if not by_name:
        raise ConfigError(f"{folder} holds no finished row")
    return by_name


def changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], options: DiffOptions
) -> Iterator[Change]:
    """Every figure that differs, and every row that is in one of them only."""
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            worse = name in before
            yield Change(name, "row", float(worse), float(not worse), None, worse)
            continue
        old, new = before[name], after[name]
        for figure in dict.fromkeys([*old, *new]):
            a, b = old.get(figure), new.get(figure)
            if figure in COSTS and a != b:
                grown = a is not None and (b is None or b > a * (1 + options.percent / 100))
                yield Change(name, figure, a, b, None, grown)
            elif _is_share(figure) and a != b:
                interval = _difference(old, new, figure)
                most = interval[1] if interval else -1.0 if b is None else 0.0 if a is None else b - a
                yield Change(name, figure, a, b, interval, most < -options.points / 100)


def lines_of(found: Sequence[Change]) -> list[str]:
    """A table of all changes, the worse ones first, and how many there are."""
    ordered = sorted(found, key=lambda change: not change.worse)
    heading = ("row", "figure", "before", "after", "difference", "")
    lines = [
        (one.row, one.figure, _number(one, one.before), _number(one, one.after), _told(one), "worse" * one.worse)
        for one in ordered
    ]
    count = f"{len(found)} figures differ, {sum(one.worse for one in found)} for the worse"
    return [*(markdown(heading, lines) if lines else []), count]


def _is_share(figure: str) -> bool:
    """Whether it is an accuracy."""
    return figure == "accuracy" or figure.startswith(("robust.", "accuracy."))


def _difference(old: Mapping[str, Any], new: Mapping[str, Any], figure: str) -> tuple[float, float] | None:
    ends = [_interval(row, figure) for row in (old, new)]
    if ends[0] is None or ends[1] is None or old.get(figure) is None or new.get(figure) is None:
        return None
    (low_a, high_a), (low_b, high_b), a, b = ends[0], ends[1], old[figure], new[figure]
    return b - a - hypot(b - low_b, high_a - a), b - a + hypot(high_b - b, a - low_a)


def _interval(row: Mapping[str, Any], figure: str) -> tuple[float, float] | None:
    """Of an accuracy: flat rows have lists as text."""
    name, dot, rest = figure.partition(".")
    text = row.get(f"{name}_ci95{dot}{rest}")
    if not text:
        return None
    low, high = map(float, str(text).split())
    return low, high


def _until_schema(row: Mapping[str, Any]) -> dict[str, Any]:
    names = list(row)
    return {name: row[name] for name in names[: names.index("schema")]}


def _words(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('point.')} {value}" for name, value in named.items() if value is not None)


def _number(change: Change, value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{100 * value:.1f} %" if _is_share(change.figure) else f"{value:.4g}"


def _told(change: Change) -> str:
    if change.interval is not None:
        assert change.before is not None
        assert change.after is not None
        low, high = change.interval
        return f"{100 * (change.after - change.before):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    if change.before and change.after is not None:
        return f"{100 * (change.after / change.before - 1):+.1f} %"
    return NOTHING


if __name__ == "__main__":
    main()
