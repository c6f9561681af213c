"""The native format: what was exported settles like what was not, bit for bit, on every network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.exporting import INTEGERS, MAXIMA, exported
from helpers.random_nets import networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from mapping.export.program import ProgramFormat
from mapping.machines import to_digital
from mapping.program import STATE_BITS, Program, ProgramError
from mapping.quantization import quantize
from models.ep.links import pools_by_maxima
from models.ep.network import EPNetwork
from models.zoo import load_model, zoo_names


@settings(max_examples=15, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(0, 2**20))
def test_a_program_that_was_exported_settles_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("programs")
    program = program_of(network, state_bits=state_bits, seed=seed)
    exported(program, ProgramFormat(), folder)
    _settle_alike(Program.load(folder / "out" / "program.safetensors"), program, seed)


@pytest.mark.parametrize("name", INTEGERS)
def test_networks_of_the_zoo_come_back_in_every_bit(tmp_path: Path, name: str) -> None:
    """Read by a library that knows nothing of programs; calibrated by noise, which needs no download."""
    network = load_model(name)
    images = random_images(network.input_shape, 4, 1)
    program = quantize(network, torch.as_tensor(images), steps=8)
    exported(program, ProgramFormat(), tmp_path)
    tensors = load_file(tmp_path / "out" / "program.safetensors")
    document = json.loads((tmp_path / "out" / "program.json").read_text())
    assert document == program.document()
    for link_name, link in program.named_links().items():
        np.testing.assert_array_equal(tensors[f"{link_name}.weight"], link.weight)
        np.testing.assert_array_equal(tensors[f"{link_name}.bias"], link.bias)
        assert document["links"][link_name]["exponent"] == link.exponent


def test_networks_that_integers_cannot_hold_are_named_with_what_they_can() -> None:
    takes_maxima = {name for name in zoo_names() if any(map(pools_by_maxima, load_model(name).links))}
    assert takes_maxima == set(MAXIMA)
    for name in MAXIMA:
        network = load_model(name)
        with pytest.raises(
            ProgramError, match="'none' and 'average' pooling only, a link of this network pools by max"
        ):
            quantize(network, torch.as_tensor(random_images(network.input_shape, 4, 1)), steps=8)


def _settle_alike(one: Program, other: Program, seed: int) -> None:
    images = random_images(one.links[0].below, 3, seed)
    with to_digital(one, steps=6) as first, to_digital(other, steps=6) as second:
        left, right = first.settle(images), second.settle(images)
    np.testing.assert_array_equal(left.logits_by_step, right.logits_by_step)
    for a, b in zip(left.states, right.states, strict=True):
        np.testing.assert_array_equal(a, b)
