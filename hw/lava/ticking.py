"""What all our Lava process models share: the tick within a batch, and ports that report when they block."""

from __future__ import annotations

from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from numpy.typing import NDArray

from hw.lava.board import BoardRow


class Ticking(PyLoihiProcessModel):
    """Counts Lava time steps 1, 2, ... as ticks 0, 1, ... of one batch after another, `period` of them each.

    Tick 0 loads: states are reset, the input is sent. Tick t computes step t of the dynamics, from what was sent at
    tick t - 1, because every link passes its sums on one time step after it received the states.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.steps: int = proc_params["steps"]
        self.period: int = proc_params["period"]
        self.board_row: BoardRow = proc_params["board_row"]

    @property
    def tick(self) -> int:
        """From 0 within the current batch."""
        return int((self.time_step - 1) % self.period)

    def run_spk(self) -> None:
        """One Lava time step."""
        self.board_row.beat(self.time_step)
        self.advance(self.tick)

    def advance(self, tick: int) -> None:
        """What the process does at this tick: send what is due, then receive, so that no cycle of processes blocks."""
        raise NotImplementedError

    def receive(self, port: str) -> NDArray[Any]:
        """Receive from a port; where several are connected to it, Lava adds up what they sent."""
        self.board_row.wait(port)
        data: NDArray[Any] = getattr(self, port).recv()
        self.board_row.go()
        return data

    def send(self, port: str, data: NDArray[Any]) -> None:
        """Send to everything connected to a port."""
        self.board_row.wait(port)
        getattr(self, port).send(data)
        self.board_row.go()

    def connected(self, port: str) -> bool:
        """Whether anything is at the other end."""
        return bool(getattr(self, port).csp_ports)


AT_ONCE = 2**17
"""Messages that are counted at once: what a processor keeps close to it."""


def spikes(active: NDArray[np.bool_], traffic: NDArray[np.floating]) -> NDArray[np.floating]:
    """(columns, B) events that these units cause by sending: active (*shape, B), traffic (columns, units)."""
    units = active.reshape(traffic.shape[1], -1)
    held = max(1, AT_ONCE // units.shape[1])
    counted: NDArray[np.floating] = traffic[:, :held] @ units[:held].astype(traffic.dtype)
    for first in range(held, len(units), held):
        counted += traffic[:, first : first + held] @ units[first : first + held].astype(traffic.dtype)
    return counted
