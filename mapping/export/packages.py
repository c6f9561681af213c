"""Packages that some formats need, and that come with an extra."""

from __future__ import annotations

from importlib.util import find_spec

EXTRA = "export"


def need(format_name: str, *packages: str) -> None:
    """Refuse a format whose packages are not installed: ValueError names them and the extra they come with."""
    missing = missing_packages(*packages)
    if missing is not None:
        raise ValueError(f"--to {format_name} {missing}")


def missing_packages(*packages: str) -> str | None:
    """Which of them are not installed, and how they are; None if all are there."""
    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return None
    return (
        f"needs {', '.join(missing)}, which is not installed: pip install 'ep-hardware[{EXTRA}]', or "
        f"uv sync --extra {EXTRA}"
    )
