"""The NIR graph of a network.

Names begin with the number of the layer, because `nir.read` returns nodes in alphabetical order and readers run them in
the order they find: rising sweeps. `l02_a_up` is the link into layer 2, `l02_b_state` the layer, `l02_c_down` the same
link back down; the loops are edges. A layer is a 1 x 1 `Conv2d` of ones on the diagonal, which sums what arrives:
leaky integrators (LI) are read by one of four readers only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

from mapping.export.nir.kernels import Array, Kernel, as_conv, blocked, from_input, matrix_of, whole
from mapping.export.nir.layout import Kept, kept
from models.ep.links import ConvLink
from models.ep.network import EPNetwork
from models.files.checkpoint import describe, restored

SCHEMA, VERSION = "ep-hardware nir", 1
KEY, TENSOR = "ep", "ep "
"""Metadata: a JSON document, and beside it every tensor of the network under `ep NAME`."""
NOT_SEEN = (
    "Other tools run the linear part only. They do not see: the clip of every layer to 0..1 (without it most networks "
    "diverge: this graph is not the network), that l<n>_c_down is the transpose of l<n>_a_up and has to stay so, and "
    "learning. Layers are kept in blocks: pixel_unshuffle(state, block), or as channels alone."
)


def nir_of(network: EPNetwork) -> nir.NIRGraph:
    """A chain of links in both directions; ValueError where a layer cannot be kept as Conv2d."""
    links = [as_conv(link) for link in network.links]
    layout = kept(links)
    nodes: dict[str, Any] = {"l00_input": nir.Input(np.array(links[0].below))}
    edges = []
    for number, link in enumerate(links, start=1):
        state, rise, fall = (f"l{number:02d}_{part}" for part in ("b_state", "a_up", "c_down"))
        below = "l00_input" if number == 1 else f"l{number - 1:02d}_b_state"
        shape = layout.shape(number, link.above)
        shape_below = link.below if number == 1 else layout.shape(number - 1, link.below)
        kernel = _kernel(layout, number, link)
        nodes[rise] = _conv(shape_below, kernel, _spread(link, shape))
        nodes[state] = _conv(shape, Kernel(np.eye(shape[0], dtype=np.float32)[:, :, None, None], 1, (0, 0)))
        edges += [(below, rise), (rise, state)]
        if number > 1:
            nodes[fall] = _conv(shape, kernel.transposed())
            edges += [(state, fall), (fall, below)]
    last = f"l{len(links):02d}_b_state"
    if network.readout is not None:
        # over the whole map, too: Flatten counts its axes with the batch in some readers and without it in others
        weight = network.readout.weight.numpy().reshape(-1, *shape)
        reading = whole(weight, sends_down=False)
        assert reading is not None, "with a stride of 2 there always is one"
        nodes["l99_readout"] = _conv(shape, reading, network.readout.bias.numpy())
        edges.append((last, "l99_readout"))
        last = "l99_readout"
    nodes["output"] = nir.Output(np.array([network.classes, 1, 1]))
    edges.append((last, "output"))
    return nir.NIRGraph(nodes, edges, metadata=_metadata(network, layout))


def network_of_nir(file: Path) -> EPNetwork:
    """The network of a file that `nir_of` made, exactly, from its metadata.

    Raises:
        ValueError: no such file, none of ours, a newer version, or a graph that is not that of its metadata.
    """
    try:
        graph = nir.read(file)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{file}: not a NIR file ({error})") from None
    metadata = dict(graph.metadata)
    if KEY not in metadata:
        raise ValueError(f"{file}: a NIR graph without the metadata {KEY!r}, which `mapping.export --to nir` writes")
    document = json.loads(metadata[KEY])
    if document.get("schema") != SCHEMA or document.get("version") != VERSION:
        raise ValueError(
            f"{file}: {document.get('schema')!r} of version {document.get('version')!r}, this package reads {SCHEMA!r} "
            f"of version {VERSION}"
        )
    tensors = {
        name.removeprefix(TENSOR): torch.from_numpy(np.array(values))
        for name, values in metadata.items()
        if name.startswith(TENSOR)
    }
    network = restored(file, tensors, document["network"])
    again = nir_of(network)
    for name, node in again.nodes.items():
        for part in ("weight", "bias"):
            expected, found = getattr(node, part, None), getattr(graph.nodes.get(name), part, None)
            if expected is not None and (found is None or not np.array_equal(expected, found)):
                raise ValueError(f"{file}: {part} of {name} is not that of the metadata: the graph was changed")
    return network


def _kernel(layout: Kept, number: int, link: ConvLink) -> Kernel:
    """The link into a layer, from 1, as the layout says that it can be."""
    if number > len(layout.blocks):
        below = link.below if number == 1 else layout.shape(number - 1, link.below)
        kernel = whole(matrix_of(link).reshape(-1, *below), sends_down=number > 1)
    else:
        block = layout.blocks[number - 1]
        kernel = from_input(link, block) if number == 1 else blocked(link, layout.blocks[number - 2], block)
    assert kernel is not None, "the layout was chosen so that there is one"
    return kernel


def _spread(link: ConvLink, shape: tuple[int, int, int]) -> Array:
    """The bias of every channel of the graph."""
    return np.repeat(link.bias.numpy(), shape[0] // len(link.bias))


def _conv(shape: tuple[int, ...], kernel: Kernel, bias: Array | None = None) -> nir.Conv2d:
    if bias is None:
        bias = np.zeros(len(kernel.weight), np.float32)
    rows, columns = (int(size) for size in shape[1:])
    return nir.Conv2d((rows, columns), kernel.weight, kernel.stride, kernel.padding, 1, 1, bias)


def _metadata(network: EPNetwork, layout: Kept) -> dict[str, Any]:
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "equation": "s <- clip(up(s_below) + bias + down(s_above), 0, 1)",
        "blocks": list(layout.blocks),
        "not_seen_by_other_tools": NOT_SEEN,
        "network": describe(network),
    }
    tensors = {f"{TENSOR}{name}": tensor.numpy() for name, tensor in network.named_parameters().items()}
    return {KEY: json.dumps(document), **tensors}
