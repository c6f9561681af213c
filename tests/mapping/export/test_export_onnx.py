"""The ONNX export, run by onnxruntime: the logits of the network, and the bits of its integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.exporting import MAXIMA, ZOO, called, exported
from helpers.random_nets import networks, program_of, random_images, restless_winners
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mapping.circuit import circuit_of
from mapping.export.onnx.format import FILE, OnnxFormat
from mapping.machines import to_digital
from mapping.program import STATE_BITS, Program
from mapping.quantization import quantize
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork, Skip
from models.ep.relaxation import relax
from models.files.checkpoint import save_network
from models.zoo import load_model


def by_runtime(model: bytes, images: NDArray[np.float32], steps: int | None, output: str = "logits") -> NDArray[Any]:
    """An output of onnxruntime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed: dict[str, Any] = {"images": images}
    if steps is not None:
        feed["steps"] = np.array(steps, np.int64)
    return np.asarray(session.run([output], feed)[0])


def written(held: EPNetwork | Program, kind: OnnxFormat, folder: Path) -> bytes:
    exported(held, kind, folder)
    return (folder / "out" / FILE).read_bytes()


def assert_settles_alike(network: EPNetwork, images: NDArray[np.float32], steps: int, folder: Path) -> None:
    with torch.no_grad():
        rest = relax(network, torch.as_tensor(images), steps=steps, schedule="synchronous")
        expected = network.logits(rest.states[-1]).numpy()
    for kind in (OnnxFormat(), OnnxFormat(unroll=steps)):
        kind_folder = folder / str(kind.unroll)
        kind_folder.mkdir()
        logits = by_runtime(written(network, kind, kind_folder), images, None if kind.unroll else steps)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(networks(pooling=("none", "average", "max")), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**20))
def test_logits_are_those_of_the_network(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, batch: int, steps: int, seed: int
) -> None:
    images = random_images(network.input_shape, batch, seed)
    assert_settles_alike(network, images, steps, tmp_path_factory.mktemp("onnx"))


def test_maxima_whose_winners_change_while_all_above_rests(tmp_path: Path) -> None:
    assert_settles_alike(restless_winners(), random_images((1, 6, 6), 5, 2), 9, tmp_path)


def test_residual_links_are_there_in_both_directions(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(4)

    def conv(kernel: int) -> ConvLink:
        weight = torch.randn((3, 3, kernel, kernel), generator=generator) * 0.2
        return ConvLink(weight, torch.full((3,), 0.1), (3, 5, 4), padding=kernel // 2)

    top = DenseLink(torch.randn((4, 60), generator=generator) * 0.1, torch.zeros(4), (3, 5, 4))
    skip = ConvLink(conv(1).weight, torch.zeros(3), (3, 5, 4))
    network = EPNetwork((conv(3), conv(3), conv(3), conv(3), top), None, (Skip(1, 4, skip),))
    assert_settles_alike(network, random_images((3, 5, 4), 3, 2), 8, tmp_path)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**20))
def test_integers_give_the_bits_of_the_integer_reference(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, batch: int, steps: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    images = random_images(network.input_shape, batch, seed)
    with to_digital(program, steps=steps) as machine:
        expected, scale = machine.settle(images).logits, circuit_of(program).logit_scale
    for kind in (OnnxFormat(numbers="int8"), OnnxFormat(numbers="int8", unroll=steps)):
        model = written(program, kind, tmp_path_factory.mktemp("onnx"))
        scores = by_runtime(model, images, None if kind.unroll else steps, "scores")
        np.testing.assert_array_equal(scores.astype(np.float64) * scale, expected)
        logits = by_runtime(model, images, None if kind.unroll else steps)
        np.testing.assert_allclose(logits, expected, rtol=3e-7, atol=0)


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(tmp_path: Path, name: str) -> None:
    network = load_model(name)
    images = random_images(network.input_shape, 2, 1)
    assert_settles_alike(network, images, 20, tmp_path)
    if name in MAXIMA:
        return  # integers cannot: tests/mapping/export/test_export_program.py
    program = quantize(network, torch.as_tensor(images), steps=8)
    folder = tmp_path / "int8"
    folder.mkdir()
    with to_digital(program, steps=8) as machine:
        expected = machine.settle(images).logits
    scores = by_runtime(written(program, OnnxFormat(numbers="int8"), folder), images, 8, "scores")
    np.testing.assert_array_equal(scores.astype(np.float64) * circuit_of(program).logit_scale, expected)


def test_every_weight_is_in_the_file_once(tmp_path: Path) -> None:
    """Conv and ConvTranspose read one initializer, or feedback would cease to be the transpose when it is changed."""
    network = load_model("digits")
    held = onnx.load_from_string(written(network, OnnxFormat(), tmp_path))
    sizes = {one.name: int(np.prod(one.dims)) for one in held.graph.initializer}
    count = sum(tensor.numel() for tensor in network.named_parameters().values())
    assert sum(size for name, size in sizes.items() if name in network.named_parameters()) == count
    assert sum(sizes.values()) < count + 300, "geometry, and biases once more"
    assert max(one.version for one in held.opset_import) == 17


def test_steps_and_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"--unroll is 0, must be at least 1"):
        OnnxFormat(unroll=0).check()
    monkeypatch.setattr("mapping.export.packages.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"--to onnx needs onnx, which is not installed: pip install .*\[export\]"):
        OnnxFormat().check()


def test_the_command_refuses_numbers_that_the_model_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "maxima.safetensors", tmp_path / "out"
    save_network(restless_winners(), file)
    code, _, error = called(capsys, file, "--to", "onnx", "--numbers", "int8", "--output", folder)
    assert code == 2
    assert "--to onnx: link2 (conv 3 x 3" in error
    assert "takes maxima" in error
    assert not folder.exists()
    code, manifest, _ = called(capsys, file, "--to", "onnx", "--unroll", 3, "--output", folder)
    assert (code, manifest["inputs"], list(manifest["files"])) == (0, ["images"], [FILE])
    program_of(load_model("digits"), state_bits=8, seed=1).save(tmp_path / "program.safetensors")
    code, _, error = called(capsys, tmp_path / "program.safetensors", "--to", "onnx", "--output", tmp_path / "other")
    assert code == 2
    assert "is a program of integers, it holds floating point" in error
