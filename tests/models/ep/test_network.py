"""Networks: what fits together, what is refused, and how one is drawn."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import CLASSES, SHAPE, conv_network, random_images

from models.ep.links import DenseLink
from models.ep.network import Conv, Dense, EPNetwork, build_network


def dense(above: int, below: tuple[int, ...]) -> DenseLink:
    return DenseLink(torch.ones(above, torch.Size(below).numel()), torch.ones(above), below)


def test_shapes_names_and_scores() -> None:
    network = conv_network(0)
    assert network.input_shape == SHAPE
    assert network.layers == ((5, 4, 4), (6, 2, 2), (7,))
    assert network.classes == CLASSES
    names = [f"{link}.{part}" for link in ("link1", "link2", "link3", "readout") for part in ("weight", "bias")]
    assert list(network.named_parameters()) == names
    last = torch.rand(3, 7, dtype=torch.float64)
    assert network.readout is not None
    torch.testing.assert_close(network.logits(last), last @ network.readout.weight.T + network.readout.bias)
    assert conv_network(0, readout=False).logits(last[:, :CLASSES]).shape == (3, CLASSES)


def test_other_numbers_on_the_same_wiring() -> None:
    network = conv_network(0)
    other = network.map_parameters(lambda tensor: tensor.float() + 1)
    assert other.layers == network.layers
    for name, tensor in other.named_parameters().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, network.named_parameters()[name].float() + 1)


def test_a_drawn_network_depends_on_its_generator_only() -> None:
    layers = (Conv(3, gain=0.5), Dense(4, gain=0.25))
    first, same, other = (build_network(SHAPE, layers, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.links[0].weight, same.links[0].weight)
    assert not torch.equal(first.links[0].weight, other.links[0].weight)
    for link, gain in zip(first.links, (0.5, 0.25), strict=True):
        bound = gain * (3 / link.weight[0].numel()) ** 0.5
        assert 0.5 * bound < float(link.weight.abs().max()) <= bound
        assert not bool(link.bias.any())


@pytest.mark.parametrize(
    ("links", "readout", "message"),
    [
        ((), None, "at least one link"),
        ((dense(3, (4,)), dense(2, (5,))), None, r"layer 1 is \(3,\) for the link below, \(5,\) for the link above"),
        ((dense(3, (4,)),), dense(2, (4,)), r"reads \(4,\), the last layer is \(3,\)"),
    ],
)
def test_links_that_do_not_fit_are_refused(
    links: tuple[DenseLink, ...], readout: DenseLink | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        EPNetwork(links, readout)


def test_without_a_readout_the_last_layer_must_be_flat() -> None:
    with pytest.raises(ValueError, match=r"must be flat, one unit per class: \(3, 8, 8\)"):
        build_network(SHAPE, (Conv(3),), None, torch.Generator())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 8, 8), r"images are \(1, 8, 8\), the network reads \(2, 8, 8\)"),
        (torch.zeros(0, *SHAPE), "batch is empty"),
        (torch.full((1, *SHAPE), 1.5), "found 1.5 to 1.5"),
        (torch.full((1, *SHAPE), -0.5), "found -0.5"),
        (torch.full((1, *SHAPE), float("nan")), "without NaN, found nan"),
    ],
)
def test_images_a_network_cannot_read_are_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv_network(0).check_images(images)


def test_images_a_network_can_read_are_accepted() -> None:
    conv_network(0).check_images(random_images(3))
