"""A format as the command sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from mapping.export.source import Source


@dataclass(frozen=True)
class Format(ABC):
    """One kind of files. Fields of a subclass are its options on the command line.

    Names of options are unique over all formats. A file that defines a format imports nothing heavy at its top: all are
    imported to print the help.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    """What it is and who reads it, in one line."""

    def check(self) -> None:
        """Refuse options that cannot be used, before anything is loaded: ValueError names option, value, choices."""
        return

    def obstacle(self, source: Source) -> str | None:  # noqa: ARG002
        """Why these files cannot hold the network, naming the link and what in it; None if they can."""
        return None

    @abstractmethod
    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """Fill an empty folder; returns what export.json shall say beyond the model and the files, of JSON types."""
