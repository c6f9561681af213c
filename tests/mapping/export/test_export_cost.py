"""What an export of a network of CIFAR costs, as the command line, from the start of the interpreter to its end."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mapping.export.formats import FORMATS
from models.data.cifar import CIFAR10

ROOT = Path(__file__).parents[3]
MOST_S, MOST_BYTES = 30, 2**30
"""Of processor time on one core, which other programs do not lengthen, and of resident memory."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many pixels as there are in CIFAR-10, in its files, of noise, which needs no download."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    (folder / CIFAR10.folder).mkdir()
    for name in (*CIFAR10.train, CIFAR10.test):
        rows = {
            b"data": rng.integers(0, 256, (10_000, 3072), np.uint8),
            b"labels": rng.integers(0, 10, 10_000).tolist(),
        }
        (folder / CIFAR10.folder / name).write_bytes(pickle.dumps(rows, protocol=2))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["hw-cifar10-small", "feedback-strong"])
def test_networks_of_cifar_take_less_than_30_s_and_1_gib(tmp_path: Path, data_dir: Path, name: str, kind: str) -> None:
    command = [sys.executable, "-m", "mapping.export", name, "--to", kind, "--output", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--data-dir", str(data_dir)], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"{name} {kind}: {seconds:.1f} s of processor time, {peak / 2**20:.0f} MiB")
    assert seconds < MOST_S
    assert peak < MOST_BYTES
