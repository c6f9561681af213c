"""What every command that trains does: check, train where nobody else does, print the manifest, say how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from models.command_line import before_work, exit_code, fewer, refuse_empty
from models.train.checks import how_to_go_on, made_by
from models.train.options import CheckpointOptions
from models.train.place import claimed

RecipeT = TypeVar("RecipeT")


def call(
    module: str,
    arguments: Sequence[str],
    options: CheckpointOptions,
    checked: Callable[[], RecipeT],
    train: Callable[[RecipeT, str], dict[str, Any] | None],
) -> int:
    """The exit code of a command.

    Args:
        module: which python runs.
        arguments: of the command line.
        options: parsed from them.
        checked: the recipe with all options applied; its errors are refusals.
        train: given that and the command that makes the same weights, trains and writes; the manifest, or None in a
            process that leaves it to another one.
    """
    command, batch = made_by(module, arguments), options.batch_size

    def work() -> None:
        refuse_empty(arguments)
        with before_work():
            recipe = checked()
        with claimed(options):
            manifest = train(recipe, command)
        if manifest is not None:
            print(json.dumps(manifest))

    return exit_code(
        work,
        batch=lambda: "a smaller --batch-size" if batch is None else fewer("--batch-size", batch),
        stopped=lambda: how_to_go_on(options.state, command),
    )
