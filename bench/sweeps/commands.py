"""The commands whose runs a sweep can be made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import learn, run
from bench.command_line import flags
from bench.machines.backend import Settling
from bench.options import RunOptions, machine_groups
from bench.robustness import __main__ as robustness
from bench.robustness.options import RobustConfig, RobustOptions
from bench.run import MainOptions
from bench.studies.options import STUDIES, LearnOptions

HELD = ("output", "resume", "list", "json", "version")
"""Options that are the sweep's own business."""


@dataclass(frozen=True)
class Command:
    """A command, as sweeps use it."""

    words: tuple[str, ...]
    """With which its command line begins, before any option."""
    options: tuple[Any, ...]
    """Beside those of machines."""
    read: Callable[[Sequence[str]], Any]
    check: Callable[[Any, Sequence[str]], None]
    rows: Callable[[Any, Path, Path], Iterator[dict[str, Any]]]
    """The rows of a run as JSON types, given its options, a folder for what it keeps and one for answers to images."""

    def flags(self) -> tuple[str, ...]:
        """Names of its options, without those that a sweep sets itself."""
        known = [*self.options, *(group.default for group in machine_groups().values())]
        names = [name.replace("_", "-") for group in known for name in flags(group).values()]
        return tuple(dict.fromkeys(name for name in names if name not in (*HELD, "study")))


def run_rows(config: run.RunConfig, kept: Path, answers: Path) -> Iterator[dict[str, Any]]:
    """Rows of `bench.run`; attacked images are kept, so that the next point of the sweep finds them."""
    prepared = run.prepare(config)
    for _, row in run.rows_of(prepared, prepared.keys, run.Places(kept, answers)):
        yield row.to_json()


def learn_rows(config: learn.LearnConfig, kept: Path, answers: Path) -> Iterator[dict[str, Any]]:
    """Rows of `bench.learn`; what was learnt is kept."""
    from bench.studies.run import finished_of, tasks_of
    from bench.studies.run import learn as learnt

    study = replace(learn.prepare(config, kept), answers=answers)
    tasks = tasks_of(study)
    for row in learnt(study, tasks, finished_of(study, tasks)):
        yield row.to_json()


def robust_rows(config: RobustConfig, kept: Path, answers: Path) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    """Rows of `bench.robustness`, which hold what was answered themselves; attacked images are kept."""
    from bench.robustness.rows import every_row, worst_rows

    study = robustness.prepare(config, kept)
    rows = list(every_row(study, {}, lambda _: None))
    for row in (*rows, *worst_rows(study, rows)):
        yield row.to_json()


COMMANDS = {
    "bench.run": Command((), (MainOptions(), Settling()), run.read, run.check, run_rows),
    "bench.robustness": Command((), (RobustOptions(), Settling()), robustness.read, robustness.check, robust_rows),
    **{
        f"bench.learn {study}": Command(
            (study,), (LearnOptions(study), RunOptions(), Settling()), learn.read, learn.check, learn_rows
        )
        for study in STUDIES
    },
}
