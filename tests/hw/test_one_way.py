"""Networks without feedback on machines: one pass upwards, written out, and what it costs, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.digital_learning import rule_for
from helpers.machines import dense_network
from helpers.naive_reads import places
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from numpy.typing import NDArray

from hw.crossbar.fabrication import Fabrication
from hw.digital.machine import Digital
from hw.events.messages import COLUMNS
from mapping.circuit import circuit_of
from mapping.export.options import Calibration
from mapping.export.source import read_source
from mapping.machines import to_brian, to_crossbar, to_digital, to_lava, to_resistive
from mapping.program import Program
from models.ep.adjoint import adjoint_slope
from models.ep.network import EPNetwork
from models.ep.relaxation import relax
from models.fast.settling import Engine
from models.files.checkpoint import save_network

STEPS = 9
"""More than any of these networks has layers."""


def upwards(source: EPNetwork | Program, images: NDArray[np.floating]) -> NDArray[np.floating]:
    """Class scores of one pass, layer by layer; integers in float64, which holds them."""
    circuit = circuit_of(source)
    state = torch.from_numpy(circuit.encode(images)).double()
    integers = isinstance(source, Program)
    links = [link.operator(link.weight) if integers else link for link in source.links]
    for index, (link, wire) in enumerate(zip(links, circuit.wires, strict=True)):
        held = link if integers else replace(link, weight=link.weight.double(), bias=link.bias.double())
        drive = held.up(state)[0] * 2.0**wire.up_shift + torch.as_tensor(circuit.biases[index]).double()
        if integers:
            drive = (drive / 2.0 ** source.exponents[index]).floor()
        state = drive.clamp(0, circuit.neuron.one)
    if circuit.readout is None:
        return (state * circuit.logit_scale).numpy()
    weight = torch.as_tensor(circuit.readout.weight).double()
    return ((state.flatten(1) @ weight.T).numpy() + circuit.readout_bias) * circuit.logit_scale


@settings(deadline=None, max_examples=25)
@given(networks())
def test_machines_end_where_one_pass_upwards_does(network: EPNetwork) -> None:
    one_way = replace(network, feedback=False)
    images = random_images(network.input_shape, 3, 1)
    truth = upwards(one_way, images)
    np.testing.assert_allclose(to_digital(one_way, steps=STEPS).settle(images).logits, truth, atol=1e-5)
    crossbar = to_crossbar(one_way, Fabrication(IDEAL, EXACT), steps=STEPS)
    np.testing.assert_allclose(crossbar.settle(images).logits, truth, atol=1e-4)
    states = relax(one_way, torch.from_numpy(images), steps=STEPS, schedule="synchronous").states
    np.testing.assert_allclose(one_way.logits(states[-1]), truth, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(networks())
def test_integers_end_where_one_pass_of_integers_does(network: EPNetwork) -> None:
    program = replace(program_of(network, state_bits=8, seed=4), feedback=False)
    images = random_images(network.input_shape, 3, 1)
    np.testing.assert_array_equal(to_digital(program, steps=STEPS).settle(images).logits, upwards(program, images))


def test_lava_sends_nothing_down_and_ends_where_one_pass_does() -> None:
    program = replace(program_of(mixed_network(), state_bits=8, seed=4), feedback=False)
    images = random_images(program.links[0].below, 3, 1)
    with to_lava(program, steps=STEPS, delta_threshold=1) as machine:
        settled = machine.settle(images)
    digital = to_digital(program, steps=STEPS).settle(images)
    np.testing.assert_array_equal(settled.logits, upwards(program, images))
    assert settled.steps.tolist() == [len(program.links)] * 3
    for events in (settled.ledger.messages, digital.ledger.messages):
        for counted in (events.dense, events.zero_skip, events.delta):
            assert counted[..., COLUMNS.index("synops_down")].sum() == 0
    np.testing.assert_array_equal(settled.ledger.messages.delta, digital.ledger.messages.delta)


def test_a_clocked_processor_and_tiles_work_once_for_each_link() -> None:
    network = replace(mixed_network(), feedback=False)
    images = random_images(network.input_shape, 4, 1)
    circuit = circuit_of(network)
    wires = [*circuit.wires, *([] if circuit.readout is None else [circuit.readout])]
    positions = [1 if wire.kind == "dense" else len(places(wire)) for wire in wires]
    ledger = to_digital(network, steps=STEPS).settle(images).ledger
    assert ledger.arithmetic.macs == 4 * sum(wire.macs for wire in wires)
    events = to_crossbar(network, Fabrication(IDEAL, EXACT), steps=STEPS).settle(images).ledger.tiles
    assert events.reads[:, 0].tolist() == [
        4 * tiles * read for tiles, read in zip(events.tiles, positions, strict=True)
    ]
    assert events.reads[:, 1].sum() == 0
    assert events.slots == 4 * sum(positions)
    assert events.exchanges == 4 * len(wires)
    assert events.port_bits == sum(events.bits.sum(axis=1) / events.tiles), "one link after the other"


def test_a_program_without_feedback_is_kept_and_read(tmp_path) -> None:
    program = replace(program_of(mixed_network(), state_bits=8, seed=4), feedback=False)
    program.save(tmp_path / "one-way.safetensors")
    assert not Program.load(tmp_path / "one-way.safetensors").feedback
    with pytest.raises(ValueError, match="no feedback"):
        read_source(str(tmp_path / "one-way.safetensors"), Calibration())


def test_what_needs_feedback_says_so(tmp_path) -> None:
    network = replace(dense_network((6,), (5,), (4,), (3,)), feedback=False)
    images = random_images((6,), 2, 1)
    digital: Digital = to_digital(network, steps=STEPS)
    states = relax(network, torch.from_numpy(images), steps=STEPS).states
    attempts = [
        lambda: to_brian(network, duration_tau=10),
        lambda: to_resistive(network),
        lambda: Engine(network, torch.float32),
        lambda: save_network(network, tmp_path / "network.safetensors"),
        lambda: digital.learn(images, np.array([0, 1]), rule_for(network)),
        lambda: adjoint_slope(network, torch.from_numpy(images), states, torch.ones(2, 3)),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="no feedback"):
            attempt()
