"""Packages that some formats need, and that come with an extra."""

from __future__ import annotations

from importlib.util import find_spec

EXTRA = "export"


def need(format_name: str, *packages: str) -> None:
    """Refuse a format whose packages are not installed: ValueError names them and the extra they come with."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"--to {format_name} needs {', '.join(missing)}, which is not installed: "
            f"pip install 'ep-hardware[{EXTRA}]', or uv sync --extra {EXTRA}"
        )
