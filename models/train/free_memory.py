"""How much memory torch can still take."""

from __future__ import annotations

from pathlib import Path

import torch


def free_bytes(device: str) -> int | None:
    """Memory that torch can still take on a device; of a CPU as Linux tells it, and None of other systems."""
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    lines = dict(line.split(":") for line in meminfo.read_text(encoding="utf-8").splitlines())
    available = 1024 * int(lines["MemAvailable"].split()[0])
    return min([available, *limits_left(Path("/proc/self/cgroup").read_text(encoding="utf-8"), Path("/sys/fs/cgroup"))])


def limits_left(membership: str, root: Path) -> list[int]:
    """Bytes left of the limits that a container or a batch system sets: of the process's cgroup (v2) and those above.

    `membership` is /proc/self/cgroup, where v2 says 0::/PATH. Files read once can be dropped, and do not count.
    """
    left = []
    for line in membership.splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy != "0":
            continue
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            limit = folder / "memory.max"
            if (
                root not in (folder, *folder.parents)
                or not limit.exists()
                or limit.read_text(encoding="utf-8").strip() == "max"
            ):
                continue
            counts = dict(count.split() for count in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
            used = int((folder / "memory.current").read_text(encoding="utf-8")) - int(counts["inactive_file"])
            left.append(int(limit.read_text(encoding="utf-8")) - used)
    return left
