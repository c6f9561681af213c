"""What the commands that train share: what they refuse before work starts, and the progress they show."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.files.checkpoint import SUFFIX
from models.train.options import CheckpointOptions, TrainingOptions
from models.train.state import EpochRecord


class Fields(Protocol):
    """A dataclass, such as a recipe."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Watched(Protocol):
    """What one epoch ended with."""

    @property
    def epoch(self) -> int:
        """From 1."""

    @property
    def validation_accuracy(self) -> float:
        """Share of the watched images."""


RecipeT = TypeVar("RecipeT", bound=Fields)


def check_files(options: CheckpointOptions) -> None:
    """ValueError names the file or seed of any training that is bad, its value and what it may be."""
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise ValueError(f"--data-dir is {str(options.data_dir)!r}, expected a directory")
    if options.checkpoint.suffix != SUFFIX:
        raise ValueError(f"--output is {str(options.checkpoint)!r}, expected a name that ends in {SUFFIX}")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}, expected a number from 0")


def check_options(options: TrainingOptions) -> None:
    """The same, and the device."""
    check_files(options)
    check_device(options.device)


def made_by(module: str, arguments: Sequence[str]) -> str:
    """The command that makes the same weights from nothing, whether or not this run was interrupted."""
    return shlex.join(["python", "-m", module, *(argument for argument in arguments if argument != "--resume")])


def how_to_go_on(state: Path, command: str) -> str:
    """What a run that was stopped says: how it is continued."""
    rest = f"continue after the last whole epoch with {command} --resume" if state.exists() else "no epoch done"
    return f"stopped: {rest}"


def with_overrides(recipe: RecipeT, options: object, names: Sequence[str], **others: Any) -> RecipeT:
    """The recipe with the options that were given in place of its own; ValueError names the option."""
    given = overrides(options, names)
    try:
        return replace(recipe, **given, **others)
    except ValueError as error:
        raise ValueError(as_option(str(error), given)) from error


def as_option(said: str, names: Iterable[str]) -> str:
    """What is said of a field, said of the option that was given for it."""
    field, _, rest = said.partition(" ")
    return f"--{field.replace('_', '-')} {rest}" if field in names else said


def programs(history: Sequence[EpochRecord]) -> dict[str, list[int]]:
    """Which program made which epochs: its name, and first and last of them."""
    made: dict[str, list[int]] = {}
    for record in history:
        made[record.program] = [made.get(record.program, [record.epoch])[0], record.epoch]
    return made


def note_of_programs(history: Sequence[EpochRecord]) -> str | None:
    """What to say where more than one program trained; None where it was one."""
    made = programs(history)
    if len(made) < 2:
        return None
    told = "; ".join(f"epochs {first} to {last} by {name}" for name, (first, last) in made.items())
    return f"note: the code was changed before the training went on: {told}"


def overrides(options: object, names: Sequence[str]) -> dict[str, Any]:
    """Of these options, those that were given, in place of what the recipe says."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or that is not there."""
    choices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if len(choices) > 1:
        choices.insert(1, "cuda")
    if name not in choices:
        raise ValueError(f"--device is {name!r}, choose from {', '.join(choices)}")


@contextmanager
def validation_shown(epochs: int) -> Iterator[Callable[[Watched], None]]:
    """Within, a bar of so many epochs; gives what is to be called after each."""
    with progress_bar() as progress:
        task = progress.add_task("training", total=epochs, status="")

        def report(record: Watched) -> None:
            progress.update(task, completed=record.epoch, status=f"validation {record.validation_accuracy:.2%}")

        yield report


def progress_bar() -> Progress:
    """On standard error, and only on a terminal; what its field `status` says comes last."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[status]}"), console=console, disable=not console.is_terminal)
