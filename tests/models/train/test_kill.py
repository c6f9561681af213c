"""A training process that is killed, not asked, goes on to the bits of one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

from models.files.tensorfile import read_tensors
from models.train import command as train
from models.train.state import KEY

ROOT = Path(__file__).parents[3]
EPOCHS = 3
RECIPE = f"""
data = "digits"
optimizer = "adamw"
arithmetic = "bfloat16"
normalise = true
learning_rates = [2e-3, 2e-3, 2e-3]
weight_decay = [1e-3, 1e-3, 1e-3]
weight_noise = [0.02, 0.05]
weight_limit = 2.5
epochs = {EPOCHS}
batch_size = 128
shift = 1
steps = 10
phases = {{free_steps = 4, nudged_steps = 2, beta = 0.3}}
[[layers]]
kind = "conv"
channels = 4
pooling = "max"
pool_size = 2
[[layers]]
kind = "conv"
channels = 5
"""
PATIENCE_S = 300
"""Long enough for a busy computer to start a process and train."""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "models.train", "small.toml", "--seed", "3", "--output", "net.safetensors"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_after_an_epoch(process: subprocess.Popen[str], state: Path) -> None:
    """SIGKILL as soon as the state of the first epoch lies there."""
    deadline = monotonic() + PATIENCE_S
    while not state.exists() and process.poll() is None and monotonic() < deadline:
        sleep(0.005)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors[-3000:]


def test_a_process_that_was_killed_is_continued_to_the_same_bits(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    assert train.main([str(recipe), "--seed", "3", "--output", str(tmp_path / "whole.safetensors")]) == 0

    state = tmp_path / "net.safetensors.training"
    kill_after_an_epoch(start(tmp_path), state)
    assert not (tmp_path / "net.safetensors").exists()
    _, document = read_tensors(state, KEY)
    assert 1 <= len(document["history"]) < EPOCHS  # killed with work left to do

    assert train.main([str(recipe), "--seed", "3", "--output", str(tmp_path / "net.safetensors"), "--resume"]) == 0
    assert (tmp_path / "net.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    whole, resumed = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "net"))
    for name in ("history", "hyperparameters", "validation", "test"):
        assert resumed[name] == whole[name]
    assert not state.exists()
    costs = [record["validation_cost"] for record in whole["history"]]
    assert costs[-1] < costs[0]  # bits of a network that learns
