"""Which program made something: enough to find its source again, and to tell when it was another one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

PROJECT = "ep-hardware"
ROOT = Path(__file__).parents[2]
"""The source tree, or where the packages were installed."""
PACKAGES = ("models", "hw", "mapping", "bench")


@dataclass(frozen=True)
class Provenance:
    """The program that made a row, or trained an epoch."""

    version: str
    commit: str | None
    """Of the source tree; None outside a checkout."""
    source: str
    """First 12 hexadecimal digits of the sha256 of all source files: differs where anything was edited."""

    @property
    def words(self) -> str:
        """As reports name it."""
        return f"{self.version} (commit {self.commit or 'unknown'}, source {self.source})"


@cache
def this_program() -> Provenance:
    """The program that runs. Taken once: what is edited while it runs is not what runs."""
    return Provenance(project_version(), commit_of(ROOT), _digest_of_sources())


def now() -> str:
    """Date and time, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def project_version() -> str:
    """Version of this project: of the source tree, or else of the package that was installed."""
    try:
        source = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return version(PROJECT)
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return str(toml.loads(source)["project"]["version"])


def commit_of(root: Path) -> str | None:
    """Commit of a source tree, with a mark if files differ from it; None outside a checkout."""
    if not (root / ".git").exists():  # installed, perhaps inside a checkout of something else
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
