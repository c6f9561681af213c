"""When the host of a Lava graph counts as gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hw.lava.process import _runs


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="whether a process is dead but not reaped is read from /proc")
def test_the_dead_whom_nobody_has_reaped_are_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        assert _runs(process.pid)
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and left as it is
        os.killpg(process.pid, 0)
        assert not _runs(process.pid)
    assert not _runs(process.pid)
