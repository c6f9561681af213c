"""Where a run was made: enough to make it again."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from models.files.provenance import now, this_program

PACKAGES = ("torch", "numpy", "lava-nc", "scikit-learn", "safetensors")


def environment(device: str) -> dict[str, object]:
    """Date, commit, versions, processor, and the graphics board if one is used."""
    import torch  # takes seconds to load, and whoever reads what was written down needs none of it

    return {
        "date": now(),
        "commit": this_program().commit,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": device_name(device),
        "versions": {name: version(name) for name in PACKAGES},
    }


def device_name(device: str) -> str:
    """What a torch device is called: cpu, or the name of the graphics board."""
    if not device.startswith("cuda"):
        return "cpu"
    import torch

    return torch.cuda.get_device_name(device)


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
