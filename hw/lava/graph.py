"""What every graph of our Lava processes has, whatever it is for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from numpy.typing import NDArray

from hw.circuit import Circuit
from hw.lava.board import BoardRow
from hw.lava.process import SHARED_MEMORY

CHANNEL_SLOTS = 2
"""Messages a channel holds. Lava's default of 64 would reserve gigabytes of shared memory for batched states."""


@dataclass(frozen=True)
class Graph:
    """Connected processes, the source of the images first."""

    processes: tuple[AbstractProcess, ...]
    rows: tuple[BoardRow, ...]
    """Of the processes, on the board."""
    feeds: dict[tuple[str, str], tuple[str, ...]]
    """What sends to each in-port: (process, port) to "process.port" names."""
    run_config: Loihi2SimCfg


def traffic_tables(circuit: Circuit) -> list[NDArray[np.floating]]:
    """(columns, units) of every layer. Counted events must come out whole: float32 holds whole numbers to 2**24."""
    return [
        np.ascontiguousarray(table.T, np.float32 if table.sum() < 2**24 else np.float64) for table in circuit.traffic
    ]


def feeds_of(processes: tuple[AbstractProcess, ...]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What sends to each in-port: (process, port) to "process.port" names."""
    feeds: dict[tuple[str, str], tuple[str, ...]] = {}
    for process in processes:
        for port in process.out_ports:
            for target in port.get_dst_ports():
                key = (target.process.name, target.name)
                feeds[key] = (*feeds.get(key, ()), f"{process.name}.{port.name}")
    return feeds


PAGE = os.sysconf("SC_PAGE_SIZE")
PAGES_OF_A_PROCESS = 12
"""What Lava takes for itself: two channels of a page and their four semaphores, and locks of its runtime; measured."""


def check_shared_memory(processes: tuple[AbstractProcess, ...], wide: tuple[str, ...]) -> None:
    """Refuse a graph whose channels do not fit: Lava would die of a bus error in the middle of the run.

    `wide` names the out-ports of float64; the others carry words of four bytes. The first process is the source.
    """
    folder = SHARED_MEMORY
    if not folder.exists():
        return
    own, channels = PAGES_OF_A_PROCESS * len(processes) * PAGE, 0  # whole pages, and the two semaphores of a channel
    for process in processes:
        for port in (*process.out_ports, *process.in_ports):
            ends = len(port.get_dst_ports()) if isinstance(port, OutPort) else 0
            ends += getattr(port, "external_pipe_flag", False)
            size = 4 * CHANNEL_SLOTS * int(np.prod(port.shape)) * (2 if port.name in wide else 1)
            channels += ends * (-(-size // PAGE) + 2) * PAGE
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if own + channels > free:
        most = int(processes[0].images_in.shape[-1] * (free - own) / channels)
        raise ValueError(
            f"the channels of this graph need {_size(own + channels)} of shared memory, {folder} has "
            f"{_size(free)} free: " + (f"a batch of at most {most} would fit" if most > 0 else "no batch would fit")
        )


def _size(count: float) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 10 * 2**20 else f"{count / 2**10:.0f} KiB"


def pipe(port: InPort | OutPort) -> Any:
    """The host's end of an external pipe."""
    return port.external_pipe_csp_send_port if isinstance(port, InPort) else port.external_pipe_csp_recv_port
