"""What the crossbar machine counts: every event by loops, by hand, and what programming took."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.crossbar_machines import LEAKY, PCM, POOLINGS, assert_close, dense_network, pooled_network, products, tiles
from helpers.naive_reads import heat, places
from helpers.random_nets import networks, random_images
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork


def naive_counts(circuit, design, steps):
    """Events of every link and direction by looping over images, steps, positions and tiles; keys (name, link, side).

    Sides are 0 up and 1 down. An image takes part in the steps that it ran, in one read of the first link and of the
    readout.
    """
    counted, chain = Counter(), len(circuit.wires)
    held = (design.rows, design.columns // 2) if design.encoding == "pair" else (design.rows - 1, design.columns - 1)
    weight_slices = 1 if design.weight_bits is None else -(-(design.weight_bits - 1) // design.cell_bits)
    wires = circuit.wires if circuit.readout is None else (*circuit.wires, circuit.readout)
    turns = [Counter() for _ in wires]
    for link, wire in enumerate(wires):
        analog = design.neurons == "analog"
        has_dac, has_adc = not analog or link == 0, not analog or link == chain
        bits = design.input_bits if has_dac else None
        input_slices = 1 if bits is None or design.slice_bits is None else -(-bits // design.slice_bits)
        outputs, inputs = len(wire.weight), wire.weight[0].size
        shapes = [
            (min(held[0], inputs - row), min(held[1], outputs - column))
            for _ in range(weight_slices)
            for row in range(0, inputs, held[0])
            for column in range(0, outputs, held[1])
        ]
        counted["tiles", link] = len(shapes)
        counted["rows", link], counted["columns", link] = max(shapes, key=lambda shape: shape[0] * shape[1])
        window = wire.pool_size**2 if wire.pooling == "sum" else 1
        read = 1 if wire.kind == "dense" else len(places(wire))
        for side, positions in enumerate((read, read // window)):
            runs = len(steps) if link in (0, chain) else int(steps.sum())
            runs *= not (side == 1 and link in (0, chain))
            for _ in range(runs * positions):
                for rows, columns in shapes:
                    driven, sensed = (rows, columns) if side == 0 else (columns, rows)
                    for _ in range(input_slices):
                        counted["reads", link, side] += 1
                        counted["dac" if has_dac else "", link, side] += driven
                        counted["adc" if has_adc else "holds", link, side] += sensed
                    # operands are fetched once for each tile, whatever the slices
                    counted["bits", link, side] += driven * (design.input_bits or 32) * has_dac
                results = outputs if side == 0 else inputs
                # as many partial results for each as tiles hold a part of it, one addition less to make one of them
                parts = sum(shape[1 - side] for shape in shapes) * input_slices
                if has_adc:
                    counted["bits", link, side] += results * (design.adc_bits or 32)
                    counted["shift_adds", link, side] += parts - results
                    if wire.kind == "conv" and side == 1:
                        counted["shift_adds", link, side] += results * window
            if has_adc and side == 0 and window > 1:
                counted["shift_adds", link, side] += runs * int(np.prod(wire.above)) * (window - 1)
            turns[link][side] = positions * input_slices
    for ran in steps:
        counted["slots"] += turns[0][0] + (turns[chain][0] if circuit.readout is not None else 0)
        counted["slots"] += int(ran) * max((turn[0] + turn[1] for turn in turns[1:chain]), default=0)
    return counted


def assert_counted(events, counted, links, chain):
    for name in ("reads", "dac", "adc", "holds", "shift_adds", "bits"):
        expected = [[counted[name, link, side] for side in (0, 1)] for link in range(links)]
        np.testing.assert_array_equal(getattr(events, name), expected, err_msg=name)
    for name in ("tiles", "rows", "columns"):
        assert getattr(events, name) == tuple(counted[name, link] for link in range(links)), name
    assert events.slots == counted["slots"]
    each = [sum(counted["bits", link, side] for side in (0, 1)) / counted["tiles", link] for link in range(links)]
    inner = max(each[1:chain], default=0.0)
    assert events.port_bits == pytest.approx(each[0] + inner + sum(each[chain:]))


@given(
    networks(pooling=POOLINGS, layers=2, largest=5),
    tiles(),
    st.sampled_from([None, 6]),
    st.integers(1, 3),
    st.sampled_from([None, 4]),
    st.sampled_from([None, 2, 3]),
    st.sampled_from(["digital", "analog"]),
    st.integers(0, 99),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_events_are_those_counted_by_hand(
    network, design, weight_bits, cell_bits, input_bits, slice_bits, neurons, seed
):
    """Images rest at different steps and are then read no more."""
    slice_bits = slice_bits if input_bits else None
    design = replace(
        design,
        weight_bits=weight_bits,
        cell_bits=cell_bits,
        input_bits=input_bits,
        slice_bits=slice_bits,
        adc_bits=10,
        neurons=neurons,
    )
    machine = to_crossbar(network, Fabrication(LEAKY, design), steps=6, batch_size=2, tolerance=0.05)
    machine.worst_ranges()
    settled = machine.settle(random_images(network.input_shape, 3, seed))
    circuit, events = machine.circuit, settled.ledger.tiles
    counted = naive_counts(circuit, design, settled.steps)
    if neurons == "analog" and circuit.readout is None:  # the answer is the last layer, converted once
        counted["adc", len(circuit.wires) - 1, 0] += 3 * circuit.classes
        counted["bits", len(circuit.wires) - 1, 0] += 3 * circuit.classes * 10
    assert_counted(events, counted, len(machine.links), len(circuit.wires))
    waits = sum(int(ran) + 2 for ran in settled.steps) if neurons == "digital" else 2 * len(settled.steps)
    assert events.exchanges == waits
    assert events.links == machine.names
    assert (events.dac_bits, events.adc_bits, events.read_s) == (slice_bits or input_bits, 10, LEAKY.read_s)
    if neurons == "digital":
        assert events.holds.sum() == 0
    else:
        assert events.dac[1:].sum() == 0


def test_a_small_network_counted_with_a_pencil():
    """1 x 3 x 3 pixels, 2 kernels of 2 x 2 under a sum pool of 2, 3 classes; tiles of 3 rows and 2 pairs."""
    generator = torch.Generator().manual_seed(0)
    conv = ConvLink(torch.rand((2, 1, 2, 2), generator=generator), torch.zeros(2), (1, 3, 3), 1, 0, "average", 2)
    network = EPNetwork((conv, DenseLink(torch.rand((3, 2), generator=generator), torch.zeros(3), (2, 1, 1))))
    machine = to_crossbar(network, Fabrication(IDEAL, Design(rows=3, columns=4, input_bits=4, adc_bits=6)), steps=5)
    machine.worst_ranges()
    events = machine.settle(random_images((1, 3, 3), 7, 0)).ledger.tiles
    # 4 inputs need 2 tiles of 3 + 1 rows; 3 outputs need 2 tiles of 2 + 1 columns
    assert (events.tiles, events.rows, events.columns) == ((2, 2), (3, 2), (2, 2))
    # link 1 once per image: 4 positions; link 2 up and down at each of 5 steps
    np.testing.assert_array_equal(events.reads, [[7 * 4 * 2, 0], [7 * 5 * 2, 7 * 5 * 2]])
    np.testing.assert_array_equal(events.dac, [[7 * 4 * 4, 0], [7 * 5 * 4, 7 * 5 * 3]])
    np.testing.assert_array_equal(events.adc, [[7 * 4 * 4, 0], [7 * 5 * 3, 7 * 5 * 4]])
    # per image 2 results of 4 positions each from 2 parts, then 2 windows of 4; down, 2 results from 2 parts
    np.testing.assert_array_equal(events.shift_adds, [[7 * (8 + 6), 0], [0, 7 * 5 * 2]])
    np.testing.assert_array_equal(
        events.bits, [[7 * 4 * (4 * 4 + 2 * 6), 0], [7 * 5 * (4 * 4 + 3 * 6), 7 * 5 * (3 * 4 + 2 * 6)]]
    )
    assert events.slots == 7 * (4 + 5 * 2)
    # each of the two tiles of a link puts half of its bits on its port: link 1 once, link 2 up and down in every step
    assert events.port_bits == 7 * (4 * (16 + 12) / 2 + 5 * ((16 + 18) + (12 + 12)) / 2)
    assert events.exchanges == 7 * (1 + 5 + 1), "the image, every step, and the answer"
    # states of 4 bits: 9 pixels and 2 units, 2 and 3 units, by two tiles each
    assert events.buffer_bytes == (3, 2)


@pytest.mark.parametrize("encoding", ["pair", "offset"])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_heat_is_v_squared_g_t_of_every_device_at_every_step_run(encoding, pooling):
    network, images = pooled_network(pooling), random_images((1, 5, 6), 3, 1)
    design = replace(EXACT, rows=10, columns=5, encoding=encoding)
    machine = to_crossbar(
        network, Fabrication(replace(LEAKY, read_v=0.3, read_s=1e-7), design), steps=7, tolerance=0.05
    )
    settled = machine.settle(images, trace=True)
    assert len(set(settled.steps)) > 1, "the test wants images that rest at different steps"
    expected = np.zeros((3, 2))
    for index, direction, vectors, wanted in products(machine, settled, images):
        expected[index, int(direction == "down")] += heat(machine.links[index], vectors, direction)[wanted].sum()
    np.testing.assert_allclose(settled.ledger.tiles.array_j, expected, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["none", "average"])
def test_clipped_conversions_are_those_outside_the_range(pooling):
    network = pooled_network(pooling) if pooling == "average" else dense_network()
    images = random_images(network.input_shape, 5, 1)
    design = Design(rows=10, columns=6, input_bits=None, adc_bits=6)
    machine = to_crossbar(network, Fabrication(IDEAL, design), steps=12, tolerance=0.01)
    ranges = [(0.465, 0.405), (0.3, 0.05 if pooling == "average" else 0.15), (0.315, 0.255)]
    for link, (up, down) in zip(machine.links, ranges, strict=True):
        for tile in link.matrix.tiles:
            tile.set_ranges(up, down)
    settled = machine.settle(images, trace=True)
    assert len(set(settled.steps)) > 1, "the test wants images that rest at different steps"
    assert max(settled.ledger.tiles.tiles) > 1
    wires = (*machine.circuit.wires, machine.circuit.readout)
    expected = np.zeros((3, 2))
    for index, direction, vectors, wanted in products(machine, settled, images):
        weight = np.asarray(wires[index].weight, float).reshape(len(wires[index].weight), -1)
        side = int(direction == "down")
        for placed in machine.links[index].matrix.placed:
            part = weight[placed.outputs, placed.inputs]
            driven = vectors[wanted][:, :, placed.outputs if side else placed.inputs]
            codes = driven @ (part if side else part.T) / (ranges[index][side] / 31)
            assert np.abs(np.abs(codes) - 31.5).min(initial=1.0) > 1e-4, "the test wants no ties"
            expected[index, side] += (np.abs(np.rint(codes)) > 31).sum()
    assert (expected[1:, 0] > 0).any()
    assert expected[1, 1] > 0
    np.testing.assert_array_equal(settled.ledger.tiles.clipped, expected)


def test_batches_add_up():
    network, images = pooled_network("average"), random_images((1, 5, 6), 5, 2)
    design = Design(rows=10, columns=6, input_bits=6, adc_bits=5)
    answers = []
    for size in (1, 2, 5):
        machine = to_crossbar(network, Fabrication(LEAKY, design), steps=9, batch_size=size, tolerance=0.05)
        machine.worst_ranges()
        answers.append(machine.settle(images, trace=True))
    for other in answers[:-1]:
        assert_close(other, answers[-1], atol=1e-6)
        ours, theirs = other.ledger.tiles, answers[-1].ledger.tiles
        for field in fields(ours):
            one, two = getattr(ours, field.name), getattr(theirs, field.name)
            if isinstance(one, np.ndarray):
                np.testing.assert_allclose(one, two, rtol=1e-6, err_msg=field.name)
            else:
                assert one == two, field.name
    other = to_crossbar(network, Fabrication(LEAKY, replace(design, adc_bits=7)), steps=9)
    other.worst_ranges()
    with pytest.raises(ValueError, match="events of different machines: adc_bits differ"):
        _ = answers[0].ledger.tiles + other.settle(images).ledger.tiles


def test_the_ledger_holds_the_pulses_that_wrote_the_die_once():
    """Steps of 1 uS from 0 at 2 V for 100 ns: k pulses to k uS, 4e-7 V**2 s times the conductances on the way."""
    steps = LinearStep(g_min_s=0.0, g_max_s=25e-6, zero_s=12.5e-6, step_s=1e-6, voltage_v=2.0, width_s=1e-7)
    codes = np.array([[3, -7, 25], [0, 12, 1]])
    weight = torch.as_tensor(codes / 25, dtype=torch.float32)
    network = EPNetwork((DenseLink(weight, torch.full((2,), 0.5), (3,)),))
    for pulses in (steps, replace(steps, width_s=None)):
        device = replace(IDEAL, pulses=pulses)
        machine = to_crossbar(
            network, Fabrication(device, Design(), programming=WriteVerify(tolerance=0.01)), steps=2, batch_size=2
        )
        machine.calibrate(random_images((3,), 4, 0))  # whose ledger nobody sees
        first, second = (machine.settle(random_images((3,), 5, seed)).ledger.tiles.written for seed in (1, 2))
        counts = np.abs(codes)
        joules = 4e-7 * 1e-6 * (counts**2 / 2).sum()
        assert (first.devices, first.pulses) == (12, counts.sum())
        assert first.energy_j == (pytest.approx(joules) if pulses.width_s else None)
        assert first == machine.programming()
        assert (second.devices, second.pulses) == (0, 0.0)


def test_programming_is_counted_device_by_device():
    """Pairs: two devices per weight, in every slice; offset: a reference row and column on every tile."""
    network, weights = dense_network(), 12 * 16 + 9 * 12 + 3 * 9
    sliced = replace(EXACT, weight_bits=5, cell_bits=2)
    assert to_crossbar(network, Fabrication(PCM, EXACT), steps=1).programming().devices == 2 * weights
    assert to_crossbar(network, Fabrication(PCM, sliced), steps=1).programming().devices == 2 * 2 * weights
    offset = replace(EXACT, encoding="offset", rows=11)  # 16 and 12 inputs on two tiles of at most 10
    expected = weights + (16 + 2 * 13) + (12 + 2 * 10) + (9 + 4)
    assert to_crossbar(network, Fabrication(PCM, offset), steps=1).programming().devices == expected
