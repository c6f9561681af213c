"""The integers of a network as ONNX: int8 initializers, and the bits of the integer reference in any runtime.

Convolutions run in float32 on whole numbers: every accumulator is proven to stay below 2**23 (`mapping.program`), where
float32 is exact in any order of summation, so that no operator for transposed convolution of integers is missed, of
which ONNX has none. Weights and biases lie in the file as int8 and int32, states are whole numbers from 0 to `one`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from mapping.export.onnx.links import Placed, down, place, up
from mapping.export.onnx.nodes import Nodes
from mapping.export.onnx.settling import SCORES, model_of, settled
from mapping.program import KEY, Program, ProgramLink


def onnx_of_program(program: Program, steps: int | None) -> onnx.ModelProto:
    """`steps` synchronous steps unrolled, or a Loop over the input "steps" for None."""
    nodes = Nodes()
    zero, one = nodes.constant("zero", np.float32(0)), nodes.constant("one", np.float32(program.one))
    placed = [_place(nodes, f"link{index}", link) for index, link in enumerate(program.links, start=1)]
    biases = [_bias(nodes, f"link{index}", link) for index, link in enumerate(program.links, start=1)]
    points = program.exponents
    codes = nodes.add("Round", nodes.add("Mul", "images", one))
    drive = nodes.add(
        "Add", _shifted(nodes, up(nodes, placed[0], codes)[0], points[0] - program.links[0].exponent), biases[0]
    )

    def step(nodes: Nodes, states: Sequence[str]) -> list[str]:
        news = []
        for index, point in enumerate(points):
            total = drive
            if index:
                sums = up(nodes, placed[index], states[index - 1])[0]
                total = nodes.add("Add", _shifted(nodes, sums, point - program.links[index].exponent), biases[index])
            if index + 1 < len(points):
                back = down(nodes, placed[index + 1], f"link{index + 2}", states[index + 1], None)
                total = nodes.add("Add", total, _shifted(nodes, back, point - program.links[index + 1].exponent))
            floor = nodes.add("Floor", _shifted(nodes, total, -point))
            news.append(nodes.add("Clip", floor, zero, one))
        return news

    last = settled(nodes, step, [link.above for link in program.links], steps)[-1]
    _scores(nodes, program, last)
    about = {KEY: json.dumps(program.document()), "steps": "input" if steps is None else str(steps)}
    classes = (program.readout or program.links[-1]).above[0]
    return model_of(nodes, (program.links[0].below, classes), ("logits", SCORES), steps, about)


def _place(nodes: Nodes, name: str, link: ProgramLink) -> Placed:
    kernel = nodes.add("Cast", nodes.constant(f"{name}.weight", link.weight), to=TensorProto.FLOAT)
    return place(nodes, link.operator(link.weight), name, kernel, sums=True)


def _bias(nodes: Nodes, name: str, link: ProgramLink) -> str:
    """As it meets states; biases lie below 2**23 as the accumulators they are part of."""
    bias = nodes.add("Cast", nodes.constant(f"{name}.bias", link.bias), to=TensorProto.FLOAT)
    if link.kind == "dense":
        return bias
    return nodes.add("Reshape", bias, nodes.constant(f"{name}.bias_shape", np.array([1, -1, 1, 1], np.int64)))


def _shifted(nodes: Nodes, sums: str, bits: int) -> str:
    """Times 2**bits, which is exact."""
    return sums if bits == 0 else nodes.add("Mul", sums, nodes.constant(f"shift_{bits}", np.float32(2.0**bits)))


def _scores(nodes: Nodes, program: Program, last: str) -> None:
    """Scores are whole numbers; logits are scores over `one`, and over the readout's binary point."""
    scale = 1 / program.one
    if program.readout is None:
        nodes.add("Identity", last, outputs=(SCORES,))
    else:
        readout = _place(nodes, "readout", program.readout)
        bias = _bias(nodes, "readout", program.readout)
        nodes.add("Add", up(nodes, readout, last)[0], bias, outputs=(SCORES,))
        scale *= 2.0**-program.readout.exponent
    nodes.add("Mul", SCORES, nodes.constant("scale", np.float32(scale)), outputs=("logits",))
