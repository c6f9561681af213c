"""The floating-point network as ONNX, maxima and residual links too."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx

from mapping.export.onnx.links import down, place, up
from mapping.export.onnx.nodes import Nodes
from mapping.export.onnx.settling import model_of, settled
from models.ep.network import EPNetwork
from models.files.checkpoint import describe

KEY = "ep-hardware network"
"""Of the metadata: the wiring as in `models.files.checkpoint`; initializers carry the names of its tensors."""


def onnx_of_network(network: EPNetwork, steps: int | None) -> onnx.ModelProto:
    """`steps` synchronous steps unrolled, or a Loop over the input "steps" for None."""
    nodes = Nodes()
    for name, tensor in network.named_parameters().items():
        nodes.constant(name, tensor.numpy())
    zero, one = nodes.constant("zero", np.float32(0)), nodes.constant("one", np.float32(1))
    named = [(f"link{index}", link) for index, link in enumerate(network.links, start=1)]
    placed = [place(nodes, link, name, f"{name}.weight") for name, link in named]
    skips = [
        (skip.source - 1, skip.target - 1, name, place(nodes, skip.link, name, f"{name}.weight"))
        for name, skip in ((f"skip{number}", skip) for number, skip in enumerate(network.skips, start=1))
    ]
    biases = [
        nodes.constant(f"{name}.spread", link.spread_bias()[None].numpy()) if link.kind == "conv" else f"{name}.bias"
        for name, link in named
    ]
    first, _ = up(nodes, placed[0], "images")  # nothing is sent down to the images
    drive = nodes.add("Add", first, biases[0])

    def step(nodes: Nodes, states: Sequence[str]) -> list[str]:
        ups = [(drive, None), *(up(nodes, link, states[k]) for k, link in enumerate(placed[1:]))]
        news = []
        for index, (sums, _) in enumerate(ups):
            total = sums if index == 0 else nodes.add("Add", sums, biases[index])
            for source, target, name, link in skips:
                if target == index:
                    total = nodes.add("Add", total, up(nodes, link, states[source])[0])
                elif source == index:
                    total = nodes.add("Add", total, down(nodes, link, name, states[target], None))
            if index + 1 < len(placed):
                name, winners = named[index + 1][0], ups[index + 1][1]
                total = nodes.add("Add", total, down(nodes, placed[index + 1], name, states[index + 1], winners))
            news.append(nodes.add("Clip", total, zero, one))
        return news

    last = settled(nodes, step, network.layers, steps)[-1]
    if network.readout is None:
        nodes.add("Identity", last, outputs=("logits",))
    else:
        flat = nodes.add("Flatten", last, axis=1)
        nodes.add("Gemm", flat, "readout.weight", "readout.bias", outputs=("logits",), transB=1)
    about = {KEY: json.dumps(describe(network)), "steps": "input" if steps is None else str(steps)}
    return model_of(nodes, (network.input_shape, network.classes), ("logits",), steps, about)
