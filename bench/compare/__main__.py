"""`python -m bench.compare --model digits`: what does an answer cost on each platform, and when is there one?

Settles test images one by one on every chosen machine, and stops each as soon as rules that were chosen on validation
images say so; runs the feed-forward twin on the same platforms; measures this computer where it has a counter of
joules; and writes a folder: compare.json with every figure, report.md, pictures, config.json and env.json.
The last line of stdout is one JSON document, {"folder": ..., "rows": [...]}, on a terminal with --json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.command_line import Group, parse
from bench.compare.options import CompareOptions, check_options, identity_of
from bench.machines.backend import Backend
from bench.options import check_foreign, machine_groups, machines_of
from models.command_line import exit_code, refuse_empty

HELP = "What does an answer cost on each platform, and when is there one?"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for options that cannot be used, 1 for a run that failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def work() -> None:
        command = parse(
            {"compare": Group(CompareOptions()), **machine_groups()}, given, "python -m bench.compare", HELP
        )
        options: CompareOptions = command.compare
        refuse_empty(given)
        machines = machines_of(command)
        check_options(options, machines)
        check_foreign(given, options.backends, machines)
        _run(options, machines, given)

    if code := exit_code(work, batch=lambda: "fewer --validation", stopped=lambda: "stopped: nothing is kept"):
        raise SystemExit(code)


def _run(options: CompareOptions, machines: dict[str, Backend], given: Sequence[str]) -> None:
    from bench.compare.report import write_report
    from bench.compare.run import compare, prepare
    from bench.records.folders import begin, open_folder

    identity = identity_of(options, machines, given)
    with open_folder(options.output, False, identity, f"compare-{Path(options.model).stem}") as folder:
        prepared = prepare(options, machines)
        begin(folder, identity, options.device)
        document = compare(prepared)
        write_report(folder, document)
    _show(folder, document, options.json)


def _show(folder: Path, document: dict[str, Any], as_json: bool) -> None:
    from rich.console import Console

    from bench.compare.table import platform_table

    Console().print(platform_table(document["rows"]))
    print(f"Everything is in {folder}")
    if as_json or not sys.stdout.isatty():
        print(json.dumps({"folder": str(folder), "rows": document["rows"]}))


if __name__ == "__main__":
    main()
