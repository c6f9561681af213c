"""The C export, compiled and run: the same bits as the machines of this package, without them."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch
from helpers.exporting import INTEGER_ZOO, exported
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.machine import Settled
from mapping.export import c
from mapping.export.c.format import CFormat
from mapping.machines import to_digital
from mapping.program import STATE_BITS, Program
from mapping.quantization import quantize
from models.ep.network import EPNetwork
from models.zoo import load_model

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler")


def compiled(program: Program, folder: Path, *options: str) -> Path:
    """The exported folder, with what the compiler made of it in network.so."""
    exported(program, CFormat(), folder)
    out = folder / "out"
    subprocess.run(["cc", *STRICT, *options, "-shared", "-fPIC", "settle.c", "-o", "network.so"], cwd=out, check=True)
    return out


def settled_in_c(out: Path, program: Program, images: NDArray[np.float32], steps: int) -> tuple[list[NDArray], NDArray]:
    """States (B, *shape) of the computed layers and scores (B, K), by calling what was compiled."""
    library = ctypes.CDLL(str(out / "network.so"))
    layers = [program.links[0].below, *(link.above for link in program.links)]
    sizes = [int(np.prod(shape)) for shape in layers]
    classes = (program.readout or program.links[-1]).above[0]
    states, scores = [], []
    for image in np.rint(images * program.one).astype(np.uint8):
        state, drive = np.full(sum(sizes), 7, np.uint8), np.full(sum(sizes), 7, np.int32)
        score = np.full(classes, 7, np.int32)
        pointers = [
            array.ctypes.data_as(ctypes.c_void_p) for array in (np.ascontiguousarray(image), state, drive, score)
        ]
        library.ep_settle(pointers[0], steps, *pointers[1:])
        states.append(np.split(state, np.cumsum(sizes)[:-1])[1:])
        scores.append(score)
    return (
        [
            np.stack(layer).reshape(-1, *shape)
            for layer, shape in zip(zip(*states, strict=True), layers[1:], strict=True)
        ],
        np.stack(scores),
    )


def assert_same_bits(out: Path, program: Program, images: NDArray[np.float32], steps: int, scale: float) -> None:
    states, scores = settled_in_c(out, program, images, steps)
    with to_digital(program, steps=steps) as machine:
        reference: Settled = machine.settle(images)
    for layer, (ours, theirs) in enumerate(zip(states, reference.states, strict=True), start=1):
        np.testing.assert_array_equal(ours, theirs, err_msg=f"layer {layer}")
    np.testing.assert_array_equal(scores * scale, reference.logits)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**20))
def test_compiled_c_gives_the_bits_of_the_integer_reference(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, batch: int, steps: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    out = compiled(program, tmp_path_factory.mktemp("c"))
    scale = 1 / program.one * (1 if program.readout is None else 2.0**-program.readout.exponent)
    assert_same_bits(out, program, random_images(network.input_shape, batch, seed), steps, scale)


def test_the_loop_has_no_undefined_behaviour_and_reads_no_byte_it_must_not(tmp_path: Path) -> None:
    """Run under the sanitizers of the compiler, as the program it comes with; the scores are the machine's."""
    program = program_of(mixed_network(), state_bits=8, seed=3)
    manifest = exported(program, CFormat(), tmp_path)
    out, images = tmp_path / "out", random_images((2, 7, 6), 5, 3)
    checks = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    subprocess.run(["cc", *STRICT, *checks, "settle.c", "main.c", "-o", "settle"], cwd=out, check=True)
    codes = np.rint(images * program.one).astype(np.uint8).tobytes()
    done = subprocess.run([out / "settle", "12"], input=codes, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    with to_digital(program, steps=12) as machine:
        logits = machine.settle(images).logits
    for line, expected in zip(lines, logits, strict=True):
        best, scores = line.split(":")
        values = np.array(scores.split(), float) * manifest["logit_scale"]
        np.testing.assert_array_equal(values, expected)
        assert int(best) == expected.argmax()


@pytest.mark.parametrize("name", INTEGER_ZOO)
def test_networks_of_the_zoo_settle_in_c_as_here(tmp_path: Path, name: str) -> None:
    """Calibrated by noise, which needs no download: what is compared is the integers, not how good they are."""
    network = load_model(name)
    images = random_images(network.input_shape, 4, 1)
    program = quantize(network, torch.as_tensor(images), steps=8)
    out = compiled(program, tmp_path, "-O2")
    assert program.readout is not None
    assert_same_bits(out, program, images[:2], 8, 2.0**-program.readout.exponent / program.one)


def test_the_loop_can_be_read_at_a_glance() -> None:
    """Lines that a reader scrolls through, comments and blank ones counted."""
    lines = (Path(c.__file__).parent / "settle.c").read_text().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_the_manifest_says_what_memory_it_takes(tmp_path: Path) -> None:
    manifest = exported(program_of(mixed_network(), state_bits=8, seed=3), CFormat(), tmp_path)
    program = program_of(mixed_network(), state_bits=8, seed=3)
    named = program.named_links().values()
    units = sum(int(np.prod(shape)) for shape in ((2, 7, 6), *(link.above for link in program.links)))
    constant = sum(link.weight.size + 4 * link.bias.size for link in named)
    assert manifest["bytes"] == {"constant": constant, "working": 5 * units + 4 * 3}
    header = (tmp_path / "out" / "sizes.h").read_text()
    assert header.splitlines()[0].endswith(f"logits are scores * {manifest['logit_scale']!r}. */")
