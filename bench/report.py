"""`python -m bench.report FOLDER...`: one report of any number of runs, studies and sweeps.

Writes into --output:

    report.html     a page that needs no network: a table that sorts and filters, figures that answer the pointer
    report.md       the same for reading as text
    summary.csv     a line for every row, numbers in the units of the headings
    figures/        every figure as PNG and SVG, and its data as CSV

Folders are those of `bench.run`, `bench.learn` and `bench.sweep`. The last line of stdout is one JSON document,
{"folder", "rows", "figures"}, on a terminal with --json.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bench.command_line import ConfigError, Group, option, parse
from models.command_line import exit_code, refuse_empty

if TYPE_CHECKING:
    from bench.reports.page.figure import Figure, Line
    from bench.reports.page.gathered import Gathered

HELP = "One report of any number of runs, studies and sweeps: a page, a text, a table, figures."
NEEDED = {"altair": "altair", "vl_convert": "vl-convert-python", "itables": "itables"}
"""Modules, and what their packages are called."""
MOST_LINES = 200
"""Rows that report.md shows; summary.csv has all."""


@dataclass(frozen=True)
class ReportOptions:
    """Of what, and where to."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of runs, studies and sweeps."""
    output: Annotated[Path | None, option("DIR", "FOLDER/page, or results/DATE-report")] = None
    """Folder of the report; files in it are written over."""
    data_dir: Annotated[Path | None, option("DIR", "downloaded")] = None
    """Folder with the authors' files of a data set, for pictures of attacked images beside the clean ones."""
    json: Annotated[bool, option()] = False
    """Print the last line, JSON, on a terminal too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for folders that hold nothing to report, 1 where the report cannot be written."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def work() -> None:
        options: ReportOptions = parse(
            {"report": Group(ReportOptions())}, arguments, "python -m bench.report", HELP
        ).report
        refuse_empty(arguments)
        check(options)
        report(options, "python -m bench.report " + shlex.join(arguments))

    if code := exit_code(work, batch=lambda: "fewer folders", stopped=lambda: "stopped: the report is not complete"):
        raise SystemExit(code)


def check(options: ReportOptions) -> None:
    """Refuse what cannot be used; `ConfigError` names it."""
    if not options.folders:
        raise ConfigError("no folder: name those of runs, studies or sweeps")
    for folder in options.folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder")
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise ConfigError(f"--data-dir {str(options.data_dir)!r} is not a folder")
    if missing := [package for module, package in NEEDED.items() if find_spec(module) is None]:
        raise ConfigError(f"python -m bench.report needs {', '.join(missing)}: pip install '.[report]'")


def report(options: ReportOptions, command: str) -> None:
    """Read everything, then write everything."""
    from altair.utils.schemapi import debug_mode

    from bench.reports.page.accuracy import accuracy_figures
    from bench.reports.page.costs import cost_figures
    from bench.reports.page.courses import course_figures
    from bench.reports.page.gathered import attacked_in, gather
    from bench.reports.page.table import lines_of

    gathered = gather(options.folders)
    with debug_mode(False):  # what a chart may hold is looked at by the tests: it takes most of the time
        figures = [*accuracy_figures(gathered), *cost_figures(gathered), *course_figures(gathered)]
        if any(attacked_in(source.folder) for source in gathered.sources):
            from bench.reports.page.pictures import picture_figures  # loads torch, which takes seconds

            figures += picture_figures(gathered, options.data_dir)
    lines = lines_of(gathered)
    folder = options.output or _folder(options.folders)
    write(folder, gathered, lines, figures, command)
    print(f"report: {folder / 'report.html'}", file=sys.stderr)
    if options.json or not sys.stdout.isatty():
        print(json.dumps({"folder": str(folder), "rows": len(lines), "figures": [figure.name for figure in figures]}))


def write(folder: Path, gathered: Gathered, lines: list[Line], figures: list[Figure], command: str) -> None:
    """All files, each whole."""
    from bench.reports.page.figure import table_of
    from bench.reports.page.html import page
    from models.files.whole import write_atomically

    for figure in figures:
        figure.save(folder / "figures")
    write_atomically(folder / "summary.csv", table_of(lines).encode())
    write_atomically(folder / "report.md", _text(gathered, lines, figures, command).encode())
    write_atomically(folder / "report.html", page(gathered, lines, figures, command).encode())


def _folder(folders: Sequence[Path]) -> Path:
    return folders[0] / "page" if len(folders) == 1 else Path("results", f"{datetime.now():%Y%m%d-%H%M%S}-report")


def _text(gathered: Gathered, lines: list[Line], figures: list[Figure], command: str) -> str:
    """report.md."""
    from bench.reports.format import NOTHING, markdown
    from bench.reports.page.table import columns_of

    names = columns_of(lines)
    cells = [
        [NOTHING if line.get(name) in (None, "") else str(line[name]) for name in names] for line in lines[:MOST_LINES]
    ]
    told = [f"# {', '.join(source.name for source in gathered.sources)}", ""]
    for source in gathered.sources:
        failed = f" {source.failed} points failed." if source.failed else ""
        told += [f"{source.name}: {source.environment}{failed}", "", f"    {source.command}", ""]
    told += ["This report was made by", "", f"    {command}", "", *markdown(names, cells), ""]
    if len(lines) > MOST_LINES:
        told += [f"{len(lines) - MOST_LINES:,} more rows are in summary.csv.", ""]
    told += [
        "- Accuracies have 95 % intervals, low to high, which of dies count dies and images; against float is the",
        "  difference to torch float on the same images, in pairs, from and to its interval.",
        "- Energy is modelled (nominal, low, high) unless a column says measured; what was not measured is a dash.",
        "",
    ]
    for figure in figures:
        told += [f"## {figure.title}", "", f"{figure.subtitle}. {figure.caption}".strip(". ") + ".", ""]
        told += [f"![{figure.title}](figures/{figure.name}.png)", "", f"[Data](figures/{figure.name}.csv)", ""]
    return "\n".join(told)


if __name__ == "__main__":
    main()
