"""The export to Loihi: what it wrote runs on plain Lava, without this package, with the bits of the integers here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.exporting import INTEGERS, called, exported
from helpers.random_nets import mixed_network, networks, program_of, random_images, restless_winners
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.lava.three_factor.rule import engine_rule
from mapping.circuit import circuit_of
from mapping.export.loihi.document import document_of
from mapping.export.loihi.format import LoihiFormat
from mapping.export.loihi.settle import matrix_of, parts_of, read_network, settle
from mapping.machines import to_digital
from mapping.placement.chip import CHIPS
from mapping.placement.cores import place
from mapping.placement.synapses import synapses_of
from mapping.program import STATE_BITS, Program
from mapping.quantization import quantize
from models.ep.links import DenseLink
from models.ep.network import EPNetwork
from models.files.checkpoint import save_network
from models.zoo import load_model

ALONE = """
import importlib.abc, runpy, sys

class Ours(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("models", "hw", "mapping", "bench"):
            raise ImportError(f"{name} is of the package that must not be there")

sys.meta_path.insert(0, Ours())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script in an interpreter that cannot import this package, however it is installed."""


ZOO = ["digits", *(pytest.param(name, marks=pytest.mark.slow) for name in INTEGERS if name != "digits")]


def run_alone(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The script as a user runs it, elsewhere than here."""
    command = [sys.executable, "-c", ALONE, str(script), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True, check=False)


def assert_same_bits(program: Program, images: NDArray[np.float32], steps: int, folder: Path) -> None:
    """Every state of every step, and the scores, of the script that was written."""
    exported(program, LoihiFormat(), folder)
    np.save(folder / "images.npy", images)
    done = run_alone(
        folder / "out" / "settle.py", folder / "images.npy", "--steps", steps, "--output", folder / "settled.npz"
    )
    assert done.returncode == 0, done.stderr
    with to_digital(program, steps=steps) as machine:
        expected = machine.settle(images, trace=True)
    assert expected.trace is not None
    with np.load(folder / "settled.npz") as settled:
        for layer, states in enumerate(expected.trace, start=1):  # (steps, B, *shape)
            theirs = np.swapaxes(states.reshape(steps, len(images), -1), 0, 1)
            np.testing.assert_array_equal(settled[f"layer{layer}"], theirs, err_msg=f"layer {layer}")
        scores = settled["scores"]
    np.testing.assert_array_equal(scores * circuit_of(program).logit_scale, expected.logits)
    lines = [f"{row.argmax()}: {' '.join(map(str, row))}" for row in scores]
    assert done.stdout.splitlines()[-len(lines) :] == lines


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_settle_in_plain_lava_as_here(tmp_path: Path, name: str) -> None:
    """Calibrated by noise, which needs no download: what is compared is the integers, not how good they are."""
    network = load_model(name)
    images = random_images(network.input_shape, 4, 1)
    program = quantize(network, torch.as_tensor(images), steps=8)
    small = name.startswith("digits")
    assert_same_bits(program, images[: 2 if small else 1], 12 if small else 3, tmp_path)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(1, 3), st.integers(1, 9), st.integers(0, 2**20))
def test_random_networks_settle_in_plain_lava_as_here(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, batch: int, steps: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(network.input_shape, batch, seed)
    assert_same_bits(program, images, steps, tmp_path_factory.mktemp("loihi"))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(1, 3), st.integers(1, 9), st.integers(2**20, 2**21))
def test_many_random_networks_settle_in_plain_lava_as_here(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, batch: int, steps: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(network.input_shape, batch, seed)
    assert_same_bits(program, images, steps, tmp_path_factory.mktemp("loihi"))


def test_strides_pools_with_remainders_and_links_of_zeros_settle_in_plain_lava(tmp_path: Path) -> None:
    """A layer that nothing reaches is part of the graph all the same."""
    program = program_of(mixed_network(), state_bits=7, seed=5)
    links = list(program.links)
    links[2] = type(links[2])("dense", links[2].below, links[2].weight * 0, links[2].exponent, links[2].bias)
    assert_same_bits(Program(tuple(links), program.readout, 7), random_images((2, 7, 6), 2, 5), 6, tmp_path)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(0, 2**20))
def test_links_become_matrices_in_parts_that_sparse_processes_hold(
    network: EPNetwork, state_bits: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    document = document_of(program, place([link.operator(link.weight) for link in program.links]))
    for name, link in program.named_links().items():
        operator = link.operator(link.weight)
        units = int(np.prod(link.below))
        sent, _ = operator.up(torch.eye(units, dtype=torch.float64).reshape(units, *link.below))
        matrix = matrix_of(document["links"][name], link.weight)
        np.testing.assert_array_equal(matrix.toarray(), sent.flatten(1).T.numpy())
        parts = parts_of(matrix)
        assert all(abs(part).max() <= 127 for part in parts)
        np.testing.assert_array_equal(sum(part.toarray() for part in parts), matrix.toarray())
        assert document["links"][name]["synapses"] == synapses_of(operator) >= matrix.nnz


def test_files_say_numbers_places_and_delays(tmp_path: Path) -> None:
    program = program_of(mixed_network(), state_bits=8, seed=3)
    manifest = exported(program, LoihiFormat(), tmp_path)
    network, numbers = read_network(tmp_path / "out")
    assert numbers.keys() == {f"{name}.{part}" for name in program.named_links() for part in ("weight", "bias")}
    for name, link in program.named_links().items():
        assert (numbers[f"{name}.weight"].dtype, numbers[f"{name}.bias"].dtype) == (np.int8, np.int32)
        np.testing.assert_array_equal(numbers[f"{name}.weight"], link.weight)
        np.testing.assert_array_equal(numbers[f"{name}.bias"], link.bias)
        assert network["links"][name]["delay"] == 1
    assert [layer["exponent"] for layer in network["layers"]] == list(program.exponents)
    assert {(layer["threshold"], layer["clip"]) for layer in network["layers"]} == {(0, 255)}
    with np.load(tmp_path / "out" / "placement.npz") as placed:
        cores = [placed[f"layer{layer}.core"] for layer in range(len(program.links) + 1)]
    placement = place([link.operator(link.weight) for link in program.links])
    for ours, theirs in zip(cores, placement.of_units, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert manifest["cores"] == [len(np.unique(one)) for one in cores]
    assert manifest["chips"] == 1


def test_units_sit_on_the_cores_of_the_chip_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `bench.run --chip` places them: digits takes 12 cores of Loihi 1 and 3 of Loihi 2, which shares kernels."""
    for chip in CHIPS.values():
        code, told, _ = called(capsys, "digits", "--to", "loihi", "--chip", chip.name, "--output", tmp_path / chip.name)
        assert code == 0
        placed = place(load_model("digits").links, chip)
        assert (told["chip"], told["cores"], told["chips"]) == (chip.name, list(placed.used), 1)
        with np.load(tmp_path / chip.name / "placement.npz") as cores:
            for layer, theirs in enumerate(placed.of_units):
                np.testing.assert_array_equal(cores[f"layer{layer}.core"], theirs)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--chip", "loihi3"), "--chip 'loihi3' is unknown, choices are loihi1, loihi2, loihi2-unshared"),
        (("--chips", "0"), "--chips is 0, must be at least 1"),
        (
            ("--chips", "3"),
            "489 cores are 4 chips, 3 may be used. loihi1 holds it on 489 cores, 4 chips; loihi2 holds it on 16 cores, "
            "1 chip; loihi2-unshared holds it on 433 cores, 4 chips",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cores_and_chips_that_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    code, _, error = called(capsys, "hw-cifar10-small", "--to", "loihi", *options, "--output", tmp_path / "out")
    assert (code, error.count("\n")) == (2, 1)
    assert says in error
    assert not (tmp_path / "out").exists()


def test_a_network_that_no_core_of_the_chip_holds_is_refused_by_the_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit that hears 5,000 others: a core of Loihi 1 tells 4,096 apart."""
    wide = DenseLink(torch.zeros(10, 5000), torch.zeros(10), (5000, 1, 1))
    save_network(EPNetwork((wide,)), tmp_path / "wide.safetensors")
    code, _, error = called(capsys, tmp_path / "wide.safetensors", "--to", "loihi", "--output", tmp_path / "out")
    assert (code, error.count("\n")) == (2, 1)
    assert "layer 1 (10,) takes 5,000 axons in of a core, loihi1 has 4,096" in error
    assert "loihi2 holds it on" in error


def test_dense_links_have_a_rule_that_lava_takes_and_shared_weights_the_reason_why_not(tmp_path: Path) -> None:
    exported(program_of(mixed_network(), state_bits=8, seed=3), LoihiFormat(), tmp_path)
    learning = read_network(tmp_path / "out")[0]["learning"]
    assert "share a weight" in learning["link1"]["obstacle"]
    assert "share a weight" in learning["link2"]["obstacle"]
    finest = engine_rule(1.0, fixed=True)
    for name in ("link3", "readout"):
        assert learning[name]["dw"] == finest.dw == "4 * 2^-7 * u0 * (x1 - 1) * y1"
        assert learning[name]["x1_tau"] == finest.tau
    script = (
        "import hw.lava.compat, sys, json\n"
        "from lava.magma.core.learning.learning_rule import Loihi3FLearningRule\n"
        "rule = json.loads(sys.argv[1])\n"
        "made = Loihi3FLearningRule(dw=rule['dw'], x1_tau=rule['x1_tau'])\n"
        "print(made.dw_str, made.x1_tau == 2**60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(learning["link3"])], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[-2] == f"{finest.dw} True"


def test_what_the_format_cannot_hold_is_refused_with_the_link_and_what_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_network(restless_winners(), tmp_path / "maxima.safetensors")
    code, _, error = called(capsys, tmp_path / "maxima.safetensors", "--to", "loihi", "--output", tmp_path / "out")
    assert code == 2
    assert "--to loihi: link2 (conv 3 x 3" in error
    assert "formats that hold it: crossbar, onnx" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((3, 1, 8, 8)), r"images are \(3, 1, 8, 8\), expected \(B, 2, 7, 6\)"),
        (np.full((2, 7, 6), 255), r"images must lie in \[0, 1\]"),
        (np.full((2, 7, 6), np.nan), r"images must lie in \[0, 1\]"),
        (np.zeros((0, 2, 7, 6)), r"images are \(0, 2, 7, 6\)"),
    ],
)
def test_the_script_refuses_images_before_it_starts_lava(tmp_path: Path, images: NDArray[Any], says: str) -> None:
    exported(program_of(mixed_network(), state_bits=8, seed=3), LoihiFormat(), tmp_path)
    with pytest.raises(ValueError, match=says):
        settle(tmp_path / "out", images, 4)


def test_a_newer_schema_is_refused_by_name_in_one_line(tmp_path: Path) -> None:
    exported(program_of(mixed_network(), state_bits=8, seed=3), LoihiFormat(), tmp_path)
    file = tmp_path / "out" / "network.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": 9}))
    np.save(tmp_path / "images.npy", np.zeros((2, 7, 6)))
    done = run_alone(tmp_path / "out" / "settle.py", tmp_path / "images.npy")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "of version 9, 'ep-hardware loihi' of version 1 is read" in done.stderr
