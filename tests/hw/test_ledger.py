"""Ledgers and settled batches: shapes are checked, several are added up as if they had been one."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from hw.events.analog import AnalogEvents
from hw.events.arithmetic import ArithmeticEvents
from hw.events.messages import CODINGS, COLUMNS, MessageEvents
from hw.events.tiles import NO_WRITES, TileEvents
from hw.ledger import Ledger, counted, merge
from hw.machine import Settled, concatenate


def _messages(seed: int, images: int = 2, **changes: object) -> MessageEvents:
    rng = np.random.default_rng(seed)
    events = [rng.integers(0, 50, (3, 2, len(COLUMNS))).astype(np.float64) for _ in range(3)]
    messages = MessageEvents(
        running=np.array([images, images, seed % 2]),
        units=(4, 5),
        cores=(1, 1),
        link_kinds=("conv",),
        dense=events[0],
        zero_skip=events[1],
        delta=events[2],
        coding="delta",
        readout_synops=7.0 * seed,
    )
    return replace(messages, **changes)  # type: ignore[arg-type]


def _tiles(reads: float) -> TileEvents:
    one = np.full((1, 2), reads)
    return TileEvents(
        ("link1",),
        (1,),
        (2,),
        (2,),
        8,
        8,
        1e-7,
        *[one] * 8,
        written=NO_WRITES,
        slots=reads,
        port_bits=reads,
        exchanges=reads,
    )


def _analog(joules: float, settled_s: float, **changes: float) -> AnalogEvents:
    return AnalogEvents({"devices": joules, "amplifiers": 2 * joules, **changes}, settled_s)


def _settled(seed: int, images: int, trace: bool = False, clocked: bool = True) -> Settled:
    rng = np.random.default_rng(seed)
    layers = ((2, 2, 1), (5,))
    times_s = np.array([1e-9, 2e-9, 5e-9, 1e-8])
    return Settled(
        logits=rng.random((images, 3)),
        logits_by_step=rng.random((4, images, 3)),
        states=tuple(rng.random((images, *layer)) for layer in layers),
        one=1,
        steps=rng.integers(1, 5, images) if clocked else None,
        residual=rng.random(images),
        ledger=Ledger(images, _messages(seed, images)) if clocked else Ledger(images, analog=_analog(1e-9, 1e-8)),
        trace=tuple(rng.random((4, images, *layer)) for layer in layers) if trace else None,
        times_s=None if clocked else times_s,
        rest_s=None if clocked else rng.choice(times_s, images),
    )


def test_columns_are_read_by_name() -> None:
    messages = _messages(1)
    for index, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(messages.column("zero_skip", name), messages.zero_skip[:, :, index])
    by_step = messages.delta[:, :, 0].sum(axis=1) + messages.delta[:, :, 1].sum(axis=1)
    np.testing.assert_array_equal(messages.synops_by_step("delta"), by_step)
    assert messages.synops("delta") == by_step.sum()
    assert messages.steps == 3
    np.testing.assert_array_equal(messages.neuron_updates_by_step(), [[0, 10], [0, 10], [0, 5]])


def test_merging_adds_up_every_part() -> None:
    one = Ledger(2, _messages(1, 2), _tiles(3.0), ArithmeticEvents(10, 100), _analog(1.0, 0.5))
    two = Ledger(3, _messages(2, 3), _tiles(4.0), ArithmeticEvents(20, 300), _analog(4.0, 0.25))
    both = merge([one, two])
    assert (both.images, both.arithmetic) == (5, ArithmeticEvents(30, 400))
    assert both.analog == AnalogEvents({"devices": 5.0, "amplifiers": 10.0}, 0.75)
    assert both.tiles is not None
    assert (both.tiles.slots, both.tiles.reads.tolist(), both.tiles.links) == (7.0, [[7.0, 7.0]], ("link1",))
    sent = counted(both.messages, "messages")
    np.testing.assert_array_equal(sent.running, [5, 5, 1])
    assert sent.readout_synops == 21.0
    for coding in CODINGS:
        np.testing.assert_array_equal(
            sent.events(coding), _messages(1, 2).events(coding) + _messages(2, 3).events(coding)
        )
    assert (sent.units, sent.cores, sent.link_kinds, sent.coding) == ((4, 5), (1, 1), ("conv",), "delta")


def test_a_part_that_no_ledger_has_is_none_of_both() -> None:
    both = merge([Ledger(1, analog=_analog(1.0, 0.5)), Ledger(1, analog=_analog(1.0, 0.5))])
    assert both.messages is both.tiles is both.arithmetic is None
    with pytest.raises(ValueError, match="the ledger has no 'messages'"):
        counted(both.messages, "messages")


@pytest.mark.parametrize("name", [field.name for field in fields(Ledger) if field.name != "images"])
def test_a_part_that_only_one_ledger_has_is_named(name: str) -> None:
    """None is not nought."""
    whole = Ledger(2, _messages(1), _tiles(3.0), ArithmeticEvents(10, 100), _analog(1.0, 0.5))
    with pytest.raises(ValueError, match=f"different machines: 2 of 3 have '{name}'"):
        merge([whole, replace(whole, **{name: None}), whole])


def test_ledgers_of_different_machines_do_not_mix() -> None:
    with pytest.raises(ValueError, match="units, coding differ"):
        merge([Ledger(2, _messages(1)), Ledger(2, _messages(2, units=(4, 6), coding="dense"))])
    with pytest.raises(ValueError, match="parts differ"):
        merge([Ledger(2, analog=_analog(1.0, 0.5)), Ledger(2, analog=_analog(1.0, 0.5, sources=1.0))])
    with pytest.raises(ValueError, match="no ledger"):
        merge([])


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'delta' have shape \(3, 1, 6\), expected \(3, 2, 6\)"):
        _messages(1, delta=np.zeros((3, 1, 6)))
    with pytest.raises(ValueError, match="'sparse' is none of"):
        _messages(1, coding="sparse")
    with pytest.raises(ValueError, match="0 images"):
        Ledger(0)
    with pytest.raises(ValueError, match="'amplifiers' is nan"):
        _analog(1.0, 0.5, amplifiers=float("nan"))
    with pytest.raises(ValueError, match="'settled_s' is -1"):
        _analog(1.0, -1.0)
    with pytest.raises(ValueError, match="energy_j is empty"):
        AnalogEvents({}, 1.0)


@pytest.mark.parametrize("clocked", [True, False])
@pytest.mark.parametrize("trace", [False, True])
def test_batches_are_joined_along_the_images(trace: bool, clocked: bool) -> None:
    one, two = _settled(1, 2, trace, clocked), _settled(2, 3, trace, clocked)
    both = concatenate([one, two])
    by_image = "steps" if clocked else "rest_s"
    for name, axis in (("logits", 0), ("logits_by_step", 1), (by_image, 0), ("residual", 0)):
        np.testing.assert_array_equal(
            getattr(both, name), np.concatenate([getattr(one, name), getattr(two, name)], axis)
        )
    for layer in range(2):
        np.testing.assert_array_equal(both.states[layer][2:], two.states[layer])
        if trace:
            assert both.trace is not None
            assert two.trace is not None
            np.testing.assert_array_equal(both.trace[layer][:, 2:], two.trace[layer])
    assert (both.trace is None) == (not trace)
    assert (both.steps is None, both.rest_s is None) == (not clocked, clocked)
    np.testing.assert_array_equal(both.times_s, one.times_s)  # type: ignore[arg-type]
    assert both.ledger.images == 5


def test_batches_that_do_not_belong_together_are_refused() -> None:
    clocked, unclocked = _settled(1, 2), _settled(1, 2, clocked=False)
    assert unclocked.times_s is not None
    later = replace(unclocked, times_s=2 * unclocked.times_s)
    for batches, says in (
        ([clocked, unclocked], "only some of the batches have 'steps'"),
        ([clocked, _settled(2, 2, trace=True)], "only some of the batches have 'trace'"),
        ([clocked, replace(clocked, one=255)], "state 1.0 at 1 and at 255"),
        ([unclocked, later], "times_s differ"),
        ([], "no batches"),
    ):
        with pytest.raises(ValueError, match=says):
            concatenate(batches)


def test_a_machine_has_either_a_clock_or_times() -> None:
    clocked, unclocked = _settled(1, 2), _settled(1, 2, clocked=False)
    for settled, changes, says in (
        (clocked, {"steps": None}, "here: none of them"),
        (clocked, {"times_s": unclocked.times_s}, "here: steps, times_s"),
        (clocked, {"times_s": unclocked.times_s, "rest_s": unclocked.rest_s}, "here: steps, times_s, rest_s"),
        (unclocked, {"rest_s": None}, "here: times_s"),
        (clocked, {"steps": np.array([1, 2, 3])}, r"steps has shape \(3,\), expected \(2,\)"),
        (unclocked, {"times_s": np.array([1e-9])}, r"times_s has shape \(1,\), expected \(4,\)"),
        (unclocked, {"times_s": np.array([1.0, 2.0, 2.0, 3.0])}, "rise from row to row"),
    ):
        with pytest.raises(ValueError, match=says):
            replace(settled, **changes)  # type: ignore[arg-type]
