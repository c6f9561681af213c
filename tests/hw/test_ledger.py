"""Ledgers and settled batches: shapes are checked, several are added up as if they had been one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.ledger import COLUMNS, Ledger, merge
from hw.machine import Settled, concatenate


def _ledger(seed: int, images: int = 2, **changes: object) -> Ledger:
    rng = np.random.default_rng(seed)
    events = [rng.integers(0, 50, (3, 2, len(COLUMNS))).astype(np.float64) for _ in range(3)]
    ledger = Ledger(
        images=images,
        running=np.array([images, images, seed % 2]),
        units=(4, 5),
        cores=(1, 1),
        link_kinds=("conv",),
        dense=events[0],
        zero_skip=events[1],
        delta=events[2],
        coding="delta",
        readout_synops=7.0 * seed,
        macs=10 * seed,
        bytes_moved=None,
    )
    return replace(ledger, **changes)  # type: ignore[arg-type]


def _settled(seed: int, images: int, trace: bool) -> Settled:
    rng = np.random.default_rng(seed)
    layers = ((2, 2, 1), (5,))
    return Settled(
        logits=rng.random((images, 3)),
        logits_by_step=rng.random((4, images, 3)),
        states=tuple(rng.random((images, *layer)) for layer in layers),
        one=1,
        steps=rng.integers(1, 5, images),
        residual=rng.random(images),
        ledger=_ledger(seed, images),
        trace=tuple(rng.random((4, images, *layer)) for layer in layers) if trace else None,
    )


def test_columns_are_read_by_name() -> None:
    ledger = _ledger(1)
    for index, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(ledger.column("zero_skip", name), ledger.zero_skip[:, :, index])
    by_step = ledger.delta[:, :, 0].sum(axis=1) + ledger.delta[:, :, 1].sum(axis=1)
    np.testing.assert_array_equal(ledger.synops_by_step("delta"), by_step)
    assert ledger.synops("delta") == by_step.sum()
    assert ledger.steps == 3
    np.testing.assert_array_equal(ledger.neuron_updates_by_step(), [[0, 10], [0, 10], [0, 5]])


def test_merging_adds_up_what_was_counted() -> None:
    one, two = _ledger(1, 2), _ledger(2, 3)
    both = merge([one, two])
    assert (both.images, both.readout_synops, both.macs, both.bytes_moved) == (5, 21.0, 30, None)
    np.testing.assert_array_equal(both.running, [5, 5, 1])
    for coding in ("dense", "zero_skip", "delta"):
        np.testing.assert_array_equal(both.events(coding), one.events(coding) + two.events(coding))
    assert (both.units, both.cores, both.link_kinds, both.coding) == ((4, 5), (1, 1), ("conv",), "delta")


def test_a_counter_that_one_ledger_lacks_is_unknown_of_both() -> None:
    """None is not nought."""
    assert merge([_ledger(1), _ledger(2, macs=None)]).macs is None


def test_ledgers_of_different_machines_do_not_mix() -> None:
    with pytest.raises(ValueError, match="units, coding differ"):
        merge([_ledger(1), _ledger(2, units=(4, 6), coding="dense")])
    with pytest.raises(ValueError, match="no ledger"):
        merge([])


def test_a_ledger_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'delta' have shape \(3, 1, 6\), expected \(3, 2, 6\)"):
        _ledger(1, delta=np.zeros((3, 1, 6)))
    with pytest.raises(ValueError, match="'sparse' is none of"):
        _ledger(1, coding="sparse")


@pytest.mark.parametrize("trace", [False, True])
def test_batches_are_joined_along_the_images(trace: bool) -> None:
    one, two = _settled(1, 2, trace), _settled(2, 3, trace)
    both = concatenate([one, two])
    for name, axis in (("logits", 0), ("logits_by_step", 1), ("steps", 0), ("residual", 0)):
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
    assert both.ledger.images == 5
