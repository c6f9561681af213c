"""Memory: estimates hold against what processes really take, and a batch that is too large is refused in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe
from helpers.peak_rss import network_of

from models.ep.network import build_network
from models.ep.relaxation import relax
from models.fast.gradient import engine_gradient
from models.recipes import recipe_for
from models.train import command, memory
from models.train.free_memory import free_bytes, limits_left
from models.train.loop import train
from models.train.memory import FEW, TooLittleMemoryError, check_memory, evaluation_bytes, training_bytes
from models.train.peak_memory import peak_bytes

ROOT = Path(__file__).parents[3]
CASES = [
    ("engine", "maxima", 96), ("engine", "averages", 128), ("engine", "strides", 64), ("engine", "strides", 160),
    ("engine", "dense", 2048), ("engine", "wide", 32), ("engine", "heavy", 24),
    ("float", "maxima", 96), ("float", "averages", 128), ("float", "strides", 64), ("float", "strides", 160),
    ("float", "dense", 2048), ("float", "wide", 64), ("float", "heavy", 24),
    ("evaluate", "maxima", 128), ("evaluate", "averages", 192), ("evaluate", "strides", 192),
    ("watch", "maxima", 192), ("watch", "averages", 256), ("watch", "strides", 256),
]  # fmt: skip


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str, str, int], int]:
    """Bytes by which a process really grew, of every case."""
    script = str(ROOT / "tests" / "helpers" / "peak_rss.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, script, json.dumps(CASES)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_an_estimate_is_1_to_3_times_what_a_process_really_takes(
    truth: dict[tuple[str, str, int], int], case: tuple[str, str, int]
) -> None:
    kind, name, batch = case
    network = network_of(name)
    arithmetic = "bfloat16" if kind in ("engine", "watch") else "float32"
    recipe = tiny_recipe(arithmetic=arithmetic)
    if kind in ("evaluate", "watch"):
        estimate = evaluation_bytes(network, recipe, batch)
    else:
        weights = sum(4 * tensor.numel() for tensor in network.named_parameters().values())
        # these processes keep no optimizer
        estimate = training_bytes(network, recipe, batch) - memory.WEIGHT_COPIES * weights
    print(f"{case}: truth {truth[case] / 1e6:.1f} MB, estimate {estimate / 1e6:.1f} MB, {estimate / truth[case]:.2f}")
    assert truth[case] > 20e6  # far more than the noise of measuring
    assert truth[case] <= estimate <= 3 * truth[case]


def test_the_peak_is_that_of_tensors_that_live_together() -> None:
    def work() -> None:
        first = torch.empty(1000, device="meta")  # 4,000 bytes
        second = first + 1  # 8,000
        del first  # 4,000
        view = second.view(10, 100)[:5]  # 4,000: no memory of its own
        third = torch.cat([view, view, view])  # 10,000
        third.add_(1)
        del second, view, third
        torch.empty(9000, dtype=torch.uint8, device="meta")

    assert peak_bytes(work) == 10_000


def test_settling_holds_no_more_for_more_steps() -> None:
    network = network_of("maxima").map_parameters(lambda tensor: tensor.to("meta"))

    def holding(steps: int) -> int:
        return peak_bytes(lambda: relax(network, torch.empty((4, 3, 32, 32), device="meta"), steps=steps))

    assert holding(2) == holding(40)


def test_a_batch_that_is_too_large_is_refused_with_the_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(recipe_for("hw-cifar10-small"), batch_size=64)
    network = build_network((3, 32, 32), recipe.layers, 10, torch.Generator())
    monkeypatch.setattr(memory, "free_bytes", lambda _device: training_bytes(network, recipe, 40))
    words = r"a batch of 64 images needs 0\.\d+ GB on cpu where 0\.\d+ GB is free: a batch of 40 would fit"
    with pytest.raises(TooLittleMemoryError, match=words):
        check_memory(network, recipe, "cpu", evaluated=1)
    # two processes hold half of a batch each, and have half of the memory each
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 2 * training_bytes(network, recipe, 24))
    with pytest.raises(TooLittleMemoryError, match="a batch of 48 would fit"):
        check_memory(network, recipe, "cpu", evaluated=1, processes=2)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 2 * training_bytes(network, recipe, 32))
    check_memory(network, recipe, "cpu", evaluated=1, processes=2)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: training_bytes(network, recipe, 64))
    check_memory(network, recipe, "cpu", evaluated=1)
    single = replace(recipe, batch_size=1)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: evaluation_bytes(network, single, 250) - 1)
    check_memory(network, single, "cpu", evaluated=249)
    with pytest.raises(TooLittleMemoryError, match="evaluating 250 images at a time needs"):
        check_memory(network, single, "cpu", evaluated=5000)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 1000)
    with pytest.raises(TooLittleMemoryError, match="not even one image would fit"):
        check_memory(network, recipe, "cpu", evaluated=1)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: None)  # not known: nothing to refuse for
    check_memory(network, recipe, "cpu", evaluated=5000)


def test_training_is_refused_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 10_000_000)
    with pytest.raises(TooLittleMemoryError, match="a batch of 8 images"):
        train(bars(), tiny_recipe(1), seed=0, report=lambda _: pytest.fail("it was trained"))
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
    images = torch.rand((512, 3, 32, 32), device="cuda")
    labels = torch.zeros(512, dtype=torch.int64, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    engine_gradient(network, images, labels, FEW)
    truth = torch.cuda.max_memory_reserved() - before
    assert truth <= training_bytes(network, tiny_recipe(arithmetic="bfloat16"), 512) <= 3 * truth
