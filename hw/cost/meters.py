"""Joules that a counter measured, never modelled.

A counter that is missing or cannot be read gives None, never 0. Counters tick slowly (NVML every 20 to 100 ms, powercap
about every millisecond), so work is repeated inside one window of seconds and divided. All figures are gross: they hold
whatever else the board or the package does meanwhile, idling included. Windows must not overlap: run one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pynvml

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """A counter of joules."""

    @property
    def name(self) -> str:
        """Which counter, and what it includes."""
        ...

    def read(self) -> float | None:
        """Joules since some origin, never decreasing; None if the counter cannot be read now."""
        ...


class NvmlMeter:
    """Energy of a whole GPU board since its driver was loaded (`nvmlDeviceGetTotalEnergyConsumption`, mJ).

    Volta or newer, no root needed, updated every 20 to 100 ms. Power is not split between MIG slices: with MIG on, the
    counter holds every tenant of the board, and the name says so.
    """

    def __init__(self, handle: object, *, shared: bool) -> None:
        self._handle = handle
        self._name = "nvml board energy, shared by MIG slices" if shared else "nvml board energy"

    @property
    def name(self) -> str:
        return self._name

    def read(self) -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) * 1e-3
        except pynvml.NVMLError:
            return None


class PowercapMeter:
    """Energy of all processor packages and their memory (Linux powercap, `energy_uj`), since the meter was made.

    Domains overlap: core and uncore are part of package, and psys holds it, so only package and dram are added. A
    counter starts again at zero after `max_energy_range_uj` (minutes to hours): read at least that often. Linux lets
    only root read it, and virtual machines have none.
    """

    def __init__(self, domains: list[Path]) -> None:
        self._domains = domains
        self._name = f"powercap {' + '.join(sorted({_text(domain / 'name').partition('-')[0] for domain in domains}))}"
        self._last: dict[Path, int] = {}
        self._total_uj = 0

    @property
    def name(self) -> str:
        return self._name

    def read(self) -> float | None:
        try:
            now = {domain: int(_text(domain / "energy_uj")) for domain in self._domains}
            wrap = {domain: int(_text(domain / "max_energy_range_uj")) for domain in self._domains}
        except (OSError, ValueError):
            # A package without its memory would not compare with a whole reading: all domains or none.
            return None
        for domain, value in now.items():
            moved = value - self._last.get(domain, value)
            self._total_uj += moved if moved >= 0 else moved + wrap[domain]
        self._last = now
        return self._total_uj * 1e-6


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _open_powercap(root: Path) -> Meter | None:
    domains = []
    # "intel-rapl" is the driver of AMD processors too; "intel-rapl-mmio" would count the same packages again.
    for domain in sorted(root.glob("intel-rapl:*")):
        try:
            kind = _text(domain / "name")
        except OSError:
            return None
        if kind.startswith("package") or kind == "dram":
            domains.append(domain)
    return PowercapMeter(domains) if domains else None


def _open_nvml(index: int) -> Meter | None:
    try:
        pynvml.nvmlInit()
        import torch  # late: a machine without NVML needs none

        if index >= torch.cuda.device_count():
            return None
        # CUDA_VISIBLE_DEVICES and CUDA's own order renumber boards, and NVML knows neither: a UUID names the same one.
        return _nvml_board(str(torch.cuda.get_device_properties(index).uuid))
    except pynvml.NVMLError:
        return None


def _nvml_board(uuid: str) -> Meter:
    """The meter of the board with this UUID, or of the board that holds the MIG slice with this UUID."""
    try:
        board = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        mig = pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return NvmlMeter(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig), shared=True)
    try:
        mode, _pending = pynvml.nvmlDeviceGetMigMode(board)
    except pynvml.NVMLError:
        return NvmlMeter(board, shared=False)  # a board that cannot be sliced
    return NvmlMeter(board, shared=mode == pynvml.NVML_DEVICE_MIG_ENABLE)


def open_meters(device: str, root: Path = POWERCAP) -> Meter | None:
    """The counter of a device, or None if it has none that can be read.

    Args:
        device: "cpu" (powercap), "cuda" or "cuda:1" (NVML); nothing else has a counter here.
        root: where powercap is mounted.
    """
    kind, _, index = device.partition(":")
    meter: Meter | None = None
    if kind == "cpu":
        meter = _open_powercap(root)
    elif kind == "cuda":
        meter = _open_nvml(int(index or 0))
    return meter if meter is not None and meter.read() is not None else None


@dataclass(frozen=True)
class MeasuredEnergy:
    """Gross energy of repeated work in one window."""

    energy_j: float
    """Joules per call."""
    calls: int
    """Calls in the window."""
    window_s: float
    """Length of the window."""
    counter: str
    """Name of the counter, and what it includes."""


def measure_energy(work: Callable[[], object], meter: Meter | None, min_seconds: float = 3.0) -> MeasuredEnergy | None:
    """Repeat work in one window and divide its joules by the calls.

    Call work once before, so that warming up stays outside. Work on a GPU must wait for it to finish
    (`torch.cuda.synchronize`). Use at least 2 s: a counter that ticks every 100 ms errs by 5 % in 2 s.

    Returns:
        None without a meter, or if its counter failed or stood still: nothing that runs takes no energy.
    """
    if meter is None:
        return None
    before = meter.read()
    if before is None:
        return None
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < min_seconds:
        work()
        calls += 1
    after = meter.read()
    window_s = time.perf_counter() - start
    if after is None or after <= before:
        return None
    return MeasuredEnergy(energy_j=(after - before) / calls, calls=calls, window_s=window_s, counter=meter.name)
