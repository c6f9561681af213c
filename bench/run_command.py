"""What a command does that writes a run folder, whatever its rows are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bench.command_line import ConfigError, failed, refuse
from bench.options import RunOptions
from bench.records.version import project_version

RowT = TypeVar("RowT")


def run_command(
    options: RunOptions,
    name: str,
    *,
    check: Callable[[], None],
    identity: Callable[[], Mapping[str, Any]],
    run: Callable[[Path], list[RowT]],
    show: Callable[[list[RowT], Path], None],
    document: Callable[[RowT], dict[str, Any]],
) -> None:
    """Check, open the run folder, run, show the rows and print them as one JSON line; or only the version or the list.

    Args:
        options: what all runs have.
        name: of the folder, after the date, if the options name none.
        check: raises `ConfigError` for options that cannot be used.
        identity: what must not change when the run goes on; taken once the options are checked.
        run: makes the rows in a folder.
        show: prints rows for people.
        document: a row as JSON types.

    Raises:
        SystemExit: exit code 2 for options that cannot be used, 1 for a run that failed.
    """
    if options.version:
        print(project_version())
        return
    try:
        check()
        if options.list:
            from bench.reports.listing import listing

            print(listing())
            return
        from bench.records.folders import open_folder

        folder = open_folder(options.output, options.resume, identity(), name)
        rows = run(folder)
    except ConfigError as error:
        raise refuse(error) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise failed(error) from None
    show(rows, folder)
    if options.json or not sys.stdout.isatty():
        print(json.dumps({"folder": str(folder), "rows": [document(row) for row in rows]}))
