"""What this computer takes, by its clock and its counter of joules: the network that settles and its twin.

Nothing here is modelled. Without a counter joules are None, and the reason stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bench.compare.platforms import Entry
from bench.machines.backend import Images
from bench.records.environment import environment
from hw.meters import Measured, Plan, measure, open_meter
from mapping.machines import to_digital


def measure_all(
    entries: Iterable[Entry], images: Images, batches: Iterable[int], plan: Plan, done: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row per network in floats and number of images at once; those of fewest joules, or seconds, are the best."""
    rows = []
    for entry in entries:
        if entry.in_floats:
            rows += [_measured(entry, images, batch, plan, done) for batch in batches]
    return rows


def _measured(entry: Entry, images: Images, batch: int, plan: Plan, done: Callable[[str], None]) -> dict[str, Any]:
    done(f"{entry.network}: measuring {batch} images at once")
    conditions = entry.work.conditions
    device = conditions.torch_device
    machine = to_digital(entry.work.network, steps=conditions.settling.steps, batch_size=batch, device=device)
    shown = np.resize(images, (batch, *images.shape[1:]))
    found = measure(_work(machine, shown, device), open_meter(device), plan)
    told = environment(device)
    return {
        "network": entry.network,
        "way": "settles" if entry.settles else "one pass",
        "device": found.device or str(told["device"] if device != "cpu" else told["cpu"]),
        "threads": told["torch_threads"],
        "batch": batch,
        **per_image(found, batch),
    }


def per_image(found: Measured, batch: int) -> dict[str, Any]:
    """The figures of one image, and how they were measured."""

    def share(value: float | None) -> float | None:
        return None if value is None else value / batch

    return {
        "seconds": found.seconds / batch,
        "seconds_sd": found.seconds_sd / batch,
        "gross_j": share(found.gross_j),
        "gross_sd_j": share(found.gross_sd_j),
        "net_j": share(found.net_j),
        "idle_w": found.idle_w,
        "counter": found.counter,
        "reason": found.reason,
        "clocks_hz": dict(found.clocks_hz),
        "windows_s": [window.seconds for window in found.windows],
        "calls": [window.calls for window in found.windows],
    }


def _work(machine: Any, shown: Images, device: str) -> Callable[[], None]:
    def settle() -> None:
        machine.settle(shown)
        if device != "cpu":
            import torch

            torch.cuda.synchronize(device)

    return settle
