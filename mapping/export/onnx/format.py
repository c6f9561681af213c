"""ONNX: what runs on phones, browsers, edge boards and servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from mapping.export.format import Format
from mapping.export.packages import need

if TYPE_CHECKING:
    from mapping.export.source import Source

FILE = "network.onnx"


@dataclass(frozen=True)
class OnnxFormat(Format):
    """`network.onnx`: images (B, C, H, W) in 0..1 to logits, by synchronous steps from zeros."""

    name: ClassVar[str] = "onnx"
    purpose: ClassVar[str] = "an ONNX model, float or int8, of T steps or of as many as its input says"

    unroll: Annotated[int | None, tyro.conf.arg(metavar="T")] = None
    """Steps written one after the other, for runtimes without Loop; a Loop with the input "steps" if not given."""
    numbers: Literal["float", "int8"] = "float"
    """Weights in the file: floating point, or the program's integers, with the bits of the integer reference."""

    def check(self) -> None:
        """A number of steps from 1, and onnx."""
        if self.unroll is not None and self.unroll < 1:
            raise ValueError(f"--unroll is {self.unroll}, must be at least 1")
        need(self.name, "onnx")

    def obstacle(self, source: Source) -> str | None:
        """Floating point holds every network, integers chains and sums."""
        from mapping.export.source import no_floats, no_integers

        return no_floats(source) if self.numbers == "float" else no_integers(source)

    def write(self, source: Source, folder: Path) -> dict[str, Any]:
        """The model, checked by onnx; export.json says what goes in and how many nodes there are."""
        from mapping.export.onnx.floats import onnx_of_network
        from mapping.export.onnx.integers import onnx_of_program

        if self.numbers == "float":
            model = onnx_of_network(source.network, self.unroll)
        else:
            model = onnx_of_program(source.program, self.unroll)
        (folder / FILE).write_bytes(model.SerializeToString())
        return {"inputs": [one.name for one in model.graph.input], "nodes": len(model.graph.node)}
