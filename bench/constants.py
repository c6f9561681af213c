"""`python -m bench.constants`: the constants behind every modelled joule and second, with where each was published.

    python -m bench.constants --group davies2018 sanafe --find synapse
    python -m bench.constants --kind measured --format csv > measured.csv

`--format csv` has one line per constant: group, name, low, nominal, high, unit, node, kind, source, note. `--format
json` is one document of the same.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.table import Table as Drawn

from bench.command_line import ConfigError, Group, choose, option, parse
from bench.reports.format import si
from hw.cost.constants import KINDS, TABLE, Constant, Table
from hw.cost.constants.own import read_own
from models.command_line import exit_code, refuse_empty

HELP = "The constants behind every modelled joule and second, with where each was published."
COLUMNS = ("group", "name", "low", "nominal", "high", "unit", "node", "kind", "source", "note")


@dataclass(frozen=True)
class ConstantsOptions:
    """Which of them, and how."""

    group: Annotated[tuple[str, ...], option("NAME", default="all")] = ()
    """Groups, which are sources."""
    kind: Annotated[tuple[str, ...], option("KIND", default="all")] = ()
    """How the source got its number: measured, simulated, fitted, derived, vendor, assumed."""
    find: Annotated[str, option("TEXT", default="all")] = ""
    """Only those that have this in their name, node, source or note."""
    constants: Annotated[tuple[Path, ...], option("FILE..", default="the published alone")] = ()
    """TOML of constants of one's own, shown as groups of their profiles' names."""
    format: Annotated[Literal["text", "csv", "json"], option()] = "text"
    """A table for people, or every column for programs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a group or kind that there is not, or where nothing is left."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def work() -> None:
        groups = {"constants": Group(ConstantsOptions())}
        options: ConstantsOptions = parse(groups, arguments, "python -m bench.constants", HELP).constants
        refuse_empty(arguments)
        try:
            own = {profile.name: profile.constants for profile in read_own(options.constants)}
        except ValueError as error:
            raise ConfigError(str(error)) from error
        show(chosen({**TABLE, **own}, options), options.format)

    if code := exit_code(work, batch=lambda: "fewer groups", stopped=lambda: "stopped"):
        raise SystemExit(code)


def chosen(table: Table, options: ConstantsOptions) -> list[dict[str, object]]:
    """The columns of every constant that passes the filters; ConfigError where there is no such group or none left."""
    for group in options.group:
        choose("--group", group, tuple(table))
    for kind in options.kind:
        choose("--kind", kind, KINDS)
    found = [
        row_of(group, name, constant)
        for group, names in table.items()
        if not options.group or group in options.group
        for name, constant in names.items()
        if (not options.kind or constant.kind in options.kind)
        and options.find.lower() in " ".join((group, name, constant.node, constant.source, constant.note)).lower()
    ]
    if not found:
        filters = f"--group {' '.join(options.group)} --kind {' '.join(options.kind)} --find {options.find!r}"
        raise ConfigError(f"no constant passes {filters}")
    return found


def row_of(group: str, name: str, constant: Constant) -> dict[str, object]:
    """One constant by `COLUMNS`."""
    figures = (constant.low, constant.nominal, constant.high, constant.unit)
    values = (group, name, *figures, constant.node, constant.kind, constant.source, constant.note)
    return dict(zip(COLUMNS, values, strict=True))


def show(found: list[dict[str, object]], how: str) -> None:
    """Print the constants."""
    if how == "json":
        print(json.dumps(found))
    elif how == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    else:
        table = Drawn("constant", "low", "nominal", "high", "kind", "node", "source", show_lines=False)
        for row in found:
            unit = "" if row["unit"] == "1" else str(row["unit"])
            figures = [si(float(str(row[end])), unit) for end in ("low", "nominal", "high")]
            note = f" ({row['note']})" if row["note"] else ""
            cells = (*figures, str(row["kind"]), str(row["node"]), f"{row['source']}{note}")
            table.add_row(f"{row['group']}.{row['name']}", *cells)
        Console().print(table)


if __name__ == "__main__":
    main()
