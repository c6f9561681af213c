"""`python -m bench.sweep GRID.toml`: a grid of runs, made by many processes, on one computer or a cluster.

    python -m bench.sweep bench/grids/device-noise.toml --output results/noise --workers 4
    python -m bench.sweep --set backend=crossbar --set disturbances= --set noise-scale=0,1,2 --set hours=0,24

Every point is a run of `bench.run` or `bench.learn`, checked before the first one starts. A point that is finished is
never run again: the same command goes on after a kill, with more points only the new ones are run, and several
processes may work in one folder. A point that fails is recorded with its traceback, the others go on, and the next
start tries it again. The last line of stdout is one JSON document, {"folder", "points", "failed", "rows"}.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bench.command_line import ConfigError, Group, choose, option, parse
from models.command_line import FAILED, exit_code, refuse_empty

if TYPE_CHECKING:
    from bench.sweeps.place import Place
    from bench.sweeps.points import Point

HELP = "A grid of runs, made by many processes; what is finished is never run again."


@dataclass(frozen=True)
class SweepOptions:
    """What is varied, by whom it is run, and where the rows go."""

    grid: tyro.conf.Positional[Path | None] = None
    """A TOML file; bench/grids has some."""
    set: Annotated[tuple[str, ...], option("KEY=V1,V2.."), tyro.conf.UseAppendAction] = ()
    """Values of an option, in place of those of the file; a single one holds at every point."""
    executor: Annotated[str, option("NAME")] = "loky"
    """loky (this computer), dask or ray."""
    address: Annotated[str | None, option("URL", "one of this computer")] = None
    """Of the scheduler of a cluster of Dask or Ray."""
    workers: Annotated[int | None, option("N", "one per core")] = None
    """Processes, each with one torch thread."""
    output: Annotated[Path | None, option("DIR", "results/DATE-sweep")] = None
    """Folder of the sweep, new or to go on with."""
    dry_run: Annotated[bool, option()] = False
    """Check everything, list the points and how long they may take, and stop."""
    json: Annotated[bool, option()] = False
    """Print the last line, JSON, on a terminal too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; exit code 2 for a grid that cannot be run, 1 where a point failed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    failed: list[int] = []

    def work() -> None:
        options: SweepOptions = parse({"sweep": Group(SweepOptions())}, arguments, "python -m bench.sweep", HELP).sweep
        refuse_empty(arguments)
        check(options)
        failed.append(sweep(options, "python -m bench.sweep " + shlex.join(arguments)))

    stopped = "stopped: finished points are kept, the same command with the same --output goes on"
    if code := exit_code(work, batch=lambda: "fewer --workers", stopped=lambda: stopped):
        raise SystemExit(code)
    if failed and failed[0]:
        print(
            f"error: {failed[0]} points failed: their tracebacks are in failed, the same command tries again",
            file=sys.stderr,
        )
        raise SystemExit(FAILED)


def check(options: SweepOptions) -> None:
    """Refuse what cannot be used; `ConfigError` names the option, its value and the choices."""
    from bench.sweeps.executors import EXECUTORS

    choose("--executor", options.executor, EXECUTORS)
    if options.grid is None and not options.set:
        raise ConfigError("no grid: name a file, or values by --set KEY=V1,V2")
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"--workers is {options.workers}, must be at least 1")
    if options.address is not None and options.executor == "loky":
        raise ConfigError("--address is of a cluster: it needs --executor dask or ray")


def sweep(options: SweepOptions, command: str) -> int:
    """Run what is not finished, and report; how many points failed."""
    from bench.records.folders import begin
    from bench.sweeps.executors import executor
    from bench.sweeps.grid import read_grid
    from bench.sweeps.place import Place
    from bench.sweeps.points import points_of
    from bench.sweeps.report import write_report
    from bench.sweeps.running import run_points

    grid, unpublished = read_grid(options.grid, options.set), dict[str, str]()
    points = points_of(grid, unpublished)
    for why in unpublished.values():
        print(f"left out: {why}", file=sys.stderr)
    place = Place(options.output or Path("results", f"{datetime.now():%Y%m%d-%H%M%S}-sweep"))
    workers = workers_of(options, points)
    if options.dry_run:
        list_points(place, points, workers)
        return 0
    with executor(options.executor, options.address, workers) as run:
        place.make()
        place.check_answers(place.keys("rows") & {point.key for point in points})
        begin(place.folder, {"command": command}, "cpu")
        left = len({point.key for point in points} - place.keys("rows"))
        print(f"{left} of {len(points)} points to do: {how_long(place, points, left, workers)}", file=sys.stderr)
        run_points(place, points, run)
    rows = write_report(place, grid, points, command, unpublished)
    failed = sum(place.file("failed", point.key).exists() for point in points)
    print(f"report: {place.folder / 'report.md'}", file=sys.stderr)
    if options.json or not sys.stdout.isatty():
        print(json.dumps({"folder": str(place.folder), "points": len(points), "failed": failed, "rows": rows}))
    return failed


def workers_of(options: SweepOptions, points: Sequence[Point]) -> int:
    """As many processes as there are cores, or CUDA devices; ConfigError where there are fewer of those than asked."""
    from bench.sweeps.devices import cuda_devices

    if options.executor != "loky" or all(point.config.run.device != "cuda" for point in points):
        return options.workers or os.cpu_count() or 1
    devices = len(cuda_devices())
    if options.workers is not None and options.workers > devices:
        raise ConfigError(f"--workers is {options.workers}, each takes a CUDA device of its own: there are {devices}")
    return options.workers or devices


def list_points(place: Place, points: Sequence[Point], workers: int) -> None:
    """Print every point and its state, and how long the rest may take."""
    done = place.keys("rows")
    for point in points:
        print(f"{point.key}  {'done' if point.key in done else 'to do'}  {point.words}")
    left = sum(point.key not in done for point in points)
    print(f"{len(points)} points, {left} to do: {how_long(place, points, left, workers)}")


def how_long(place: Place, points: Sequence[Point], left: int, workers: int) -> str:
    """In words, and what that is judged by."""
    from bench.sweeps.estimate import estimate

    return estimate(place, points).words(left, workers) if left else "all are finished"


if __name__ == "__main__":
    main()
