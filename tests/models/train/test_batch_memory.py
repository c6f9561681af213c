"""Memory: estimates hold against what processes really take, and a batch that is too large is refused in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from helpers.peak_rss import CLASSES, LAYERS, SHAPE

from models.ep.gradient import Phases
from models.ep.network import EPNetwork, build_network
from models.fast.gradient import engine_gradient
from models.train import command, memory
from models.train.free_memory import free_bytes, limits_left
from models.train.loop import train
from models.train.memory import TooLittleMemoryError, bytes_of_gradient, bytes_of_settling, check_memory

ROOT = Path(__file__).parents[3]
CASES = [
    ("strides", "bfloat16", 96, 1),
    ("maxima", "float32", 96, 1),
    ("dense", "bfloat16", 1024, 1),
    ("averages", "float32", 8, 250),
]


def network_of(name: str) -> EPNetwork:
    return build_network(SHAPE, LAYERS[name], CLASSES, torch.Generator().manual_seed(0))


@pytest.mark.slow
def test_an_estimate_is_1_to_3_times_what_a_training_really_takes() -> None:
    script = str(ROOT / "tests" / "helpers" / "peak_rss.py")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, script, json.dumps(CASES)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for (name, _, batch, watched), taken in zip(CASES, json.loads(done.stdout), strict=True):
        network = network_of(name)
        estimate = max(bytes_of_gradient(network, batch), bytes_of_settling(network, watched))
        assert taken > 60e6, name  # far more than the noise of measuring
        assert taken <= estimate <= 3 * taken, name


def test_a_batch_that_is_too_large_is_refused_with_the_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("strides")

    def with_free(count: float | None) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda _device: count)

    with_free(bytes_of_gradient(network, 40) + 1)
    words = r"a batch of 64 images needs 0\.\d+ GB on cpu where 0\.\d+ GB is free: a batch of 40 would fit"
    with pytest.raises(TooLittleMemoryError, match=words):
        check_memory(network, 64, "cpu", evaluated=1)
    check_memory(network, 40, "cpu", evaluated=1)
    # two processes hold half of a batch each, and have half of the memory each
    with_free(2 * bytes_of_gradient(network, 24) + 1)
    with pytest.raises(TooLittleMemoryError, match="a batch of 48 would fit"):
        check_memory(network, 50, "cpu", evaluated=1, processes=2)
    check_memory(network, 48, "cpu", evaluated=1, processes=2)
    with_free(bytes_of_settling(network, 250) - 1)
    check_memory(network, 1, "cpu", evaluated=249)
    with pytest.raises(TooLittleMemoryError, match="evaluating 250 images at a time needs"):
        check_memory(network, 1, "cpu", evaluated=5000)
    with_free(1000)
    with pytest.raises(TooLittleMemoryError, match="not even one image would fit"):
        check_memory(network, 64, "cpu", evaluated=1)
    with_free(None)  # not known: nothing to refuse for
    check_memory(network, 64, "cpu", evaluated=5000)


def test_training_is_refused_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 10_000_000)
    with pytest.raises(TooLittleMemoryError, match="a batch of 8 images"):
        train(bars(), tiny_recipe(1), seed=0, report=lambda _: pytest.fail("it was trained"))
    monkeypatch.setattr(command, "check_data", lambda _name, _folder: None)
    monkeypatch.setattr(command, "load_data", lambda _name, _folder: bars())
    monkeypatch.setattr(command, "recipe_for", lambda _name: tiny_recipe(1))
    assert command.main(["--output", str(tmp_path / "net.safetensors")]) == 1
    assert "error: a batch of 8 images needs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux says what is available")
def test_what_is_free_shrinks_by_what_is_taken() -> None:
    before = free_bytes("cpu")
    held = torch.ones(150_000_000)  # 600 MB
    after = free_bytes("cpu")
    del held
    assert before is not None
    assert after is not None
    assert before - after == pytest.approx(6e8, abs=4.5e8)  # others come and go meanwhile
    assert before < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_limits_of_containers_and_batch_systems_count_from_the_process_up(tmp_path: Path) -> None:
    def group(path: str, limit: str, used: int, cached: int) -> None:
        folder = tmp_path / path
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")

    group("batch", "1000", used=700, cached=200)
    group("batch/job", "max", used=600, cached=0)
    group("batch/job/step", "900", used=600, cached=150)
    assert limits_left("0::/batch/job/step\n", tmp_path) == [450, 500]
    assert limits_left("0::/\n", tmp_path) == []
    assert limits_left("5:memory:/batch\n", tmp_path) == []  # version 1 has other files


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_estimate_holds_on_a_gpu() -> None:
    network = network_of("maxima").map_parameters(lambda tensor: tensor.to("cuda"))
    images = torch.rand((512, *SHAPE), device="cuda")
    labels = torch.zeros(512, dtype=torch.int64, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    phases = Phases(free_steps=2, nudged_steps=2, schedule="symmetric")
    engine_gradient(network, images, labels, phases, torch.Generator())
    assert torch.cuda.max_memory_reserved() - before <= bytes_of_gradient(network, 512)
