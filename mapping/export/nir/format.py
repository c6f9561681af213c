"""NIR, the exchange format of neuromorphic tools (Pedersen et al., Nat. Commun. 15, 8122, 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapping.export.format import Format
from mapping.export.packages import need

if TYPE_CHECKING:
    from mapping.export.source import Source

FILE = "network.nir"


@dataclass(frozen=True)
class NirFormat(Format):
    """`network.nir`, and in README.txt what other tools will not see of it."""

    name: ClassVar[str] = "nir"
    purpose: ClassVar[str] = "a NIR graph with loops, of Conv2d alone: the linear part, for other tools"

    def check(self) -> None:
        """nir is there."""
        need(self.name, "nir")

    def obstacle(self, source: Source) -> str | None:
        """Chains of linear links in floating point, of maps that divide by the strides."""
        from mapping.export.source import no_chain, no_floats, no_sums

        obstacle = no_floats(source) or no_chain(source) or no_sums(source)
        if obstacle is not None:
            return obstacle
        from mapping.export.nir.kernels import as_conv
        from mapping.export.nir.layout import kept

        try:
            kept([as_conv(link) for link in source.network.links])
        except ValueError as error:
            return str(error)
        return None

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The graph, checked by nir; export.json says what other tools do not see."""
        import nir

        from mapping.export.nir.graph import NOT_SEEN, nir_of

        graph = nir_of(source.network)
        nir.write(folder / FILE, graph, compression="gzip", compression_opts=1)
        (folder / "README.txt").write_text(NOT_SEEN + "\n", encoding="utf-8")
        return {"nodes": len(graph.nodes), "edges": len(graph.edges), "not_seen_by_other_tools": NOT_SEEN}
