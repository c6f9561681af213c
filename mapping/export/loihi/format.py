"""Intel's Loihi as far as it is public: integers, cores and the learning rule as files, and a graph of stock Lava.

`network.json` and `network.npz` are the network; `placement.npz` is the core of every unit; `settle.py` lies beside
this file, is the same for every network, and builds the graph of processes that come with Lava.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import arg

from mapping.export.format import Format

if TYPE_CHECKING:
    from mapping.export.source import Source
    from mapping.placement.cores import Placement
    from models.ep.links import Link

SCRIPT = "settle.py"


@dataclass(frozen=True)
class LoihiFormat(Format):
    """`python settle.py images.npy` settles images on plain Lava, with the bits of the integer reference."""

    name: ClassVar[str] = "loihi"
    purpose: ClassVar[str] = "int8 weights, exponents, cores, Loihi's learning rule, and a script for plain Lava"

    chip: Annotated[str, arg(metavar="NAME")] = "loihi1"
    """Chip whose cores hold it: loihi1, loihi2, loihi2-unshared (every synapse a weight)."""
    chips: Annotated[int | None, arg(metavar="N")] = None
    """Chips that may be used; as many as it needs if not given."""

    def check(self) -> None:
        """There is such a chip."""
        from mapping.placement.chip import check_chip

        check_chip(self.chip, self.chips)

    def obstacle(self, source: Source) -> str | None:
        """Integers hold chains and sums; cores hold what their limits allow."""
        from mapping.export.source import no_integers
        from mapping.placement.cores import PlacementError, check_fits

        if (other := no_integers(source)) is not None:
            return other
        links, feedback = _links_of(source), source.held.feedback
        try:
            check_fits(self._placed(links, feedback), links, self.chips, feedback=feedback)
        except PlacementError as error:
            return str(error)
        return None

    def _placed(self, links: list[Link], feedback: bool) -> Placement:
        from mapping.placement.chip import CHIPS
        from mapping.placement.cores import place

        return place(links, CHIPS[self.chip], feedback=feedback)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The files and the script; export.json gets the cores, the chips and the synapses that they take."""
        import numpy as np

        from mapping.export.loihi.document import document_of

        program = source.program
        placement = self._placed([link.operator(link.weight) for link in program.links], program.feedback)
        document = document_of(program, placement)
        (folder / "network.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        numbers: dict[str, Any] = {}
        for name, link in program.named_links().items():
            numbers |= {f"{name}.weight": link.weight, f"{name}.bias": link.bias}
        np.savez_compressed(folder / "network.npz", **numbers)
        placed = {f"layer{number}.core": one.astype(np.int32) for number, one in enumerate(placement.of_units)}
        np.savez_compressed(folder / "placement.npz", **placed)
        (folder / SCRIPT).write_bytes((Path(__file__).parent / SCRIPT).read_bytes())
        return {name: document["placement"][name] for name in ("chip", "cores", "chips")}


def _links_of(source: Source) -> list[Link]:
    """Links of the network or the program; integers are no other links than those that they were made of."""
    from mapping.program import Program

    held = source.held
    return [link.operator(link.weight) for link in held.links] if isinstance(held, Program) else list(held.links)
