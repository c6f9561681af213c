"""`python -m bench.diff BEFORE AFTER`: what has changed between two runs or sweeps, and is any of it worse?

Rows of the two folders are matched by what they are of (network, machine, number format, point). Accuracies differ by
d = after - before, with a 95 % interval: where both folders kept what was answered to each image and the images are the
same ones, that of pairs, else Newcombe's hybrid of the intervals that the rows have (`bench.records.statistics`). Worse
is an accuracy whose whole interval lies below -`points`, a modelled energy, latency or number of synaptic operations
that has grown by more than `percent`, and a row that is gone. The exit code is 1 where anything is worse, so that a CI
stops there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from bench.command_line import ConfigError, Group, option, parse
from bench.records.answers import ANSWERS, CLEAN, read_answers
from bench.records.folders import ROWS
from bench.records.row import Row
from bench.records.rows_file import read_rows
from bench.records.statistics import difference, unpaired_difference
from bench.reports.format import NOTHING, markdown
from bench.sweeps.flat import flattened, rows
from models.command_line import FAILED, exit_code, refuse_empty

HELP = "What has changed between two runs or sweeps; exit code 1 where anything is worse."
NAMES = (
    *("study", "learn", "model", "data", "backend", "precision", "update", "die", "seed", "images"),
    *("attack", "threat", "norm", "eps", "gradient", "severity", "budget", "feedback"),
)
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
    paired: bool = False
    """Whether the interval is that of answers to the same images."""


@dataclass(frozen=True)
class Side:
    """One of the two folders."""

    folder: Path
    rows: Mapping[str, Mapping[str, Any]]
    """Flat, by what they are of."""


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
        found.extend(changes(side_of(options.before), side_of(options.after), options))
        print("\n".join(lines_of(found)))
        if options.json or not sys.stdout.isatty():
            print(json.dumps({"worse": sum(one.worse for one in found), "changes": [asdict(one) for one in found]}))

    if code := exit_code(work, batch=lambda: "smaller folders", stopped=lambda: "stopped"):
        raise SystemExit(code)
    if any(change.worse for change in found):
        raise SystemExit(FAILED)


def side_of(folder: Path) -> Side:
    """Rows of a run or a sweep; ConfigError where there is none, or two are of the same."""
    if (folder / ROWS).is_file():
        found = [flattened(brought_up(row)) for row in read_rows(folder / ROWS)]
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
    return Side(folder, by_name)


def brought_up(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a file, of whatever version it is, with the intervals that rows have today."""
    if {"learn", "step_limit", "threat"} & row.keys():
        return row  # studies, the zoo and attacks, whose intervals have stayed what they were
    return Row.from_json(row).to_json()


def changes(before: Side, after: Side, options: DiffOptions) -> Iterator[Change]:
    """Every figure that differs, and every row that is in one of them only."""
    for name in dict.fromkeys([*before.rows, *after.rows]):
        if name not in before.rows or name not in after.rows:
            worse = name in before.rows
            yield Change(name, "row", float(worse), float(not worse), None, worse)
            continue
        old, new = before.rows[name], after.rows[name]
        for figure in dict.fromkeys([*old, *new]):
            a, b = old.get(figure), new.get(figure)
            if figure in COSTS and a != b:
                grown = a is not None and (b is None or b > a * (1 + options.percent / 100))
                yield Change(name, figure, a, b, None, grown)
            elif _is_share(figure) and a != b:
                pair = _paired((before.folder, old), (after.folder, new), figure)
                interval = pair or _unpaired(old, new, figure)
                most = interval[1] if interval else -1.0 if b is None else 0.0 if a is None else b - a
                yield Change(name, figure, a, b, interval, most < -options.points / 100, pair is not None)


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


def _paired(
    before: tuple[Path, Mapping[str, Any]], after: tuple[Path, Mapping[str, Any]], figure: str
) -> tuple[float, float] | None:
    """Of what both answered to each image; None where that was not kept, or the images are others."""
    old, new = (_right(*side, figure) for side in (before, after))
    if old is None or new is None or old[0].shape != new[0].shape or (old[0] != new[0]).any():
        return None
    return difference(new[1], old[1])[1]


def _right(folder: Path, row: Mapping[str, Any], figure: str) -> tuple[NDArray[Any], NDArray[np.float64]] | None:
    """Labels, or what else says which images they are, and which were answered right by each die."""
    if not row.get("answers"):
        return None
    if "threat" in row:  # a row of an attack holds its answers as characters; of dies and draws only their mean
        single = row.get("dies") is None and row.get("draws") is None and figure == "accuracy"
        right = np.array([[one == "X" for one in row["answers"]]], np.float64)
        return (np.full(right.shape[1], row["seed"]), right) if single else None
    answers = read_answers(folder / ANSWERS, row["answers"])
    name = CLEAN if figure == "accuracy" else figure.removeprefix("robust.")
    return (answers.labels, answers.right(name)) if name in answers.scores else None


def _unpaired(old: Mapping[str, Any], new: Mapping[str, Any], figure: str) -> tuple[float, float] | None:
    ends = [_interval(row, figure) for row in (new, old)]
    if ends[0] is None or ends[1] is None or old.get(figure) is None or new.get(figure) is None:
        return None
    return unpaired_difference((new[figure], ends[0]), (old[figure], ends[1]))


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
