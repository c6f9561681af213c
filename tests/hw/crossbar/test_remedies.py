"""Remedies: one call gives them in the order in which they build on each other, and refuses before it begins."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers.crossbar_examples import EXACT, IDEAL, uniform_drift
from helpers.learning_examples import SHAPE, example
from helpers.random_nets import random_images

from hw.crossbar.devices.device import Temperature
from hw.crossbar.devices.presets import preset
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import Crossbar
from hw.crossbar.remedies import Remedies
from hw.crossbar.tiles.design import Design
from mapping.machines import to_crossbar, to_digital

PCM = preset("pcm-nandakumar-2019")
IMAGES, OTHERS = random_images(SHAPE, 8, 1), random_images(SHAPE, 6, 2)


def die(**other: Any) -> Crossbar:
    return to_crossbar(
        example("average pool"), Fabrication(PCM, Design(rows=20), seed=(3,), noise_seed=(3,)), steps=6, **other
    )


def state(machine: Crossbar) -> list[Any]:
    """Ranges, gains and biases."""
    tiles = [tile for link in machine.links for tile in link.matrix.tiles]
    ranges = [getattr(adc, "full_scale", None) for tile in tiles for adc in (tile.adc_up, tile.adc_down)]
    gains = [link.matrix.gain.total.tolist() for link in machine.links]
    return [ranges, gains, [bias.tolist() for bias in machine.read_weights().biases], tiles[0].array.seconds]


@pytest.mark.parametrize(
    ("drift", "columns", "ranges", "offsets"),
    [flags for flags in product([True, False], repeat=4) if flags[0] or not flags[1]],
)
def test_preparing_a_die_is_every_step_by_hand(drift: bool, columns: bool, ranges: bool, offsets: bool) -> None:
    reference = to_digital(example("average pool"), steps=6)
    one, other = die(), die()
    one.prepare(IMAGES, Remedies(drift, columns, ranges, offsets), age_s=86_400.0, reference=reference)
    other.age(86_400.0)
    if drift:
        other.compensate_drift(by_column=columns)
    for again in (False, True):
        if again and offsets:
            other.correct_offsets(reference, IMAGES)
        if not again or offsets:
            if ranges:
                other.calibrate(IMAGES)
            else:
                other.worst_ranges()
    assert state(one) == state(other)
    np.testing.assert_array_equal(one.settle(OTHERS).logits, other.settle(OTHERS).logits)


def test_an_hour_is_what_a_die_has_aged_if_nothing_is_said() -> None:
    machine = die()
    machine.prepare(IMAGES, Remedies())
    (seconds,) = {tile.array.seconds for link in machine.links for tile in link.matrix.tiles}
    assert seconds == 3600.0


def test_a_prepared_die_computes_what_it_was_programmed_for() -> None:
    """Uniform drift, at 250 K: all of it comes back, from gains of links and of columns."""
    network = example("average pool")
    right = to_digital(network, steps=9).settle(OTHERS)
    device = replace(uniform_drift(0.05), temperature=Temperature(0.1, 300.0))
    for columns in (False, True):
        machine = to_crossbar(network, Fabrication(device, replace(EXACT, rows=20)), steps=9)
        machine.age(990.0, 250.0)
        assert np.abs(machine.settle(OTHERS).logits - right.logits).max() > 0.01
        machine.prepare(IMAGES, Remedies(column_gains=columns), age_s=990.0, kelvin=250.0)
        np.testing.assert_allclose(machine.settle(OTHERS).logits, right.logits, atol=1e-5)


def test_ranges_are_set_again_by_the_same_door() -> None:
    """After the images changed, and back: as when they were first set; the worst case knows no images."""
    machine = to_crossbar(example("average pool"), Fabrication(IDEAL, Design(rows=20)), steps=6)
    machine.prepare(IMAGES, Remedies(), age_s=0.0)
    first = state(machine)
    machine.set_ranges(OTHERS, Remedies())
    assert state(machine) != first
    machine.set_ranges(IMAGES, Remedies())
    assert state(machine) == first
    machine.set_ranges(IMAGES, Remedies(adc_calibration=False))
    tiles = [tile for link in machine.links for tile in link.matrix.tiles]
    assert state(machine)[0] == [worst for tile in tiles for worst in (tile.worst_up, tile.worst_down)]


def test_what_a_die_cannot_have_is_refused_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match="column_gains is True, but drift_compensation is False"):
        Remedies(drift_compensation=False, column_gains=True)
    machine = die()
    machine.prepare(IMAGES, Remedies(), age_s=60.0)
    before, reference = state(machine), to_digital(example("average pool"), steps=6)
    for remedies, given, message in (
        (Remedies(offset_correction=True), {}, "offset_correction needs a reference"),
        (Remedies(), {"age_s": -1.0}, r"time is -1\.0 s"),
        (Remedies(), {"kelvin": 350.0}, "is published at one temperature only"),
    ):
        with pytest.raises(ValueError, match=message):
            machine.prepare(IMAGES, remedies, **given)
        assert state(machine) == before
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        machine.prepare(IMAGES + 1, Remedies(offset_correction=True), reference=reference)
    assert state(machine) == before
    analog = to_crossbar(example("dense squared error"), Fabrication(PCM, Design(neurons="analog")), steps=2)
    with pytest.raises(ValueError, match="neurons 'analog' convert no drive"):
        analog.prepare(random_images(SHAPE, 2, 0), Remedies(offset_correction=True))
    assert analog.links[0].matrix.tiles[0].array.seconds == 0.0
