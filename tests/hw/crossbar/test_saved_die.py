"""A die that was saved and loaded goes on as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.random_nets import mixed_network, program_of, random_images
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from hw.crossbar.devices.presets import PRESETS, preset
from hw.crossbar.devices.write_verify import WriteVerify
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.files.die import KEY, load_die, save_die
from hw.crossbar.machine import Crossbar
from hw.crossbar.remedies import Remedies
from hw.crossbar.tiles.design import Design
from hw.crossbar.tiles.wires import WIRES
from hw.crossbar.updates.mixed import MixedPrecision
from hw.crossbar.updates.rewriting import Rewriting
from hw.crossbar.updates.stochastic import StochasticPulses
from hw.crossbar.updates.two_arrays import TwoArrays
from hw.crossbar.updates.update import Update
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping.learning import descent_of
from mapping.machines import to_crossbar, to_digital

NETWORK = mixed_network()
IMAGES = random_images(NETWORK.input_shape, 6, 3)
LABELS = np.arange(6) % 3
SPREAD = Design(rows=9, columns=12, dac_gain_sigma=0.02, adc_gain_sigma=0.02, adc_offset_sigma=0.01)
RULE = LearningRule(
    UpdatePhases.centered(0.5, free_steps=4, nudged_steps=3),
    descent_of(NETWORK, (0.05,) * 4),
    batch_size=3,
)


def made(seed: int, device: str = "pcm-nandakumar-2019", design: Design = SPREAD, **how: object) -> Crossbar:
    fabrication = Fabrication(preset(device), design, seed=(seed,), noise_seed=(seed, 1))
    return to_crossbar(NETWORK, fabrication, steps=6, update=how.pop("update", Rewriting(0.0)))  # type: ignore[arg-type]


def assert_go_on_alike(one: Crossbar, other: Crossbar, *, until_s: float) -> None:
    """Both settle, age, are compensated, learn and settle again: the same bits."""
    answers = []
    for machine in (one, other):
        first = machine.settle(IMAGES)
        machine.prepare(IMAGES, Remedies(), age_s=until_s)
        learnt = machine.learn(IMAGES, LABELS, RULE)
        machine.set_ranges(IMAGES, Remedies())
        last = machine.settle(IMAGES)
        answers.append((first.logits, learnt.agreement, machine.writes(), last.logits, last.residual))
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("device", ["pcm-nandakumar-2019", "reram-hfo2-gong-2022"])
@pytest.mark.parametrize("encoding", ["pair", "offset"])
def test_a_loaded_die_goes_on_with_the_same_bits(tmp_path: Path, device: str, encoding: str) -> None:
    """Aged, calibrated, corrected and learnt on before it was saved; loaded onto a die of other seeds."""
    hours = 0.0 if preset(device).retention is None else 3600.0
    die = made(1, device, replace(SPREAD, encoding=encoding))
    with to_digital(NETWORK, steps=6) as reference:
        die.prepare(IMAGES, Remedies(offset_correction=True, column_gains=True), age_s=hours, reference=reference)
    die.settle(IMAGES)
    save_die(die, tmp_path / "deep" / "die.safetensors")
    other = made(2, device, replace(SPREAD, encoding=encoding))
    load_die(tmp_path / "deep" / "die.safetensors", other)
    assert_go_on_alike(die, other, until_s=2 * hours)


def test_a_die_that_learnt_keeps_its_devices_writes_and_biases(tmp_path: Path) -> None:
    die, other = made(1), made(2)
    die.prepare(IMAGES, Remedies(), age_s=3600.0)
    die.learn(IMAGES, LABELS, RULE)
    save_die(die, tmp_path / "die")
    load_die(tmp_path / "die", other)
    assert die.writes().sum() > 0
    np.testing.assert_array_equal(die.writes(), other.writes())
    for ours, theirs in zip(die.read_weights().biases, other.read_weights().biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(die.settle(IMAGES).logits, other.settle(IMAGES).logits)
    with pytest.raises(ValueError, match="devices of this die were written 3600 s after programming"):
        other.age(10.0)


def test_a_fresh_die_without_ranges_and_a_program_are_kept_too(tmp_path: Path) -> None:
    die, other = made(1), made(2)
    save_die(die, tmp_path / "die")
    load_die(tmp_path / "die", other)
    with pytest.raises(ValueError, match="the ADC has no range"):
        other.settle(IMAGES)
    program = program_of(NETWORK, state_bits=8, seed=1)
    dies = [
        to_crossbar(
            program,
            Fabrication(preset("li-ecram-2018"), Design(adc_bits=None), seed=(seed,), programming=WriteVerify(0.1)),
            steps=4,
        )
        for seed in (1, 2)
    ]
    save_die(dies[0], tmp_path / "program")
    load_die(tmp_path / "program", dies[1])
    np.testing.assert_array_equal(dies[0].settle(IMAGES).logits, dies[1].settle(IMAGES).logits)


def test_dies_of_other_networks_devices_and_designs_are_refused_by_name(tmp_path: Path) -> None:
    save_die(made(1), tmp_path / "die")
    for other, what in (
        (made(1, "pcm-joshi-2020"), "device"),
        (made(1, design=Design()), "design"),
        (
            to_crossbar(program_of(NETWORK, state_bits=8, seed=1), Fabrication(preset("ideal"), SPREAD), steps=2),
            "network",
        ),
    ):
        with pytest.raises(ValueError, match=rf"die is a die of another {what}: "):
            load_die(tmp_path / "die", other)


def test_files_that_hold_no_die_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "die"
    with pytest.raises(ValueError, match="die: no such file"):
        load_die(path, made(1))
    save_die(made(1), path)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    with pytest.raises(ValueError, match="die: truncated"):
        load_die(path, made(1))
    path.write_bytes(content)
    tensors = load_file(path)
    for metadata, says in (
        ({"other": "{}"}, "not a die"),
        ({KEY: json.dumps({"version": 3})}, "version 3 is newer than 2"),
        ({KEY: "{}"}, "version is None"),
    ):
        save_file(tensors, path, metadata)
        with pytest.raises(ValueError, match=says):
            load_die(path, made(1))


@pytest.mark.parametrize("update", [TwoArrays(rest_pulses=5), MixedPrecision(), StochasticPulses(), Rewriting(0.02)])
def test_a_die_that_learns_goes_on_learning_with_the_same_bits(tmp_path: Path, update: Update) -> None:
    """What a way of writing keeps beside the devices, and devices of its own, are in the file."""
    design = replace(SPREAD, encoding="balanced")
    die, other = (made(seed, "reram-hfo2-gong-2022", design, update=update) for seed in (1, 2))
    die.prepare(IMAGES, Remedies(), age_s=0.0)
    die.learn(IMAGES, LABELS, RULE)
    save_die(die, tmp_path / "die")
    load_die(tmp_path / "die", other)
    np.testing.assert_array_equal(die.writes(), other.writes())
    for machine in (die, other):
        machine.learn(IMAGES, LABELS, RULE)
    assert_go_on_alike(die, other, until_s=0.0)


def test_a_die_is_not_learnt_on_in_another_way_than_it_was(tmp_path: Path) -> None:
    die = made(1, "reram-hfo2-gong-2022", update=MixedPrecision())
    save_die(die, tmp_path / "fresh")
    load_die(tmp_path / "fresh", made(2, "reram-hfo2-gong-2022", update=StochasticPulses()))  # nothing was learnt
    die.prepare(IMAGES, Remedies(), age_s=0.0)
    die.learn(IMAGES, LABELS, RULE)
    save_die(die, tmp_path / "die")
    with pytest.raises(
        ValueError, match=r"learns by MixedPrecision\(\), this machine by StochasticPulses\(longest=31\)"
    ):
        load_die(tmp_path / "die", made(2, "reram-hfo2-gong-2022", update=StochasticPulses()))


def test_a_die_of_version_1_begins_to_learn_anew(tmp_path: Path) -> None:
    die, other = made(1), made(2)
    die.prepare(IMAGES, Remedies(), age_s=0.0)
    save_die(die, tmp_path / "die")
    with safe_open(tmp_path / "die", framework="numpy") as file:
        document = json.loads(file.metadata()[KEY])
    del document["writers"], document["update"]
    save_file(load_file(tmp_path / "die"), tmp_path / "old", {KEY: json.dumps({**document, "version": 1})})
    load_die(tmp_path / "old", other)
    assert_go_on_alike(die, other, until_s=3600.0)


@pytest.mark.slow
@pytest.mark.parametrize("device", list(PRESETS))
def test_dies_of_every_device_are_kept(tmp_path: Path, device: str) -> None:
    """Two settles, of which the second begins where the random numbers of the first stand."""
    die, other = made(1, device), made(2, device)
    die.prepare(IMAGES, Remedies(), age_s=0.0)
    die.settle(IMAGES)
    save_die(die, tmp_path / "die")
    load_die(tmp_path / "die", other)
    assert_go_on_alike(die, other, until_s=0.0 if preset(device).retention is None else 60.0)


@pytest.mark.parametrize(
    "design",
    [
        replace(SPREAD, weight_bits=4, cell_bits=2, slice_bits=2),
        replace(SPREAD, neurons="analog"),
        replace(SPREAD, wires=next(iter(WIRES.values()))),
        Design(input_bits=None, adc_bits=None),
    ],
    ids=["slices", "analog", "wires", "ideal converters"],
)
def test_dies_of_every_design_are_kept(tmp_path: Path, design: Design) -> None:
    die, other = made(1, design=design), made(2, design=design)
    die.prepare(IMAGES, Remedies(), age_s=60.0)
    die.settle(IMAGES)
    save_die(die, tmp_path / "die")
    load_die(tmp_path / "die", other)
    for _ in range(2):
        np.testing.assert_array_equal(die.settle(IMAGES).logits, other.settle(IMAGES).logits)
