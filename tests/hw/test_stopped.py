"""What a settle would have taken had it been stopped: the ledger of a machine that was given fewer steps."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.crossbar_examples import EXACT, IDEAL
from helpers.random_nets import mixed_network, program_of, random_images

from hw.crossbar.fabrication import Fabrication
from hw.crossbar.stopped import until
from hw.ledger import Ledger, counted
from hw.ledger import until as until_of_messages
from mapping.machines import to_crossbar, to_digital, to_resistive
from models.resistive.equivalent import equivalent
from models.resistive.network import build_resistive

STEPS = 7
NETWORK = mixed_network()
IMAGES = random_images(NETWORK.links[0].below, 3, 3)


def check_same(ours: Any, theirs: Any, *, but: tuple[str, ...] = ()) -> None:
    """Every field of two kinds of events."""
    for field in fields(ours):
        if field.name not in but:
            mine, other = getattr(ours, field.name), getattr(theirs, field.name)
            if isinstance(mine, (np.ndarray, float)):
                np.testing.assert_allclose(mine, other, rtol=1e-12, err_msg=field.name)
            else:
                assert mine == other, field.name


@pytest.mark.parametrize("steps", [1, 3, STEPS])
def test_a_processor_stopped_is_one_that_was_given_fewer_steps(steps: int) -> None:
    machine = to_digital(NETWORK, steps=STEPS)
    stopped = machine.until(machine.settle(IMAGES).ledger, steps)
    short = to_digital(NETWORK, steps=steps).settle(IMAGES).ledger
    check_same(stopped.messages, short.messages)
    check_same(stopped.arithmetic, short.arithmetic)


def test_looks_at_a_readout_are_each_paid_for() -> None:
    assert NETWORK.readout is not None
    machine, scores = to_digital(NETWORK, steps=STEPS), NETWORK.readout.weight.numel() * len(IMAGES)
    ledger = machine.settle(IMAGES).ledger
    once, looked = machine.until(ledger, 4), machine.until(ledger, 4, looks=4)
    extra = counted(looked.arithmetic, "arithmetic").macs - counted(once.arithmetic, "arithmetic").macs
    assert extra == 3 * scores
    assert counted(looked.messages, "messages").readout_synops == 4 * scores


def test_messages_stopped_are_those_of_a_chip_that_was_given_fewer_steps() -> None:
    program = program_of(NETWORK, state_bits=8, seed=4)

    def sent(steps: int) -> Ledger:
        return replace(to_digital(program, steps=steps).settle(IMAGES).ledger, arithmetic=None)

    ledger = sent(STEPS)
    check_same(until_of_messages(ledger, 4).messages, sent(4).messages)
    with pytest.raises(ValueError, match="stopped after 8 steps: the settle had 7"):
        until_of_messages(ledger, 8)
    with pytest.raises(ValueError, match="'arithmetic', which no ledger keeps step by step"):
        until_of_messages(to_digital(NETWORK, steps=2).settle(IMAGES).ledger, 1)


@pytest.mark.parametrize("steps", [1, 3, STEPS])
def test_a_die_stopped_is_one_that_was_given_fewer_steps(steps: int) -> None:
    die = to_crossbar(NETWORK, Fabrication(IDEAL, EXACT), steps=STEPS)
    stopped = until(die, die.settle(IMAGES).ledger, steps)
    short = to_crossbar(NETWORK, Fabrication(IDEAL, EXACT), steps=steps).settle(IMAGES).ledger
    check_same(stopped.messages, short.messages)
    check_same(stopped.tiles, short.tiles, but=("written",))
    looked = counted(until(die, die.settle(IMAGES).ledger, steps, looks=steps).tiles, "tiles")
    once = counted(stopped.tiles, "tiles")
    assert looked.reads[-1, 0] == steps * once.reads[-1, 0]
    np.testing.assert_array_equal(looked.reads[:-1], once.reads[:-1])
    with pytest.raises(ValueError, match="looks is 9"):
        until(die, die.settle(IMAGES).ledger, steps, looks=9)


def test_a_circuit_that_is_stopped_has_dissipated_what_it_had_by_then() -> None:
    made = equivalent(build_resistive((1, 2, 3), (6, 5), 3, torch.Generator().manual_seed(6), input_gain=20.0))
    machine = to_resistive(made)
    images = random_images((1, 2, 3), 2, 3)
    settled, stopped = machine.course(images)
    own = machine.settle(images)
    np.testing.assert_array_equal(settled.logits, own.logits)
    assert settled.times_s is not None
    assert settled.trace is not None
    assert len(stopped) == len(settled.times_s)
    assert [one.settled_s for one in stopped] == pytest.approx(2 * settled.times_s)
    heats = [one.energy_j["link1"] for one in stopped]
    assert (np.diff(heats) > 0).all()
    assert own.rest_s is not None
    rows = np.searchsorted(settled.times_s, own.rest_s)
    alone = [machine.course(images[index : index + 1])[1][row] for index, row in enumerate(rows)]
    analog = counted(own.ledger.analog, "analog")
    for part in ("link1", "link2", "leaks"):
        assert sum(one.energy_j[part] for one in alone) == pytest.approx(analog.energy_j[part])


def test_without_feedback_a_processor_passes_over_weights_and_states_once() -> None:
    cut = replace(NETWORK, feedback=False)
    machine = to_digital(cut, steps=STEPS)
    done = counted(machine.settle(IMAGES).ledger.arithmetic, "arithmetic")
    circuit = machine.circuit
    values = sum(int(np.prod(shape)) for shape in circuit.layers) * 3 * len(IMAGES)
    word = 4 if machine.dynamics.arithmetic.dtype is torch.float32 else 8
    assert done.bytes_moved == word * (values + sum(wire.weight.size for wire in circuit.wires))
