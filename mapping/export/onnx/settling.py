"""Synchronous steps from states of zeros, unrolled or as a Loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from mapping.export.onnx.nodes import IR, OPSET, Nodes
from models.ep.links import Shape

SCORES = "scores"
"""Output of models of integers: what logits are a multiple of."""
Step = Callable[[Nodes, Sequence[str]], list[str]]
"""Writes one synchronous step: names of the old states to names of the new ones."""


def settled(nodes: Nodes, step: Step, layers: Sequence[Shape], steps: int | None) -> list[str]:
    """Names of the states after `steps`, or after as many as the input "steps" says."""
    batch = nodes.add("Shape", "images", end=1)
    states = []
    for index, shape in enumerate(layers, start=1):
        size = nodes.constant(f"layer{index}.shape", np.array(shape, np.int64))
        states.append(nodes.add("ConstantOfShape", nodes.add("Concat", batch, size, axis=0)))
    if steps is not None:
        for _ in range(steps):
            states = step(nodes, states)
        return states
    body = _body(nodes, step, layers)
    names = tuple(f"settled{index}" for index in range(1, len(layers) + 1))
    nodes.add("Loop", "steps", nodes.constant("yes", np.bool_(True)), *states, outputs=names, body=body)
    return list(names)


def _body(outer: Nodes, step: Step, layers: Sequence[Shape]) -> onnx.GraphProto:
    """The graph of one step; it sees the kernels and drives outside, so that weights are there once."""
    nodes = Nodes(outer)
    olds = [f"state{index}" for index in range(1, len(layers) + 1)]
    news = step(nodes, olds)
    nodes.add("Identity", "go", outputs=("go_on",))
    value = helper.make_tensor_value_info
    shapes: list[list[str | int | None]] = [["B", *shape] for shape in layers]
    states_in, states_out = (
        [value(name, TensorProto.FLOAT, shape) for name, shape in zip(names, shapes, strict=True)]
        for names in (olds, news)
    )
    inputs = [value("number", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), *states_in]
    return helper.make_graph(nodes.nodes, "step", inputs, [value("go_on", TensorProto.BOOL, []), *states_out])


def model_of(
    nodes: Nodes, shapes: tuple[Shape, int], outputs: Sequence[str], steps: int | None, about: dict[str, str]
) -> onnx.ModelProto:
    """images (B, C, H, W) float32 in 0..1, and int64 `steps` where there is a Loop, to (B, classes); checked."""
    input_shape, classes = shapes
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", *input_shape])]
    if steps is None:
        inputs.append(helper.make_tensor_value_info("steps", TensorProto.INT64, []))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", classes]) for name in outputs]
    graph = helper.make_graph(nodes.nodes, "ep", inputs, values, list(nodes.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model
