"""Calls of `mapping.export` in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mapping.export.command import export, main
from mapping.export.format import Format
from mapping.export.options import Calibration
from mapping.export.source import Source
from mapping.program import Program
from models.ep.network import EPNetwork
from models.files.checkpoint import save_network
from models.zoo import zoo_names

SMALL = ("digits", "digits-noise-aware", "mnist")
"""Networks of the zoo that are exported in a second or two."""
MAXIMA = ("seed-cifar10-small",)
"""Networks of the zoo that pool by maxima, which integers cannot."""


def _slow_but(small: Sequence[str], names: Sequence[str]) -> list[Any]:
    return [name if name in small else pytest.param(name, marks=pytest.mark.slow) for name in names]


ZOO = _slow_but(SMALL, zoo_names())
"""All of them, those of CIFAR with the slow tests."""
INTEGERS = tuple(name for name in zoo_names() if name not in MAXIMA)
"""Those that integer machines hold."""
INTEGER_ZOO = _slow_but(SMALL, INTEGERS)


def exported(held: EPNetwork | Program, kind: Format, folder: Path) -> dict[str, Any]:
    """Write a network or program in a format to `folder`/out, as the command does; returns export.json."""
    file = folder / "model.safetensors"
    held.save(file) if isinstance(held, Program) else save_network(held, file)
    return export(Source(str(file), held, Calibration()), kind, folder / "out")


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON document of the last line or {}, and stderr of a command line."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out.splitlines()[-1]) if code == 0 else {}, err
