"""Where a run was made: enough to make it again."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import torch

from bench.records.version import ROOT

PACKAGES = ("torch", "numpy", "lava-nc", "adversarial-robustness-toolbox", "scikit-learn", "safetensors")


def environment(device: str) -> dict[str, object]:
    """Date, commit, versions, processor, and the graphics board if one is used."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "versions": {name: version(name) for name in PACKAGES},
    }


def _commit() -> str | None:
    """Commit of the source tree, with a mark if files differ from it; None outside a checkout."""
    if not (ROOT / ".git").exists():  # installed, perhaps inside a checkout of something else
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
