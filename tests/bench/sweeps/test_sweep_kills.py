"""Sweeps by several processes: the same rows from every executor, and after every kill."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import sweep
from bench.sweeps import rows
from bench.sweeps.executors import executor

SMALL = ["--set", "limit=4", "--set", "disturbances=gaussian-0.1", "--set", "steps=2,3"]
SIXTY = ["--set", "limit=40", "--set", "disturbances=gaussian-0.1", "--set", "steps=10,11,12,13,14,15"]
TEN_SEEDS = ["--set", "seed=" + ",".join(map(str, range(10)))]
TIMED = ("date", "made_by", "latency_s", "wall_s_per_image", "energy_measured_j", "costs", "energy_j")


def begun(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.sweep", *arguments, "--output", str(folder)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def done(folder: Path, *arguments: str) -> dict[str, Any]:
    """The last line of a sweep that ends well."""
    process = begun(folder, *arguments)
    out, said = process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]
    return dict(json.loads(out.splitlines()[-1]))


def figures(folder: Path) -> list[dict[str, Any]]:
    """Rows in the order of their coordinates, without what another moment changes."""
    kept = [{name: value for name, value in row.items() if name.partition(".")[0] not in TIMED} for row in rows(folder)]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def test_a_sweep_ends_with_its_report_and_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main([*SMALL, "--workers", "1", "--output", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["points"], told["failed"], len(told["rows"])) == (2, 0, 2)
    assert [row["steps"] for row in told["rows"]] == [2, 3]
    assert [row["images"] for row in told["rows"]] == [4, 4]
    assert "accuracy %" in (tmp_path / "report.md").read_text(encoding="utf-8")
    sweep.main([*SMALL, "--dry-run", "--output", str(tmp_path)])
    assert "2 points, 0 to do" in capsys.readouterr().out
    sweep.main([*SIXTY, *TEN_SEEDS, "--dry-run", "--output", str(tmp_path / "sixty")])
    assert "60 points, 60 to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no grid"),
        ([*SMALL, "--executor", "slurm"], "--executor 'slurm' is unknown"),
        ([*SMALL, "--workers", "0"], "--workers is 0"),
        ([*SMALL, "--address", "tcp://x"], "--address is of a cluster"),
        ([*SMALL, "--executor", "dask", "--address", "tcp://127.0.0.1:9"], "no scheduler of Dask answers"),
        (["gone.toml"], "gone.toml: no such file"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_work(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.sweeps.executors.PATIENCE_S", 1)
    with pytest.raises(SystemExit) as ended:
        sweep.main([*arguments, "--output", str(tmp_path / "sweep")])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "sweep").exists()


def test_what_a_dead_worker_had_is_left_out_and_the_next_workers_are_fresh() -> None:
    with executor("loky", None, 2) as run:
        assert run(math.factorial, [1, 2, 3, 4]) == [1, 2, 6, 24]
        assert run(os._exit, [1, 1]) == []
        assert run(math.factorial, [5, 6]) == [120, 720]
    names = [path.name for path in Path("/dev/shm").iterdir()]
    assert not [name for name in names if f"_{os.getpid()}_" in name or f"-{os.getpid()}-" in name]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_clusters_make_the_same_rows(executor: str, tmp_path: Path) -> None:
    done(tmp_path / "one", *SMALL, "--workers", "1")
    done(tmp_path / "cluster", *SMALL, "--workers", "2", "--executor", executor)
    assert figures(tmp_path / "cluster") == figures(tmp_path / "one")


@pytest.mark.slow
def test_twenty_kills_of_a_sweep_of_sixty_points_change_nothing(tmp_path: Path) -> None:
    asked = [*SIXTY, *TEN_SEEDS, "--workers", "2"]
    start = time.monotonic()
    assert done(tmp_path / "whole", *asked)["points"] == 60
    whole_s, random_ = time.monotonic() - start, random.Random(1)
    for _ in range(20):
        process = begun(tmp_path / "killed", *asked)
        time.sleep(random_.uniform(0.1, 0.4) * whole_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert done(tmp_path / "killed", *asked)["failed"] == 0
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")


@pytest.mark.slow
def test_a_worker_that_is_killed_ten_times_costs_no_row(tmp_path: Path) -> None:
    asked = [*SIXTY, *TEN_SEEDS, "--workers", "2"]
    process, random_, killed = begun(tmp_path / "killed", *asked), random.Random(2), 0
    while killed < 10 and process.poll() is None:
        time.sleep(random_.uniform(1, 3))
        workers = children(process.pid)
        if workers:
            os.kill(random_.choice(workers), signal.SIGKILL)
            killed += 1
    said = process.communicate()[1]
    assert process.returncode == 0, said.decode()[-2000:]
    done(tmp_path / "whole", *asked)
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")


def children(parent: int) -> list[int]:
    """Workers of loky below a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            above = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        if above == parent and b"loky" in command and b"resource_tracker" not in command:
            found.append(int(folder.name))
    return found


def is_there(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_ctrl_c_ends_with_what_is_done_on_disk_and_no_process_left(tmp_path: Path) -> None:
    """All processes of a terminal get the signal, workers too."""
    process = begun(tmp_path, *SIXTY, "--set", "seed=0,1,2,3", "--workers", "2")
    while len(list((tmp_path / "rows").glob("*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.decode().splitlines()[-1].startswith("stopped: finished points are kept")
    assert b"Traceback" not in said, said.decode()[-3000:]
    assert out == b""
    deadline = time.monotonic() + 20
    while is_there(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_there(process.pid)
    kept = figures(tmp_path)
    assert 3 <= len(kept) < 24
    assert done(tmp_path, *SIXTY, "--set", "seed=0,1,2,3", "--workers", "2")["failed"] == 0
    assert [row for row in figures(tmp_path) if row in kept] == kept
