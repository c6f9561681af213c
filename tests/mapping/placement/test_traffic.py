"""Traffic: what one message causes, by hand and by naive loops over who is joined to whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.naive import traffic as naive_traffic
from helpers.random_nets import networks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from hw.events.messages import COLUMNS
from mapping.circuit import circuit_of
from mapping.placement.chip import LOIHI_2
from mapping.placement.cores import place
from mapping.placement.synapses import synapses_per_unit
from mapping.placement.traffic import traffic
from models.ep.links import ConvLink, DenseLink, Link
from models.ep.network import EPNetwork

UP, DOWN, MESSAGES, EW, NS, SPIKES = range(6)


def _conv(shape: tuple[int, ...], kernel: int, channels: int = 1, **geometry: int) -> ConvLink:
    return ConvLink(torch.randn(channels, shape[0], kernel, kernel), torch.zeros(channels), shape, **geometry)  # type: ignore[arg-type]


def _fans(*links: Link) -> list[np.ndarray]:
    """Tables of all layers, everything of a layer on one core."""
    shapes = [links[0].below, *(link.above for link in links)]
    return list(traffic(links, [np.full(int(np.prod(shape)), layer) for layer, shape in enumerate(shapes)]))


def test_columns_are_those_of_the_ledger() -> None:
    assert COLUMNS == ("synops_up", "synops_down", "messages", "hops_ew", "hops_ns", "spikes")


def test_fan_out_of_a_padded_convolution_by_hand() -> None:
    """3 x 3 over 4 x 4 with padding 1: corners meet 4 windows, edges 6, the inside 9; twice for two channels."""
    table = _fans(_conv((1, 4, 4), 3, channels=2, padding=1))[0]
    fan = np.array([[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]])
    np.testing.assert_array_equal(table[:, UP].reshape(4, 4), 2 * fan)
    np.testing.assert_array_equal(table[:, DOWN], 0)
    np.testing.assert_array_equal(table[:, SPIKES], 1)


def test_fan_out_under_a_stride_by_hand() -> None:
    """2 x 2 with stride 2 over 5 x 5: every unit is read once, the last row and column never."""
    table = _fans(_conv((1, 5, 5), 2, stride=2))[0]
    fan = np.zeros((5, 5))
    fan[:4, :4] = 1
    np.testing.assert_array_equal(table[:, UP].reshape(5, 5), fan)
    np.testing.assert_array_equal(table[:, MESSAGES].reshape(5, 5), fan)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_fans_under_a_pool_by_hand(pooling: str) -> None:
    """2 x 2 kernel over 4 x 4 gives 3 x 3 sums, one window of 2 x 2; the third row and column of sums is dropped."""
    below = DenseLink(torch.randn(16, 3), torch.zeros(16), (3, 1, 1))
    reshaped = ConvLink(torch.randn(1, 1, 2, 2), torch.zeros(1), (1, 4, 4), 1, 0, pooling, 2)  # type: ignore[arg-type]
    fan = np.array([[1, 2, 1, 0], [2, 4, 2, 0], [1, 2, 1, 0], [0, 0, 0, 0]])
    tables = traffic([below, reshaped], [np.zeros(3, int), np.ones(16, int), np.full(1, 2)])
    np.testing.assert_array_equal(tables[1][:, UP].reshape(4, 4), fan)
    np.testing.assert_array_equal(tables[1][:, MESSAGES].reshape(4, 4), fan > 0)
    assert tables[2][0].tolist() == [0, 16, 1, 0, 0, 1]  # what it sends down meets all 4 weights of all 4 sums


def test_the_clamped_input_hears_nothing() -> None:
    """Layer 1 sends up but not down; layer 2 sends down to layer 1."""
    first, second = (
        DenseLink(torch.randn(4, 3), torch.zeros(4), (3, 1, 1)),
        DenseLink(torch.randn(2, 4), torch.zeros(2), (4,)),
    )
    tables = _fans(first, second)
    assert tables[0].tolist() == [[4, 0, 1, 0, 0, 1]] * 3
    assert tables[1].tolist() == [[2, 0, 1, 0, 0, 1]] * 4
    assert tables[2].tolist() == [[0, 4, 1, 0, 0, 1]] * 2


def test_hops_are_tiles_of_the_mesh_by_hand() -> None:
    """Cores 0 to 3 are tile (0, 0), 4 to 7 tile (0, 1), 32 to 35 tile (1, 0); distances are Manhattan."""
    link = DenseLink(torch.randn(4, 2), torch.zeros(4), (2, 1, 1))
    tables = traffic([link], [np.array([0, 37]), np.array([3, 4, 35, 35])])
    # from core 0: to core 3 no hop, to 4 one east, to 35 one south; units 2 and 3 share a core, so one message
    assert tables[0][0].tolist() == [4, 0, 3, 1, 1, 1]
    # from core 37 in tile (1, 1): to 3 one west one north, to 4 one north, to 35 one west
    assert tables[0][1].tolist() == [4, 0, 3, 2, 2, 1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(pooling=("none", "average", "max"), largest=6), st.integers(0, 2**20))
def test_traffic_is_that_of_naive_loops(network: EPNetwork, seed: int) -> None:
    """Units scattered at random over many cores, tiles and rows: far wilder than any placement."""
    rng = np.random.default_rng(seed)
    shapes = (network.input_shape, *network.layers)
    cores = [40 * layer + rng.integers(0, 70, int(np.prod(shape))) for layer, shape in enumerate(shapes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mapping.placement.traffic.CORES_AT_ONCE", 5)  # how many are looked at together changes nothing
        tables = traffic(network.links, cores)
    for ours, naive in zip(tables, naive_traffic(network.links, cores), strict=True):
        np.testing.assert_array_equal(ours, naive)


def test_traffic_of_layers_that_span_cores_is_that_of_naive_loops() -> None:
    """2048, 1280 and 1536 units on two cores each, as placed."""
    first = _conv((2, 32, 32), 2, channels=5, stride=2)
    links = [first, _conv(first.above, 3, channels=6, padding=1)]
    placed = place(links)
    assert placed.used == (2, 2, 2)
    for ours, naive in zip(placed.traffic, naive_traffic(links, placed.of_units), strict=True):
        np.testing.assert_array_equal(ours, naive)


@pytest.mark.parametrize("stride", [1, 2])
def test_dense_synops_are_the_multiplications_torch_counts(stride: int) -> None:
    """Up and down through an unpadded convolution, where torch multiplies nothing by padding."""
    first = DenseLink(torch.randn(3 * 49, 2), torch.zeros(3 * 49), (2, 1, 1))
    shaped = _conv((3, 7, 7), 3, channels=4, stride=stride)
    tables = place([first, shaped]).traffic
    for column, layer, work in (
        (UP, 1, lambda: shaped.up(torch.zeros(1, 3, 7, 7))),
        (DOWN, 2, lambda: shaped.down(torch.zeros(1, *shaped.above))),
    ):
        with FlopCounterMode(display=False) as counter:
            work()
        assert 2 * tables[layer][:, column].sum() == counter.get_total_flops()


def test_a_circuit_carries_its_traffic_and_cores() -> None:
    links = (_conv((1, 40, 40), 5, channels=2, stride=2), DenseLink(torch.randn(3, 648), torch.zeros(3), (2, 18, 18)))
    network = EPNetwork(links)
    circuit = circuit_of(network)
    placed = place(links)
    assert circuit.cores == placed.used == (2, 1, 1)
    for ours, expected in zip(circuit.traffic, traffic(links, placed.of_units), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_synapses_of_a_unit_by_hand() -> None:
    """3 x 3 over 6 x 6 with stride 2 and padding 1 gives 3 x 3: layer 1 meets 9 weights of 2 channels below and, above,
    1 to 4 windows of 3 channels; then 4 channels read 3 x 3 places of 3."""
    below = _conv((2, 12, 12), 3, channels=2, padding=1, stride=2)
    above = _conv(below.above, 3, channels=3, padding=1, stride=2)
    assert above.above == (3, 3, 3)
    assert synapses_per_unit([below, above]) == max(2 * 9 + 3 * 4, 2 * 9)
    top = _conv(above.above, 3, channels=40, padding=1)
    assert synapses_per_unit([below, above, top]) == 2 * 9 + 40 * 9


def test_a_core_of_its_own_router_hops_from_core_to_core() -> None:
    """Loihi 2: cores 0 to 7 are a row; from core 0 to core 3 three east, to core 9 one east and one south."""
    link = DenseLink(torch.randn(2, 1), torch.zeros(2), (1, 1, 1))
    (below, _) = traffic([link], [np.array([0]), np.array([3, 9])], chip=LOIHI_2)
    assert below[0].tolist() == [2, 0, 2, 4, 1, 1]
