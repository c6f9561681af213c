"""The NIR export, run by four readers that are not ours, and read back exactly by ours.

They run the linear part: what is compared is the sweep without the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import nirtorch
import norse.torch
import pytest
import sinabs.nir
import torch
from helpers.exporting import ZOO, exported
from helpers.random_nets import mixed_network, networks, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch.import_nir import import_from_nir
from torch import Tensor

from mapping.export.nir.format import FILE, NirFormat
from mapping.export.nir.graph import network_of_nir
from mapping.export.options import Calibration
from mapping.export.source import Source
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork
from models.zoo import load_model

SWEEPS = 4


def linear_scores(network: EPNetwork, images: Tensor, sweeps: int = SWEEPS) -> Tensor:
    """(sweeps, B, classes) in float64: rising sweeps of the network as it is written down, without the clip."""
    network, images = network.map_parameters(Tensor.double), images.double()
    states, scores = [images.new_zeros(len(images), *shape) for shape in network.layers], []
    for _ in range(sweeps):
        for index, link in enumerate(network.links):
            drive = link.up(images if index == 0 else states[index - 1])[0] + link.spread_bias()
            if index + 1 < len(network.links):
                drive = drive + network.links[index + 1].down(states[index + 1])
            states[index] = drive
        scores.append(network.logits(states[-1]))
    return torch.stack(scores)


def by_nirtorch(graph: nir.NIRGraph, images: Tensor) -> Tensor:
    """Its first state holds zeros of shape (1,) for what comes back, which a Conv2d refuses: it gets larger ones."""
    model = nirtorch.nir_to_torch(graph, {})
    state: dict[str, Any] = dict.fromkeys(graph.nodes)
    for name, node in graph.nodes.items():
        shape = [int(size) for size in next(iter(node.output_type.values()))]
        state[f"{name}_prev_output"] = torch.zeros(len(images), *shape)
    return _stepped(model, images, state)


def by_sinabs(graph: nir.NIRGraph, images: Tensor) -> Tensor:
    return _stepped(sinabs.nir.from_nir(graph, batch_size=len(images)), images)


def by_norse(graph: nir.NIRGraph, images: Tensor) -> Tensor:
    return _stepped(norse.torch.from_nir(graph), images)


def by_snntorch(graph: nir.NIRGraph, images: Tensor) -> Tensor:
    return _stepped(import_from_nir(graph), images)


READERS: dict[str, Callable[[nir.NIRGraph, Tensor], Tensor]] = {
    "nirtorch": by_nirtorch,
    "sinabs": by_sinabs,
    "norse": by_norse,
    "snntorch": by_snntorch,
}


def _stepped(model: Any, images: Tensor, state: Any = None) -> Tensor:
    scores = []
    with torch.no_grad():
        for _ in range(SWEEPS):
            result, state = model(images, state)
            scores.append(result.flatten(1))
    return torch.stack(scores)


def assert_read_alike(network: EPNetwork, file: Path, images: Tensor) -> None:
    expected = linear_scores(network, images)
    for name, read in READERS.items():
        scores = read(nir.read(file), images).double()  # readers change the graph they are given
        for sweep, (ours, theirs) in enumerate(zip(expected, scores, strict=True), start=1):
            far = float((ours - theirs).abs().max() / ours.abs().max())
            assert far < 1e-6, f"{name} is {far:.1e} off in sweep {sweep}"


def assert_same(one: EPNetwork, other: EPNetwork) -> None:
    assert repr(one) == repr(other)
    named = other.named_parameters()
    for name, tensor in one.named_parameters().items():
        assert torch.equal(tensor, named[name]), name


@settings(max_examples=12, deadline=None, derandomize=True)
@given(networks(), st.integers(1, 3), st.integers(0, 2**20))
def test_four_readers_give_the_linear_response_and_ours_the_network(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, batch: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("nir")
    exported(network, NirFormat(), folder)
    file = folder / "out" / FILE
    assert_read_alike(network, file, torch.as_tensor(random_images(network.input_shape, batch, seed)))
    assert_same(network_of_nir(file), network)


def test_strides_in_both_links_are_blocks_of_blocks(tmp_path: Path) -> None:
    """Layer 1 in 4 x 4 blocks, layer 2 in 2 x 2 ones; all maps divide, so that no convolution covers a whole map."""
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    links = (
        ConvLink(drawn(3, 1, 3, 3), drawn(3), (1, 16, 16), padding=1),
        ConvLink(drawn(4, 3, 4, 4), drawn(4), (3, 16, 16), stride=2, padding=1),
        ConvLink(drawn(2, 4, 3, 3), drawn(2), (4, 8, 8), padding=1, pooling="average", pool_size=2),
    )
    network = EPNetwork((*links, DenseLink(drawn(5, 32), drawn(5), (2, 4, 4))))
    exported(network, NirFormat(), tmp_path)
    file = tmp_path / "out" / FILE
    shapes = [tuple(nir.read(file).nodes[f"l{layer:02d}_b_state"].weight.shape[:1]) for layer in (1, 2, 3, 4)]
    assert shapes == [(3 * 16,), (4 * 4,), (2,), (5,)]
    assert_read_alike(network, file, torch.as_tensor(random_images((1, 16, 16), 2, 0)))


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(tmp_path: Path, name: str) -> None:
    network = load_model(name)
    source = Source(name, network, Calibration())
    if NirFormat().obstacle(source) is not None:
        pytest.skip(f"{name} takes maxima, which the format refuses")
    exported(network, NirFormat(), tmp_path)
    file = tmp_path / "out" / FILE
    assert_read_alike(network, file, torch.as_tensor(random_images(network.input_shape, 1, 0)))
    assert_same(network_of_nir(file), network)


def test_nodes_run_upwards_in_alphabetical_order_and_say_what_is_not_seen(tmp_path: Path) -> None:
    manifest = exported(mixed_network(), NirFormat(), tmp_path)
    names = list(nir.read(tmp_path / "out" / FILE).nodes)
    assert names == sorted(names)
    ups = [name for name in names if name.endswith("_up")]
    assert ups == [f"l{layer:02d}_a_up" for layer in range(1, len(ups) + 1)]
    assert "clip" in manifest["not_seen_by_other_tools"]
    assert "transpose" in (tmp_path / "out" / "README.txt").read_text()


def test_files_that_are_not_ours_or_were_changed_are_refused(tmp_path: Path) -> None:
    exported(mixed_network(), NirFormat(), tmp_path)
    file = tmp_path / "out" / FILE
    graph = nir.read(file)
    graph.nodes["l02_a_up"].weight[0, 0, 0, 0] += 1
    nir.write(tmp_path / "changed.nir", graph)
    with pytest.raises(ValueError, match=r"weight of l02_a_up is not that of the metadata"):
        network_of_nir(tmp_path / "changed.nir")
    graph.metadata["ep"] = graph.metadata["ep"].replace('"version": 1, "equation', '"version": 9, "equation')
    nir.write(tmp_path / "newer.nir", graph)
    with pytest.raises(ValueError, match=r"of version 9, this package reads 'ep-hardware nir' of version 1"):
        network_of_nir(tmp_path / "newer.nir")
    graph.metadata = {}
    nir.write(tmp_path / "foreign.nir", graph)
    with pytest.raises(ValueError, match=r"without the metadata 'ep'"):
        network_of_nir(tmp_path / "foreign.nir")
    (tmp_path / "text.nir").write_text("text")
    with pytest.raises(ValueError, match=r"text\.nir: not a NIR file"):
        network_of_nir(tmp_path / "text.nir")


def test_maps_that_neither_divide_nor_are_small_are_refused() -> None:
    generator = torch.Generator().manual_seed(0)
    first = ConvLink(torch.randn((8, 1, 3, 3), generator=generator), torch.zeros(8), (1, 65, 65), padding=1)
    second = ConvLink(torch.randn((8, 8, 3, 3), generator=generator), torch.zeros(8), first.above, 2, 1)
    network = EPNetwork((first, second), DenseLink(torch.zeros(2, 8 * 33 * 33), torch.zeros(2), second.above))
    said = NirFormat().obstacle(Source("large", network, Calibration()))
    assert said is not None
    assert said.startswith("link2 (conv 3 x 3, stride 2")
    assert "294,465,600 weights, more than 67,108,864" in said
