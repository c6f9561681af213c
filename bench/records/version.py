"""Which version of this project runs."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

PROJECT = "ep-hardware"
ROOT = Path(__file__).parents[2]
"""The source tree, or where the packages were installed."""


def project_version() -> str:
    """Version of this project: of the source tree, or else of the package that was installed."""
    try:
        source = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return version(PROJECT)
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return str(toml.loads(source)["project"]["version"])
