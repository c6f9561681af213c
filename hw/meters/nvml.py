"""Energy of a whole GPU board since its driver was loaded: NVML's `nvmlDeviceGetTotalEnergyConsumption`, millijoules.

Volta or newer, no root needed, updated every 20 to 100 ms. It needs nvidia-ml-py (the extra `gpu`). Power is not split
between MIG slices: with MIG on, the counter holds every tenant of the board, and its name says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hw.meters.meter import CounterError, Meter, Missing


class Nvml:
    """The board behind an NVML handle."""

    def __init__(self, nvml: Any, handle: object, *, shared: bool) -> None:
        self._nvml, self._handle, self._shared = nvml, handle, shared
        self._last = 0.0

    @property
    def name(self) -> str:
        """The counter, and whether others are in it."""
        return "nvml board energy, shared by MIG slices" if self._shared else "nvml board energy"

    @property
    def device(self) -> str:
        """The board and its driver."""
        try:
            return f"{self._nvml.nvmlDeviceGetName(self._handle)}, driver {self._nvml.nvmlSystemGetDriverVersion()}"
        except self._nvml.NVMLError as error:
            return f"a board that NVML does not name: {error}"

    def read(self) -> float:
        """Joules since the driver was loaded."""
        try:
            now = float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) * 1e-3
        except self._nvml.NVMLError as error:
            raise CounterError(f"{self.name} cannot be read: {error}") from error
        if now < self._last:
            raise CounterError(
                f"{self.name} went backwards, from {self._last} J to {now} J: was the driver loaded anew?"
            )
        self._last = now
        return now

    def clocks_hz(self) -> Mapping[str, float]:
        """Of the multiprocessors and the memory."""
        kinds = {"sm": self._nvml.NVML_CLOCK_SM, "memory": self._nvml.NVML_CLOCK_MEM}
        try:
            return {name: 1e6 * self._nvml.nvmlDeviceGetClockInfo(self._handle, kind) for name, kind in kinds.items()}
        except self._nvml.NVMLError:
            return {}


def open_nvml(index: int) -> Meter | Missing:
    """The board of CUDA device `index` as torch counts them, or why it cannot be counted."""
    try:
        import pynvml
    except ImportError:
        return Missing("nvidia-ml-py is not installed: pip install 'ep-hardware[gpu]'")
    try:
        pynvml.nvmlInit()
        import torch  # late: a computer without NVML needs none

        if index >= torch.cuda.device_count():
            return Missing(f"cuda:{index} is none of the {torch.cuda.device_count()} devices of torch")
        # CUDA_VISIBLE_DEVICES and CUDA's own order renumber boards, and NVML knows neither: a UUID names the same one
        meter = _board(pynvml, str(torch.cuda.get_device_properties(index).uuid))
        meter.read()
    except pynvml.NVMLError as error:
        return Missing(f"NVML: {error}")
    except CounterError as error:
        return Missing(str(error))
    return meter


def _board(nvml: Any, uuid: str) -> Nvml:
    """The meter of the board with this UUID, or of the board that holds the MIG slice with this UUID."""
    try:
        board = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        mig = nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return Nvml(nvml, nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig), shared=True)
    try:
        mode, _pending = nvml.nvmlDeviceGetMigMode(board)
    except nvml.NVMLError:
        return Nvml(nvml, board, shared=False)  # a board that cannot be sliced
    return Nvml(nvml, board, shared=mode == nvml.NVML_DEVICE_MIG_ENABLE)
