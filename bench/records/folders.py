"""Run folders: config.json and env.json when work begins, and nothing of another run in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bench.command_line import ConfigError
from bench.records.environment import environment

RESULTS = Path("results")


def open_folder(output: Path | None, resume: bool, identity: Mapping[str, object], name: str) -> Path:
    """A folder that holds no run yet, by default results/DATE-`name`, or the one to go on with.

    `identity` is what a run that goes on must have been begun with. Raises `ConfigError`.
    """
    if resume:
        folder = output or _newest()
        if not (folder / "config.json").is_file():
            raise ConfigError(f"--resume: {str(folder)!r} holds no run (config.json is missing)")
        before = json.loads((folder / "config.json").read_text())
        for key in sorted({*before, *identity}):
            if before.get(key) != identity.get(key):
                raise ConfigError(
                    f"--resume: the run in {str(folder)!r} has {key} = {before.get(key)!r}, not {identity.get(key)!r}"
                )
        return folder
    folder = output or _fresh(RESULTS / f"{datetime.now():%Y%m%d-%H%M%S}-{name}")
    if (folder / "rows.jsonl").exists() or (folder / "config.json").exists():
        raise ConfigError(f"--output {str(folder)!r} already holds a run: use --resume or another folder")
    return folder


def begin(folder: Path, identity: Mapping[str, object], device: str) -> None:
    """Write down what is about to be run and where, once everything it needs has been loaded."""
    if (folder / "config.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "env.json").write_text(json.dumps(environment(device), indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps(identity, indent=2) + "\n")


def _fresh(folder: Path) -> Path:
    """The folder, or the first numbered one beside it that is not taken: two runs may start in one second."""
    number, free = 2, folder
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free


def _newest() -> Path:
    runs = sorted(RESULTS.glob("*/config.json"), key=lambda file: file.stat().st_mtime)
    if not runs:
        raise ConfigError(f"--resume: there is no run in {str(RESULTS)!r}; name one with --output")
    return runs[-1].parent
