"""Intel's Loihi as far as it is public: integers, cores and the learning rule as files, and a graph of stock Lava.

`network.json` and `network.npz` are the network; `placement.npz` is the core of every unit; `settle.py` lies beside
this file, is the same for every network, and builds the graph of processes that come with Lava.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapping.export.format import Format

if TYPE_CHECKING:
    from mapping.export.source import Source

SCRIPT = "settle.py"


@dataclass(frozen=True)
class LoihiFormat(Format):
    """`python settle.py images.npy` settles images on plain Lava, with the bits of the integer reference."""

    name: ClassVar[str] = "loihi"
    purpose: ClassVar[str] = "int8 weights, exponents, cores, Loihi's learning rule, and a script for plain Lava"

    def obstacle(self, source: Source) -> str | None:
        """Integers hold chains and sums."""
        from mapping.export.source import no_integers

        return no_integers(source)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The files and the script; export.json gets the cores, the chips and the synapses that they take."""
        import numpy as np

        from mapping.export.loihi.document import document_of
        from mapping.placement.cores import place

        program = source.program
        placement = place([link.operator(link.weight) for link in program.links], feedback=program.feedback)
        document = document_of(program, placement)
        (folder / "network.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        numbers: dict[str, Any] = {}
        for name, link in program.named_links().items():
            numbers |= {f"{name}.weight": link.weight, f"{name}.bias": link.bias}
        np.savez_compressed(folder / "network.npz", **numbers)
        placed = {f"layer{number}.core": one.astype(np.int32) for number, one in enumerate(placement.of_units)}
        np.savez_compressed(folder / "placement.npz", **placed)
        (folder / SCRIPT).write_bytes((Path(__file__).parent / SCRIPT).read_bytes())
        return {name: document["placement"][name] for name in ("cores", "chips")}
