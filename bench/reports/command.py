"""The command that makes a run, from its config.json: what differs from the defaults."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.command_line import ConfigError
from bench.records.folders import CONFIG
from models.files.typed import read_text

DIGESTS = ("model_sha256", "data_sha256", "device_sha256", "constants_sha256", "learn", "robustness")
"""What a configuration holds beside options."""


def command_of(folder: Path) -> str:
    """As it is typed; ConfigError where config.json cannot be read."""
    file = folder / CONFIG
    try:
        config = json.loads(read_text(file))
        if not isinstance(config, dict):
            raise ValueError(f"holds {json.dumps(config)[:40]}, expected options")
    except ValueError as error:
        raise ConfigError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    if isinstance(config.get("command"), str):  # of a sweep, which keeps what was typed
        return str(config["command"])
    # where a folder lies on one computer is no part of the command
    place = folder if not folder.is_absolute() else Path(folder.name)
    return "python -m " + shlex.join([*arguments_of(config), "--output", str(place)])


def arguments_of(config: Mapping[str, Any]) -> list[str]:
    """The command, and its arguments without those that may change when a run goes on."""
    from bench import learn, run

    backend = ["--backend", *map(str, config.get("backend", ()))]
    if "learn" in config:
        words, usual = ["bench.learn", str(config["learn"])], learn.read([str(config["learn"]), *backend]).identity
    elif "robustness" in config:
        from bench.robustness import __main__ as robustness

        words, usual = ["bench.robustness"], robustness.read(backend).identity
    else:
        words, usual = ["bench.run"], run.read(backend).identity
    arguments = [*words, *backend]
    for name, value in config.items():
        # None is what an option is that nobody gave
        if value is not None and name not in DIGESTS and name in usual and value != json.loads(json.dumps(usual[name])):
            arguments += _option(name, value)
    return arguments


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool) and name != "noise_aware":  # the one that may be left open, and takes a word
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", *(str(one) for one in (value if isinstance(value, list) else [value]))]
