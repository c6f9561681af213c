"""One CUDA device for each worker: a process sees no other, and none is seen by two of a sweep on one computer."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"
_HELD: list[FileLock] = []
"""Of this process, until it ends."""


def cuda_devices() -> list[str]:
    """Of this computer, as `CUDA_VISIBLE_DEVICES` names them."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def pin(folder: Path, devices: Sequence[str]) -> str:
    """Take the first device that no other worker has, for as long as this process lives; its name.

    It must be called before CUDA is begun in this process. RuntimeError where all are taken.
    """
    if _HELD:
        return os.environ[VISIBLE]
    for name in devices:
        lock = FileLock(folder / f"cuda-{socket.gethostname()}-{name.replace('/', '_')}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        _HELD.append(lock)
        os.environ[VISIBLE] = name
        return name
    raise RuntimeError(f"all {len(devices)} CUDA devices are taken: run no more --workers than there are devices")
