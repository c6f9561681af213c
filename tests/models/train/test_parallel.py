"""Data-parallel training: two processes end with the weights of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.ep_examples import bars, tiny_recipe

from models.files.checkpoint import load_network
from models.train import command
from models.train.loop import train
from models.train.parallel import Team

ROOT = Path(__file__).parents[3]
RECIPE = """
data = "digits"
learning_rates = [0.05, 0.05, 0.3]
weight_decay = [1e-3, 1e-3, 1e-3]
epochs = 2
batch_size = 65
shift = 1
weight_noise = [0.05]
phases = {free_steps = 5, nudged_steps = 3, beta = 0.2}
[[layers]]
kind = "conv"
channels = 4
gain = 0.4
[[layers]]
kind = "conv"
channels = 5
stride = 2
gain = 0.4
"""


def run(arguments: list[str], folder: Path) -> str:
    # torchrun leaves the logs of its processes in the temporary folder
    path = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    """Odd batches, augmentation and a die per batch: the same up to the order of sums: errors of 1e-7 grow to 3e-5."""
    (tmp_path / "small.toml").write_text(RECIPE)
    training = ["-m", "models.train", "small.toml", "--output"]
    assert command.main([str(tmp_path / "small.toml"), "--output", str(tmp_path / "one.safetensors")]) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    printed = run([*torchrun, *training, "two.safetensors"], tmp_path)
    assert json.loads(printed.splitlines()[-1])["processes"] == 2
    one, two = (load_network(tmp_path / f"{name}.safetensors").named_parameters() for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
    records = [json.loads((tmp_path / f"{name}.json").read_text())["history"] for name in ("one", "two")]
    assert [record["train_accuracy"] for record in records[0]] == [record["train_accuracy"] for record in records[1]]
    assert not list(tmp_path.glob("*.training*"))


def test_shares_are_every_image_once() -> None:
    batch = torch.arange(7)
    shares = [Team(rank, 3).share(batch).tolist() for rank in range(3)]
    assert sorted(index for share in shares for index in share) == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 8 images cannot be shared by 9 processes"):
        train(bars(), tiny_recipe(), seed=0, team=Team(0, 9))
