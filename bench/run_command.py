"""What a command does that writes a run folder, whatever its rows are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench.command_line import ConfigError, failed, refuse
from bench.options import RunOptions
from bench.records.version import project_version

ConfigT = TypeVar("ConfigT", bound="Config")
RowT = TypeVar("RowT")


class Config(Protocol):
    """A command line, parsed."""

    @property
    def run(self) -> RunOptions:
        """What all runs have."""

    @property
    def name(self) -> str:
        """Of the run folder, after the date, if the options name none."""

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change when the run goes on; taken once the options are checked."""


def run_command(
    arguments: Sequence[str] | None,
    read: Callable[[Sequence[str]], ConfigT],
    check: Callable[[ConfigT, Sequence[str]], None],
    run: Callable[[ConfigT, Path], list[RowT]],
    show: Callable[[list[RowT], Path], None],
    document: Callable[[RowT], dict[str, Any]],
) -> None:
    """Check, open the run folder, run, show the rows and print them as one JSON line; or only the version or the list.

    Args:
        arguments: of the command line; those of this process, if None.
        read: parses them.
        check: raises `ConfigError` for options that cannot be used.
        run: makes the rows in a folder.
        show: prints rows for people.
        document: a row as JSON types.

    Raises:
        SystemExit: exit code 2 for options that cannot be used, 1 for a run that failed.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    config = read(arguments)
    options = config.run
    if options.version:
        print(project_version())
        return
    try:
        check(config, arguments)
        if options.list:
            from bench.reports.listing import listing

            print(listing())
            return
        from bench.records.folders import open_folder

        folder = open_folder(options.output, options.resume, config.identity, config.name)
        rows = run(config, folder)
    except ConfigError as error:
        raise refuse(error) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise failed(error) from None
    show(rows, folder)
    if options.json or not sys.stdout.isatty():
        print(json.dumps({"folder": str(folder), "rows": [document(row) for row in rows]}))
