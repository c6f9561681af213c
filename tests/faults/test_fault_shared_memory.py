"""A /dev/shm of any size: a run on Lava ends well, or says that there is too little, and never dies of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "mount -t tmpfs -o size={size}k tmpfs /dev/shm && exec "
RUN = "{python} -m bench.run --backend lava --precision float --limit 4 --disturbances --output {folder}"
ENOUGH_KIB = 1024


def in_a_small_place(size_kib: int, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that finds so much shared memory, all of it empty."""
    whole = SMALL.format(size=size_kib) + command
    return subprocess.run(["unshare", "-m", "sh", "-c", whole], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_too_little_shared_memory_is_told_whatever_its_size(tmp_path: Path) -> None:
    if in_a_small_place(16, "true").returncode:
        pytest.skip("needs a user who may mount a file system for one process (unshare -m)")
    sizes = (16, 128, 400, 560, 600, 700, 760, 800, 840, 900, ENOUGH_KIB)
    for size in sizes:
        ran = in_a_small_place(size, RUN.format(python=sys.executable, folder=tmp_path / str(size)))
        last = ran.stderr.strip().splitlines()[-1]
        assert ran.returncode == 0 or "/dev/shm has" in last, f"{size} KiB: {last}"
    assert ran.returncode == 0
