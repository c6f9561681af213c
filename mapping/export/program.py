"""The native format: the program itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapping.export.format import Format

if TYPE_CHECKING:
    from mapping.export.source import Source


@dataclass(frozen=True)
class ProgramFormat(Format):
    """`program.safetensors`, which `mapping.Program.load` reads and every machine runs, and its JSON to read.

    The layout is that of `mapping.program`; any safetensors reader shows the integers.
    """

    name: ClassVar[str] = "program"
    purpose: ClassVar[str] = "int8 weights, exponents and wiring: what every machine of this package loads"

    def obstacle(self, source: Source) -> str | None:
        """Integers hold chains and sums."""
        from mapping.export.source import no_integers

        return no_integers(source)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The file, and beside it the document that lies in its metadata."""
        program = source.program
        program.save(folder / "program.safetensors")
        (folder / "program.json").write_text(json.dumps(program.document(), indent=2) + "\n", encoding="utf-8")
        return {}
