"""What a command does that writes a run folder, whatever its rows are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench.machines.backend import Settling
from bench.options import RunOptions
from models.command_line import exit_code, fewer, refuse_empty
from models.files.provenance import project_version

STOPPED = "stopped: finished rows are kept in the run folder, --resume goes on"
ConfigT = TypeVar("ConfigT", bound="Config")
RowT = TypeVar("RowT")


class Config(Protocol):
    """A command line, parsed."""

    @property
    def run(self) -> RunOptions:
        """What all runs have."""

    @property
    def settling(self) -> Settling:
        """How networks settle."""

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
        SystemExit: exit code 2 for options that cannot be used, 1 for a run that failed, 130 for one that was stopped.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed: list[ConfigT] = []

    def work() -> None:
        config = read(arguments)
        parsed.append(config)
        options = config.run
        if options.version:
            print(project_version())
            return
        refuse_empty(arguments)
        check(config, arguments)
        if options.list:
            from bench.reports.listing import listing

            print(listing())
            return
        from bench.records.folders import open_folder

        with open_folder(options.output, options.resume, config.identity, config.name) as folder:
            rows = run(config, folder)
        show(rows, folder)
        if options.json or not sys.stdout.isatty():
            print(json.dumps({"folder": str(folder), "rows": [document(row) for row in rows]}))

    def batch() -> str:
        return fewer("--batch-size", parsed[0].settling.batch_size) if parsed else "fewer files"

    if code := exit_code(work, batch=batch, stopped=lambda: STOPPED):
        raise SystemExit(code)
