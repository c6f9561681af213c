"""The crossbar machine: equal to the digital one where nothing is noisy, and counted by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL, noisy_reads, uniform_drift
from helpers.naive_reads import heat, places, vectors_down, windows
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from hw.crossbar.devices.curves import ConstantCurve
from hw.crossbar.devices.device import Temperature
from hw.crossbar.devices.device_array import reprogram
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import Wires, effective_down, effective_up, kappa
from mapping.machines import to_crossbar, to_digital
from mapping.program import STATE_BITS
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork

PCM = preset("pcm-nandakumar-2019")
LEAKY = replace(IDEAL, g_min_s=1e-6)
"""Perfect, but no device can be switched off."""
ALL = ("none", "average", "max")


@st.composite
def tiles(draw, **fixed):
    """Ideal converters on tiles that cut most links."""
    rows, columns = draw(st.integers(6, 40), label="rows"), draw(st.integers(6, 20), label="columns")
    return replace(
        EXACT, rows=rows, columns=columns, encoding=draw(st.sampled_from(["pair", "offset"]), label="encoding"), **fixed
    )


def dense_network(seed=0, classes=3):
    """Dense links with squared-error output."""
    generator = torch.Generator().manual_seed(seed)

    def link(above, below):
        units = int(np.prod(below))
        weight = (2 * torch.rand((above, units), generator=generator) - 1) * 1.5 / units**0.5
        return DenseLink(weight, torch.rand(above, generator=generator) * 0.4, below)

    return EPNetwork((link(12, (1, 4, 4)), link(9, (12,)), link(classes, (9,))))


def pooled_network(pooling="max", seed=4):
    """A conv link, a pooled conv link with a remainder and a readout."""
    generator = torch.Generator().manual_seed(seed)
    first = ConvLink(torch.rand((3, 1, 3, 2), generator=generator) - 0.4, torch.full((3,), 0.1), (1, 5, 6), padding=1)
    weight = (0.2 if pooling == "max" else 0.6) * (torch.rand((4, 3, 2, 3), generator=generator) - 0.45)
    second = ConvLink(weight, torch.full((4,), 0.2), first.above, 1, 1, pooling, 2)
    units = int(np.prod(second.above))
    return EPNetwork(
        (first, second), DenseLink(torch.rand((3, units), generator=generator) - 0.5, torch.zeros(3), second.above)
    )


def assert_close(ours, theirs, atol=1e-5):
    for mine, other in zip((*ours.states, *ours.trace), (*theirs.states, *theirs.trace), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, atol=atol)
    for name in ("logits", "logits_by_step", "residual"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=atol, err_msg=name)
    np.testing.assert_array_equal(ours.steps, theirs.steps)


def assert_same(ours, theirs):
    for mine, other in zip((*ours.states, *ours.trace), (*theirs.states, *theirs.trace), strict=True):
        np.testing.assert_array_equal(mine, other)
    for name in ("logits", "logits_by_step", "residual", "steps"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


# no noise


@given(networks(pooling=ALL), tiles(), st.integers(0, 2**20), st.integers(1, 4), st.sampled_from([None, 0.03]))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_without_noise_it_is_the_digital_machine_at_every_step(network, design, seed, count, tolerance):
    images = random_images(network.input_shape, count, seed)
    reference = to_digital(network, steps=12, tolerance=tolerance).settle(images, trace=True)
    if tolerance is not None:  # no image may rest by a rounding error
        moved = np.stack([np.abs(np.diff(layer, axis=0)).reshape(11, count, -1).max(2) for layer in reference.trace])
        assume((np.abs(moved.max(0) - tolerance) > 1e-5).all())
    machine = to_crossbar(network, Fabrication(LEAKY, design), steps=12, batch_size=3, tolerance=tolerance)
    settled = machine.settle(images, trace=True)
    assert_close(settled, reference)
    assert settled.one == 1
    np.testing.assert_array_equal(settled.ledger.messages.running, reference.ledger.messages.running)
    np.testing.assert_allclose(settled.ledger.messages.dense, reference.ledger.messages.dense)
    assert settled.ledger.arithmetic is None


@given(
    networks(),
    st.sampled_from(STATE_BITS),
    tiles(),
    st.sampled_from([None, 8]),
    st.integers(1, 4),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.integers(0, 2**20),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_programs_run_bit_for_bit(network, state_bits, design, weight_bits, cell_bits, slice_bits, converted, seed):
    """On cut, sliced and bit-serial tiles, with ideal converters and with those that resolve every integer."""
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(program.links[0].below, 3, seed)
    reference = to_digital(program, steps=10, tolerance=0.0).settle(images, trace=True)
    design = replace(
        design,
        weight_bits=weight_bits,
        cell_bits=cell_bits,
        input_bits=state_bits,
        slice_bits=slice_bits,
        adc_bits=24 if converted else None,
    )
    machine = to_crossbar(program, Fabrication(LEAKY, design), steps=10, batch_size=2, tolerance=0.0)
    machine.integer_ranges()
    settled = machine.settle(images, trace=True)
    assert_same(settled, reference)
    assert settled.one == 2**state_bits - 1
    assert (settled.ledger.tiles.clipped == 0).all()
    if slice_bits is not None:
        assert machine.links[0].matrix.design.input_slices == -(-state_bits // slice_bits)


@pytest.mark.parametrize("slice_bits", [None, 1])
def test_integers_need_just_as_many_bits_as_the_error_says(slice_bits):
    program = program_of(dense_network(), state_bits=5, seed=1)
    images = random_images((1, 4, 4), 6, 3)
    images[0] = 1
    # the largest sum of any row or column of a link: codes of the driver times integer weights, and a sign
    largest = [max(np.abs(link.weight.astype(int)).sum(axis=axis).max() for axis in (0, 1)) for link in program.links]
    codes = 31 if slice_bits is None else 1
    needed = [int(codes * most).bit_length() + 1 for most in largest]
    design = Design(input_bits=5, slice_bits=slice_bits, adc_bits=max(needed))
    machine = to_crossbar(program, Fabrication(LEAKY, design), steps=8)
    machine.integer_ranges()
    reference = to_digital(program, steps=8).settle(images, trace=True)
    assert_same(machine.settle(images, trace=True), reference)
    fewer = to_crossbar(program, Fabrication(LEAKY, replace(design, adc_bits=max(needed) - 1)), steps=8)
    first = next(index for index, bits in enumerate(needed) if bits == max(needed))
    message = f"adc_bits is {max(needed) - 1}: the integers of link{first + 1} need {max(needed)}"
    with pytest.raises(ValueError, match=message):
        fewer.integer_ranges()


def test_ranges_of_integers_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="only a program read through DACs has integers"):
        to_crossbar(dense_network(), Fabrication(IDEAL, Design()), steps=3).integer_ranges()
    program = program_of(dense_network(), state_bits=8, seed=1)
    with pytest.raises(ValueError, match="only a program read through DACs has integers"):
        to_crossbar(program, Fabrication(IDEAL, Design(input_bits=None)), steps=3).integer_ranges()
    with pytest.raises(ValueError, match="input_bits is 6: states of 8 bits would be rounded"):
        to_crossbar(program, Fabrication(IDEAL, Design(input_bits=6, adc_bits=24)), steps=3).integer_ranges()


def test_drivers_finer_than_the_states_still_read_integers():
    """8 bits drive 4-bit states on every 17th code."""
    program, images = program_of(mixed_network(), state_bits=4, seed=1), random_images((2, 7, 6), 3, 1)
    machine = to_crossbar(program, Fabrication(LEAKY, Design(rows=20, columns=10, input_bits=8, adc_bits=24)), steps=8)
    machine.integer_ranges()
    assert_same(machine.settle(images, trace=True), to_digital(program, steps=8).settle(images, trace=True))


def test_coarse_converters_round_every_product():
    """One dense link by hand: the DAC rounds the image, the ADC what comes of it."""
    network = EPNetwork(
        (DenseLink(torch.tensor([[0.9, -0.5, 0.3], [0.2, 0.7, -0.8]]), torch.tensor([0.1, 0.2]), (3,)),)
    )
    images = np.random.default_rng(1).uniform(0, 1, (50, 3)).astype(np.float32)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=3, adc_bits=4)), steps=2)
    machine.worst_ranges()
    step = 1.7 / 7  # the largest sum of a row is 0.9 + 0.5 + 0.3, that of a 4-bit code is 7
    driven = np.rint(images.astype(float) * 7) / 7
    weight = network.links[0].weight.double().numpy()
    sums = driven @ weight.T / step
    safe = np.abs(sums - np.floor(sums) - 0.5) > 1e-4  # a rounding error decides ties
    expected = np.clip(np.rint(sums) * step + [0.1, 0.2], 0, 1)
    assert safe.mean() > 0.9
    np.testing.assert_allclose(machine.settle(images).logits[safe], expected[safe], atol=1e-6)


# what is counted


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


def assert_counted(events, counted, links):
    for name in ("reads", "dac", "adc", "holds", "shift_adds", "bits"):
        expected = [[counted[name, link, side] for side in (0, 1)] for link in range(links)]
        np.testing.assert_array_equal(getattr(events, name), expected, err_msg=name)
    for name in ("tiles", "rows", "columns"):
        assert getattr(events, name) == tuple(counted[name, link] for link in range(links)), name
    assert events.slots == counted["slots"]


@given(
    networks(pooling=ALL, layers=2, largest=5),
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
    assert_counted(events, counted, len(machine.links))
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


def products(machine, settled, images):
    """(link, direction, vectors, images that wanted it) of every product of a settle, from its trace.

    Step t reads the states of step t - 1; the image is driven once, the readout reads the last states.
    """
    circuit, count = machine.circuit, len(images)
    layers = [np.repeat(images[None].astype(float), len(settled.trace[0]) + 1, axis=0)]
    layers += [np.concatenate([np.zeros((1, *layer.shape[1:])), layer]).astype(float) for layer in settled.trace]
    everyone = np.ones(count, bool)
    yield 0, "up", windows(circuit.wires[0], layers[0][0]), everyone
    for step in range(int(settled.steps.max())):
        for index, wire in enumerate(circuit.wires[1:], start=1):
            below, above = layers[index][step], layers[index + 1][step]
            yield index, "up", windows(wire, below), step < settled.steps
            yield index, "down", vectors_down(wire, above, below), step < settled.steps
    if circuit.readout is not None:
        yield len(circuit.wires), "up", windows(circuit.readout, layers[-1][-1]), everyone


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


# seeds and noise


def noisy_machine(network, *, device=PCM, die_seed=0, noise_seed=0):
    made = Fabrication(device, replace(EXACT, input_bits=6), seed=(die_seed,), noise_seed=(noise_seed,))
    machine = to_crossbar(network, made, steps=8)
    machine.age(3600.0)
    return machine


def conductances(machine):
    return np.concatenate([tile.array.conductance_s().ravel() for link in machine.links for tile in link.matrix.tiles])


def test_seeds_repeat_the_die_and_the_noise():
    network, images = mixed_network(), random_images((2, 7, 6), 3, 1)
    first, again = (noisy_machine(network, die_seed=3, noise_seed=5) for _ in range(2))
    one = [first.settle(images, trace=True) for _ in range(2)]
    two = [again.settle(images, trace=True) for _ in range(2)]
    for ours, theirs in zip(one, two, strict=True):
        assert_same(ours, theirs)
    assert np.abs(one[0].logits - one[1].logits).max() > 1e-4  # noise goes on
    np.testing.assert_array_equal(conductances(first), conductances(again))
    other_noise, other_die = (noisy_machine(network, die_seed=d, noise_seed=n) for d, n in ((3, 6), (4, 5)))
    np.testing.assert_array_equal(conductances(first), conductances(other_noise))
    assert np.abs(one[0].logits - other_noise.settle(images).logits).max() > 1e-4
    assert (conductances(first) != conductances(other_die)).mean() > 0.6  # many of no conductance stay there
    assert np.abs(one[0].logits - other_die.settle(images).logits).max() > 1e-3


def test_every_tile_has_errors_of_its_own():
    wide = EPNetwork((DenseLink(torch.full((2, 60), 0.5), torch.zeros(2), (60,)),))
    stacked = EPNetwork((*wide.links, DenseLink(torch.full((20, 2), 0.5), torch.zeros(20), (2,))))
    machine = to_crossbar(stacked, Fabrication(PCM, replace(EXACT, rows=20, columns=4)), steps=1)
    found = [tile.array.programmed_s[:, ::2].ravel() for link in machine.links for tile in link.matrix.tiles]
    everything = np.concatenate(found)
    assert len(np.unique(everything)) == len(everything)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_slow_noise_is_not_the_programming_error_again(seed):
    """Also where both seeds are one number, as they are by default."""
    network = EPNetwork(
        tuple(
            DenseLink(torch.full((above, below), 0.5), torch.zeros(above), (below,))
            for above, below in ((40, 50), (45, 40))
        )
    )
    machine = to_crossbar(network, Fabrication(PCM, replace(EXACT, rows=20), seed=(seed,), noise_seed=(seed,)), steps=1)
    machine.settle(np.zeros((1, 50), np.float32))
    for link in machine.links:
        for tile in link.matrix.tiles:
            written, quiet = tile.array.programmed_s[:, ::2], tile.array.conductance_s()[:, ::2]
            slow = tile.up.weight.double().numpy().T / tile.scale + tile.array.conductance_s()[:, 1::2] - quiet
            assert slow.std() > 0
            assert abs(np.corrcoef(slow.ravel(), written.ravel())[0, 1]) < 5 / np.sqrt(slow.size)


def test_slow_noise_holds_during_a_settle_and_changes_between_two():
    network, images = mixed_network(), random_images((2, 7, 6), 2, 1)
    machine = noisy_machine(network, device=replace(PCM, fresh=ConstantCurve(0.0)))
    seen, links = [], machine.links[1 : len(network.links)]

    def watched(up, tile):
        def read(below):
            seen[-1].append((tile.up.weight.clone(), tile.down.weight.clone()))
            return up(below)

        return read

    for link in links:
        link.up = watched(link.up, link.matrix.tiles[0])
    for _ in range(2):
        seen.append([])
        machine.settle(images)
    for settle in seen:
        assert len(settle) == 8 * len(links)
        for index, (up, down) in enumerate(settle):
            np.testing.assert_array_equal(up, settle[index % len(links)][0])
            np.testing.assert_array_equal(down, up.T)
    for (one, _), (two, _) in zip(seen[0][: len(links)], seen[1][: len(links)], strict=True):
        assert ((one != two).float().mean()) > 0.9


def test_batches_are_settles_of_their_own():
    """Slow noise is drawn for every batch; images of one batch share it."""
    network = dense_network()
    images = np.repeat(random_images((1, 4, 4), 1, 1), 4, axis=0)
    device = replace(PCM, fresh=ConstantCurve(0.0))
    machine = to_crossbar(network, Fabrication(device, EXACT), steps=6, batch_size=2)
    machine.age(3600.0)
    logits = machine.settle(images).logits
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-6)
    np.testing.assert_allclose(logits[2], logits[3], atol=1e-6)
    assert np.abs(logits[0] - logits[2]).max() > 1e-4


def test_fresh_noise_averages_out_to_the_digital_answer():
    """One linear link and no clipping: the mean of many reads is the product, their variance the sum of cells'."""
    weight = torch.as_tensor(np.random.default_rng(0).uniform(-0.1, 0.1, (2, 6)), dtype=torch.float32)
    network = EPNetwork((DenseLink(weight, torch.full((2,), 0.5), (6,)),))
    device, count = noisy_reads(), 20_000
    image = np.linspace(0.1, 1, 6, dtype=np.float32)
    machine = to_crossbar(network, Fabrication(device, EXACT), steps=1, batch_size=count)
    logits = machine.settle(np.repeat(image[None], count, axis=0)).logits
    (tile,) = machine.links[0].matrix.tiles
    cells = device.fresh(tile.array.conductance_s()) ** 2
    sigma = np.sqrt(tile.scale**2 * (image.astype(float) ** 2 @ (cells[:, ::2] + cells[:, 1::2])))
    np.testing.assert_allclose(logits.mean(0), weight.numpy() @ image + 0.5, atol=4 * sigma.max() / np.sqrt(count))
    np.testing.assert_allclose(logits.std(0), sigma, rtol=0.025)


# analog neurons


@given(networks(pooling=ALL), tiles(neurons="analog"), st.integers(0, 2**20))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_analog_neurons_without_noise_settle_as_digital_ones(network, design, seed):
    images = random_images(network.input_shape, 3, seed)
    machine = to_crossbar(network, Fabrication(LEAKY, design), steps=9)
    settled = machine.settle(images, trace=True)
    assert_close(settled, to_digital(network, steps=9).settle(images, trace=True))
    events, chain = settled.ledger.tiles, len(machine.circuit.wires)
    assert events.dac[1:].sum() == events.shift_adds[:chain].sum() == 0
    # nothing but the answer is converted, once
    assert events.adc.sum() == 3 * sum(
        wire.weight.shape[0] * -(-wire.weight[0].size // machine.design.codec.capacity(design.rows, design.columns)[0])
        for wire in ([] if machine.circuit.readout is None else [machine.circuit.readout])
    ) + (3 * machine.circuit.classes if machine.circuit.readout is None else 0)
    assert (events.holds[:chain, 0] > 0).all()


def test_only_the_image_and_the_answer_of_analog_neurons_are_rounded():
    network, images = dense_network(), random_images((1, 4, 4), 20, 1)
    design = Design(input_bits=3, adc_bits=8, neurons="analog")
    machine = to_crossbar(network, Fabrication(IDEAL, design), steps=30)
    settled = machine.settle(images, trace=True)  # no range is missing: the answer lies in [0, 1]
    rounded = (np.rint(images.astype(float) * 7) / 7).astype(np.float32)
    reference = to_digital(network, steps=30).settle(rounded, trace=True)
    for ours, theirs in zip(settled.trace, reference.trace, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # states in [0, 1] have all 256 codes of a converter; the scores of every step are converted alike
    codes = settled.logits_by_step * 255
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    np.testing.assert_array_equal(settled.logits, settled.logits_by_step[-1])
    np.testing.assert_allclose(settled.logits_by_step, reference.logits_by_step, atol=0.5 / 255 + 1e-5)
    assert np.abs(settled.logits - reference.logits).max() > 1e-3


def test_the_readout_of_analog_neurons_is_converted():
    network, images = mixed_network(), random_images((2, 7, 6), 5, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=None, adc_bits=6, neurons="analog")), steps=9)
    with pytest.raises(ValueError, match="the ADC has no range"):
        machine.settle(images)
    machine.worst_ranges()
    settled, reference = machine.settle(images), to_digital(network, steps=9).settle(images)
    for ours, theirs in zip(settled.states, reference.states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    step = float(network.readout.weight.abs().sum(dim=1).max()) / 31
    codes = (settled.logits - network.readout.bias.numpy()) / step
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    np.testing.assert_allclose(settled.logits, reference.logits, atol=step / 2 + 1e-5)


def test_analog_neurons_have_no_integers():
    program = program_of(dense_network(), state_bits=5, seed=1)
    with pytest.raises(ValueError, match="neurons 'analog' have no integers: a program rounds its states"):
        to_crossbar(program, Fabrication(IDEAL, Design(neurons="analog")), steps=3)
    with pytest.raises(ValueError, match=r"headroom is 2\.0: a program's integers have their range"):
        to_crossbar(program, Fabrication(IDEAL, Design(), headroom=2.0), steps=3)
    for headroom in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"headroom is .*, expected a number from 1"):
            to_crossbar(dense_network(), Fabrication(IDEAL, Design(), headroom=headroom), steps=3)


@pytest.mark.parametrize("neurons", ["digital", "analog"])
def test_a_drift_gain_holds_until_it_is_measured_again(neurons):
    """Neurons of both kinds: 10**0.05 at 90 s, which is not enough of 100**0.05 at 990 s."""
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(network, Fabrication(uniform_drift(0.05), replace(EXACT, neurons=neurons)), steps=9)
    reference = to_digital(network, steps=9).settle(images, trace=True)
    machine.age(90.0)
    early = machine.compensate_drift()
    assert_close(machine.settle(images, trace=True), reference)
    machine.age(990.0)
    late = machine.settle(images)
    held = [float(link.matrix.gain.total[0]) for link in machine.links]
    assert held == list(early.values()) == pytest.approx([10**0.05] * 3)
    assert np.abs(late.logits - reference.logits).max() > 1e-3
    assert list(machine.compensate_drift().values()) == pytest.approx([100**0.05] * 3)
    assert_close(machine.settle(images, trace=True), reference)


# ranges of the converters


@pytest.mark.parametrize("percent", [95.0, 100.0])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_ranges_are_the_percentile_of_what_calibration_images_cause(pooling, percent):
    """Recomputed from the digital machine: all products of all steps, by loops."""
    network, images = pooled_network(pooling), random_images((1, 5, 6), 3, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(input_bits=None, adc_bits=8)), steps=5)
    machine.calibrate(images, percent)
    settled = to_digital(network, steps=5).settle(images, trace=True)
    wires = (*machine.circuit.wires, machine.circuit.readout)
    seen = {}
    for index, direction, vectors, _ in products(machine, settled, images):
        weight = np.asarray(wires[index].weight, float).reshape(len(wires[index].weight), -1)
        sums = vectors @ (weight.T if direction == "up" else weight)
        seen.setdefault((index, direction), []).append(np.abs(sums).ravel())
    # a digital machine hands back the scores of every step, and its readout is read that often
    readout = np.concatenate([np.zeros((1, 3)), settled.trace[-1].reshape(15, -1) @ wires[2].weight.T.astype(float)])
    seen[2, "up"] = [np.abs(readout[1:]).ravel()]
    for (index, direction), values in seen.items():
        (tile,) = machine.links[index].matrix.tiles
        adc = tile.adc_up if direction == "up" else tile.adc_down
        assert max(map(len, values)) < 8192, "above, a meter keeps a sample"
        assert adc.full_scale == pytest.approx(np.percentile(np.concatenate(values), percent), rel=1e-4)
        assert adc.bits == 8
    for index in (0, 2):  # never read downwards
        (tile,) = machine.links[index].matrix.tiles
        assert tile.adc_down.full_scale == tile.worst_down


def all_ranges(machine):
    return [
        adc.full_scale for link in machine.links for tile in link.matrix.tiles for adc in (tile.adc_up, tile.adc_down)
    ]


def test_evaluated_images_do_not_move_the_ranges():
    network = pooled_network()
    few, many = random_images((1, 5, 6), 4, 1), random_images((1, 5, 6), 9, 2)
    machine = to_crossbar(network, Fabrication(PCM, Design(rows=10)), steps=6)
    machine.calibrate(few)
    before = all_ranges(machine)
    machine.settle(many)
    machine.age(100.0)
    machine.compensate_drift()
    machine.settle(many)
    assert all_ranges(machine) == before
    again = to_crossbar(network, Fabrication(PCM, Design(rows=10)), steps=6)
    again.calibrate(few)
    assert all_ranges(again) == before
    again.calibrate(many)
    assert all_ranges(again) != before


@given(networks(pooling=ALL), tiles(adc_bits=8), st.sampled_from([None, 1, 4]), st.integers(0, 99))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_worst_ranges_never_clip_perfect_devices(network, design, input_bits, seed):
    images = random_images(network.input_shape, 3, seed)
    images[0] = 1
    machine = to_crossbar(network, Fabrication(LEAKY, replace(design, input_bits=input_bits)), steps=6)
    machine.worst_ranges()
    assert machine.settle(images).ledger.tiles.clipped.sum() == 0


def test_a_calibration_that_fails_changes_nothing():
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(network, Fabrication(IDEAL, Design(rows=10)), steps=6)
    with pytest.raises(ValueError, match="images must lie in"):
        machine.calibrate(images + 1)
    with pytest.raises(ValueError, match="percentile is 101"):
        machine.calibrate(images, 101)
    with pytest.raises(ValueError, match="the ADC has no range"):
        machine.settle(images)
    machine.calibrate(images)
    before = all_ranges(machine)
    with pytest.raises(ValueError, match="the batch is empty"):
        machine.calibrate(images[:0])
    assert all_ranges(machine) == before
    assert machine.settle(images).ledger.tiles.written.devices == machine.programming().devices


def test_worst_ranges_are_reached():
    """Positive weights under a white image: the largest sum is the range, a lower range would clip."""
    network = EPNetwork(
        (DenseLink(torch.rand((3, 8), generator=torch.Generator().manual_seed(0)), torch.zeros(3), (8,)),)
    )
    machine = to_crossbar(network, Fabrication(IDEAL, Design()), steps=1)
    machine.worst_ranges()
    (tile,) = machine.links[0].matrix.tiles
    white = np.ones((1, 8), np.float32)
    assert tile.adc_up.full_scale == pytest.approx(float(network.links[0].weight.sum(dim=1).max()))
    assert machine.settle(white).ledger.tiles.clipped.sum() == 0
    tile.set_ranges(0.98 * tile.worst_up, tile.worst_down)
    assert machine.settle(white).ledger.tiles.clipped.tolist() == [[1, 0]]


def test_without_ranges_nothing_settles():
    machine = to_crossbar(pooled_network(), Fabrication(IDEAL, Design()), steps=3)
    with pytest.raises(ValueError, match="the ADC has no range: calibrate the machine"):
        machine.settle(random_images((1, 5, 6), 1, 0))


# age


@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_uniform_drift_is_compensated(encoding):
    network, images = pooled_network(), random_images((1, 5, 6), 4, 1)
    machine = to_crossbar(
        network, Fabrication(uniform_drift(0.05), replace(EXACT, rows=10, encoding=encoding)), steps=9
    )
    reference = to_digital(network, steps=9).settle(images, trace=True)
    machine.age(990.0)
    drifted = machine.settle(images, trace=True)
    assert np.abs(drifted.logits - reference.logits).max() > 0.01
    gains = machine.compensate_drift()
    assert list(gains) == ["link1", "link2", "readout"]
    assert list(gains.values()) == pytest.approx([100**0.05] * 3)
    assert_close(machine.settle(images, trace=True), reference)
    # a read costs what the drifted devices take
    lost = (
        drifted.ledger.tiles.array_j[0, 0]
        / to_crossbar(network, Fabrication(uniform_drift(0.05), replace(EXACT, rows=10, encoding=encoding)), steps=9)
        .settle(images)
        .ledger.tiles.array_j[0, 0]
    )
    assert lost == pytest.approx(100**-0.05, rel=1e-4)


def test_a_link_that_conducts_nothing_needs_no_compensation():
    network = dense_network()
    silent = replace(network.links[1], weight=torch.zeros_like(network.links[1].weight))
    machine = to_crossbar(
        EPNetwork((network.links[0], silent, network.links[2])), Fabrication(uniform_drift(0.05), EXACT), steps=3
    )
    machine.age(990.0)
    assert list(machine.compensate_drift().values()) == pytest.approx([100**0.05, 1.0, 100**0.05])


def test_phase_change_memory_loses_a_third_in_a_day():
    """The gain of every link against the published law, averaged over programming error and drift exponent.

    Of W = G - H, both drifting by factors of their own, E[W_0 W_t] = E[G^2] k_G + E[H^2] k_H - E[G] E[H] (k_G + k_H).
    """
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in ((150, 100), (80, 150))]
    network = EPNetwork(tuple(DenseLink(w / w.abs().max(), torch.zeros(len(w)), (w.shape[1],)) for w in weights))
    machine = to_crossbar(network, Fabrication(PCM, replace(EXACT, rows=64)), steps=1)
    machine.age(86_400.0)
    log_time = np.log((86_400 + 20) / 20)
    for link, gain in zip(network.links, machine.compensate_drift().values(), strict=True):
        w = link.weight.double().numpy()
        target = 25.0 * np.stack([np.maximum(w, 0).ravel(), np.maximum(-w, 0).ravel()])  # uS
        sigma = 0.26348 + 1.9650 * target / 25 - 1.1731 * (target / 25) ** 2
        # a normal number cut off at zero
        whole, tail = norm.cdf(target / sigma), sigma * norm.pdf(target / sigma)
        written, squared = target * whole + tail, (target**2 + sigma**2) * whole + target * tail
        log_g = np.log(np.maximum(target / 25, 1e-30))
        nu = np.clip(-0.0155 * log_g + 0.0244, 0.049, 0.1)
        spread = np.clip(-0.0125 * log_g - 0.0059, 0.008, 0.045)
        kept = np.exp(-nu * log_time + (spread * log_time) ** 2 / 2)
        both = written[0] * written[1]
        expected = (squared.sum() - 2 * both.sum()) / ((squared * kept).sum() - (both * kept).sum())
        assert gain == pytest.approx(expected, rel=0.006)
        # nu of large conductances, which decide, is 0.049, give or take 0.008; that of small ones is up to 0.1
        assert 0.994 * 4321**0.049 < gain < 4321**0.053


def test_times_without_a_law_are_refused():
    machine = to_crossbar(dense_network(), Fabrication(PCM, EXACT), steps=2)
    with pytest.raises(ValueError, match=r"time is -1\.0 s: a die is read 0 s or more after programming"):
        machine.age(-1.0)
    short = replace(PCM, retention=replace(PCM.retention, longest_s=1000.0))
    with pytest.raises(ValueError, match=r"time is 2000\.0 s: .* is published for 0 s to 1000 s only"):
        to_crossbar(dense_network(), Fabrication(short, EXACT), steps=2).age(2000.0)
    with pytest.raises(ValueError, match=r"time is 1\.0 s: for ideal retention is published for 0 s to 0 s only"):
        to_crossbar(dense_network(), Fabrication(replace(IDEAL, retention=None), EXACT), steps=2).age(1.0)
    with pytest.raises(ValueError, match=r"temperature is 350\.0 K: .* is published at one temperature only"):
        machine.age(1.0, 350.0)
    warm = replace(PCM, temperature=Temperature(0.1, 300.0))
    machine = to_crossbar(dense_network(), Fabrication(warm, replace(EXACT, rows=7, wires=Wires(2.0, 2.0))), steps=2)
    arrays = [tile.array for link in machine.links for tile in link.matrix.tiles]
    with pytest.raises(ValueError, match=r"temperature is 600\.0 K, expected 200\.0 to 500\.0 K"):
        machine.age(1.0, 600.0)
    assert [tile.array for link in machine.links for tile in link.matrix.tiles] == arrays
    # one tile was written at 50 s: the others, which were not, must not go back alone
    machine.age(50.0)
    tile = machine.links[-1].matrix.tiles[0]
    where = np.ones(tile.array.target_s.shape, bool)
    tile.write(reprogram(tile.array, tile.array.target_s, where, np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"time is 49\.0 s: devices of this die were written 50 s"):
        machine.age(49.0)
    assert {tile.array.seconds for link in machine.links for tile in link.matrix.tiles} == {50.0}


# symmetry


@pytest.mark.parametrize("wires", [Wires(0.0, 0.0), Wires(2.0, 5.0), Wires(2.0, 5.0, method="exact")])
def test_pairs_read_at_the_same_ends_stay_symmetric(wires):
    machine = to_crossbar(pooled_network(), Fabrication(PCM, replace(EXACT, rows=10, wires=wires)), steps=2)
    machine.age(1000.0)
    assert machine.mismatch() == {"link2": 0.0}


@pytest.mark.parametrize("terminals", ["same", "opposite"])
@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_mismatch_is_that_of_the_wired_conductances(encoding, terminals):
    wires = Wires(20.0, 30.0, terminals, method="exact")
    design = replace(EXACT, rows=10, columns=6, encoding=encoding, wires=wires)
    machine = to_crossbar(dense_network(), Fabrication(PCM, design), steps=2)
    found = machine.mismatch()
    assert list(found) == ["link2", "link3"]
    for name, link in zip(machine.names[1:], machine.links[1:], strict=True):
        up, down = np.zeros((2, *link.matrix.shape))
        for placed in link.matrix.placed:
            g_s, part = placed.tile.array.conductance_s(), (placed.outputs, placed.inputs)
            above, below = effective_up(g_s, wires), effective_down(g_s, wires)
            if encoding == "pair":
                up[part], down[part] = (g[:, ::2].T - g[:, 1::2].T for g in (above, below))
            else:  # each direction subtracts a reference of its own
                up[part], down[part] = (above[:-1, :-1] - above[:-1, -1:]).T, (below[:-1, :-1] - below[-1:, :-1]).T
        expected = np.linalg.norm(down - up) / np.linalg.norm(up)
        assert found[name] == pytest.approx(expected, rel=1e-4, abs=1e-12)
        assert (found[name] > 1e-4) == (terminals == "opposite" or encoding == "offset")


def test_the_load_of_the_wires_is_that_of_the_worst_tile():
    wires = Wires(2.0, 5.0)
    machine = to_crossbar(pooled_network(), Fabrication(PCM, replace(EXACT, rows=7, columns=6, wires=wires)), steps=2)
    found = machine.kappa()
    assert list(found) == ["link1", "link2", "readout"]
    for value, link in zip(found.values(), machine.links, strict=True):
        loads = [kappa(tile.array.conductance_s(), wires) for tile in link.matrix.tiles]
        assert value == max(loads) > 0
    assert set(to_crossbar(pooled_network(), Fabrication(PCM, EXACT), steps=2).kappa().values()) == {0.0}


# the protocol


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps is 0"):
        to_crossbar(dense_network(), Fabrication(IDEAL, EXACT), steps=0)


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
