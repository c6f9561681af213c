"""Nodes of an ONNX graph, one call each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET, IR = 17, 8
"""Old enough for every runtime of the last years; what `onnx` writes by itself is newer than runtimes read."""


class Nodes:
    """Nodes with fresh names; the constants they read are shared with the graphs inside."""

    def __init__(self, outer: Nodes | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {} if outer is None else outer.constants
        self.prefix = "" if outer is None else "step_"

    def add(self, operator: str, *inputs: str, outputs: tuple[str, ...] = (), **attributes: Any) -> str:
        """A node; returns the name of its first output, which is made up if not given."""
        outputs = outputs or (f"{self.prefix}{operator.lower()}_{len(self.nodes)}",)
        self.nodes.append(helper.make_node(operator, list(inputs), list(outputs), **attributes))
        return outputs[0]

    def constant(self, name: str, values: Any) -> str:
        """An initializer."""
        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
