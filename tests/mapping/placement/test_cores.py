"""Placement on cores: every limit of a core is kept, counted by loops; what no core can hold is refused by name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import pytest
import torch
from helpers.naive import counts
from helpers.random_nets import networks
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.speed.engine import _seed_network
from mapping.circuit import circuit_of
from mapping.placement.chip import CHIPS, LOIHI_1, LOIHI_2, Chip
from mapping.placement.cores import Load, Placement, PlacementError, check_fits, place
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork
from models.zoo import load_model

SMALL = Chip("small", 9, 400, 40, 60, 128, 4, 8, shares_weights=False)
"""Cores on which networks of the tests take many."""


def _conv(shape: tuple[int, ...], kernel: int, channels: int = 1, **geometry: int) -> ConvLink:
    return ConvLink(torch.randn(channels, shape[0], kernel, kernel), torch.zeros(channels), shape, **geometry)  # type: ignore[arg-type]


def loads(links: Sequence[Link], placed: Placement, layer: int) -> list[Load]:
    """What every core of a layer holds, by naive loops over who is joined to whom; weights are not shared."""
    joins, cores = [counts(link) for link in links], placed.of_units
    held = []
    for core in np.unique(cores[layer]):
        mine = np.flatnonzero(cores[layer] == core)
        heard, stored, sent = set(), 0, 0
        if layer:
            stored += int(joins[layer - 1][mine].sum())
            heard |= {("below", unit) for unit in np.flatnonzero(joins[layer - 1][mine].any(axis=0))}
        if 0 < layer < len(links):
            stored += int(joins[layer][:, mine].sum())
            heard |= {("above", unit) for unit in np.flatnonzero(joins[layer][:, mine].any(axis=1))}
        for unit in mine:
            if layer < len(links):
                sent += len(np.unique(cores[layer + 1][joins[layer][:, unit] > 0]))
            if layer >= 2:
                sent += len(np.unique(cores[layer - 1][joins[layer - 1][unit] > 0]))
        held.append(Load(len(mine), stored, len(heard), sent))
    return held


@given(networks(pooling=("none", "average", "max"), largest=6))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_no_core_holds_more_than_was_said_and_limits_are_kept_unless_an_obstacle_is_named(network: EPNetwork) -> None:
    placed = place(network.links, SMALL)
    for layer, on in enumerate(placed.layers):
        held = loads(network.links, placed, layer)
        assert len(held) == on.cores
        assert max(load.units for load in held) == on.fullest.units
        assert on.busiest == pytest.approx(on.fullest.units * on.cores / prod(on.shape))
        # of weights and of those heard the bound is that of a block inside the map
        assert max(load.bytes for load in held) <= on.fullest.bytes
        assert max(load.axons_in for load in held) <= on.fullest.axons_in
        assert max(load.axons_out for load in held) == on.fullest.axons_out
        for name, limit in placed.limits.items():
            kept = getattr(on.fullest, name) <= limit
            words = f"{name.replace('_', ' ')} of a core"
            assert kept != any(text.startswith(f"{on.name} ") and words in text for text in placed.obstacles)
    first = np.cumsum([0, *placed.used])
    assert [on.first for on in placed.layers] == first[:-1].tolist()
    for on, cores in zip(placed.layers, placed.of_units, strict=True):
        assert set(cores) == set(range(on.first, on.first + on.cores))


@given(st.lists(st.integers(1, 1500), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_dense_layers_take_no_core_too_many(sizes: list[int]) -> None:
    """One core fewer would hold too many units or weights on its fullest."""
    links = [
        DenseLink(torch.zeros(above, below), torch.zeros(above), (below,)) for below, above in itertools.pairwise(sizes)
    ]
    chip = replace(LOIHI_1, axons_out=None)
    for layer, (size, on) in enumerate(zip(sizes, place(links, chip).layers, strict=True)):
        fan = (sizes[layer - 1] if layer else 0) + (sizes[layer + 1] if 0 < layer < len(sizes) - 1 else 0)
        assert on.fullest.units == -(-size // on.cores)
        assert on.fullest.bytes == on.fullest.units * fan <= 128 * 1024
        if on.cores > 1:
            fuller = -(-size // (on.cores - 1))
            assert fuller > 1024 or fuller * fan > 128 * 1024 or -(-size // fuller) > on.cores - 1 or fuller == 0


def test_shared_weights_are_stored_once_by_hand() -> None:
    """8 x 8 places of 16 channels: 3 x 3 kernels from 4 channels below and 3 x 3 to 32 above, a core holds all 64
    places of its channels with 9 * (4 + 32) bytes each; unshared, each of the 1024 units has its own."""
    below = _conv((4, 8, 8), 3, channels=16, padding=1)
    links = [below, _conv(below.above, 3, channels=32, padding=1)]
    (_, shared, top), (_, alone, _) = place(links, LOIHI_2).layers, place(links, LOIHI_1).layers
    assert shared.fullest.bytes == 16 * 9 * (4 + 32)
    assert (shared.cores, top.fullest.bytes) == (1, 32 * 9 * 16)
    assert alone.fullest.bytes == alone.fullest.units * 9 * (4 + 32) <= 128 * 1024
    assert alone.cores >= 1024 * 9 * 36 / (128 * 1024)


def test_average_pools_store_the_kernel_that_they_are_folded_into() -> None:
    """5 x 5 with stride 1 under an average over 2 x 2 is a 6 x 6 kernel of stride 2."""
    link = ConvLink(torch.randn(2, 3, 5, 5), torch.zeros(2), (3, 12, 12), 1, 2, "average", 2)
    assert place([link], LOIHI_2).layers[1].fullest.bytes == 2 * 3 * link.folded().weight[0, 0].numel()


def test_without_feedback_nothing_is_stored_heard_or_sent_for_it() -> None:
    links = [_conv((2, 6, 6), 3, channels=3), DenseLink(torch.randn(5, 48), torch.zeros(5), (3, 4, 4))]
    first, top = place(links, feedback=False).layers[1:]
    assert (first.fullest.bytes, first.fullest.axons_in) == (48 * 18, 72)
    assert top.fullest.axons_out == 0


def test_the_small_cifar_network_shares_its_weights_on_one_chip() -> None:
    """Four chips of Loihi 1, which stores every synapse, and a ninth of one Loihi 2."""
    links = load_model("hw-cifar10-small").links
    placed = {name: place(links, chip) for name, chip in CHIPS.items()}
    assert not any(one.obstacles for one in placed.values())
    assert sum(placed["loihi2"].used) <= 16
    assert sum(placed["loihi1"].used) >= 344, "as many weights as 344 full cores hold"
    assert (placed["loihi1"].chips, placed["loihi2"].chips) == (4, 1)


def test_a_network_that_no_core_can_hear_is_refused_with_what_holds_it() -> None:
    """A unit that hears 5000 others: a core of Loihi 1 has 4096 axons in."""
    links = [DenseLink(torch.zeros(3, 5000), torch.zeros(3), (5, 10, 100))]
    with pytest.raises(PlacementError) as refused:
        check_fits(place(links), links)
    assert "layer 1 (3,) takes 5,000 axons in of a core, loihi1 has 4,096" in str(refused.value)
    assert "loihi2 holds it on 2 cores, 1 chip" in str(refused.value)


@pytest.mark.slow
def test_the_seed_network_takes_thousands_of_cores_of_loihi_1_and_under_ten_seconds() -> None:
    """A unit of its last layer hears 8192 others: no core of Loihi 1 does, half of one Loihi 2 holds it."""
    links = _seed_network(None).links
    start = time.process_time()
    placed = place(links)
    assert time.process_time() - start < 10
    assert sum(placed.used) > 2000
    with pytest.raises(PlacementError) as refused:
        check_fits(placed, links)
    assert "layer 4 (512, 1, 1) takes 8,192 axons in of a core, loihi1 has 4,096" in str(refused.value)
    assert "loihi2 holds it on 65 cores, 1 chip" in str(refused.value)


def test_more_chips_than_may_be_used_are_refused_with_how_many_it_needs() -> None:
    links = load_model("hw-cifar10-small").links
    placed = place(links)
    check_fits(placed, links)
    check_fits(placed, links, chips=4)
    with pytest.raises(PlacementError, match=r"cores are 4 chips, 3 may be used.*loihi2 holds it on 16 cores, 1 chip"):
        check_fits(placed, links, chips=3)


def test_a_network_that_nothing_holds_is_refused() -> None:
    """A unit with 200,000 synapses does not fit into 128 KiB."""
    links = [DenseLink(torch.zeros(3, 200_000), torch.zeros(3), (200_000,))]
    with pytest.raises(PlacementError, match="No chip that is known here holds it"):
        check_fits(place(links), links)


def test_a_circuit_says_how_full_the_cores_of_every_layer_are() -> None:
    network = load_model("mnist")
    circuit, placed = circuit_of(network, LOIHI_2), place(network.links, LOIHI_2)
    assert circuit.chip == "loihi2"
    assert circuit.cores == placed.used
    assert circuit.busiest == tuple(layer.busiest for layer in placed.layers)
    assert circuit.placed[1].full == {
        "units": placed.layers[1].fullest.units / 8192,
        "bytes": placed.layers[1].fullest.bytes / (128 * 1024),
    }
