"""Workers on graphics boards take one each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import sweep
from bench.command_line import ConfigError
from bench.sweeps import devices
from bench.sweeps.grid import Grid
from bench.sweeps.points import points_of

TAKE = """
import os, sys
from pathlib import Path
from bench.sweeps.devices import cuda_devices, pin
try:
    taken = pin(Path(sys.argv[1]), cuda_devices())
    print(taken, os.environ["CUDA_VISIBLE_DEVICES"], pin(Path(sys.argv[1]), cuda_devices()), flush=True)
except RuntimeError as error:
    print(error, flush=True)
sys.stdin.read()
"""


def test_every_process_sees_a_device_of_its_own_until_it_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "3,GPU-5"}

    def started() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TAKE, str(tmp_path)]
        return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def told(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    workers = [started()]
    assert told(workers[0]) == "3 3 3"
    workers += [started()]
    assert told(workers[1]) == "GPU-5 GPU-5 GPU-5"
    workers += [started()]
    assert told(workers[2]) == "all 2 CUDA devices are taken: run no more --workers than there are devices"
    workers[0].communicate("")
    workers += [started()]
    assert told(workers[3]) == "3 3 3"
    for worker in workers[1:]:
        worker.communicate("")


def test_there_are_no_more_workers_than_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_devices", lambda: ["0", "1"])
    monkeypatch.setattr("models.train.checks.check_device", lambda _: None)
    points = points_of(Grid("bench.run", {"limit": 2, "disturbances": [], "device": "cuda"}, {"seed": [0, 1]}))
    assert sweep.workers_of(sweep.SweepOptions(), points) == 2
    assert sweep.workers_of(sweep.SweepOptions(workers=1), points) == 1
    with pytest.raises(ConfigError, match="--workers is 3, each takes a CUDA device of its own: there are 2"):
        sweep.workers_of(sweep.SweepOptions(workers=3), points)
