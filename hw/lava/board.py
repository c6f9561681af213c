"""The board: where every Lava process writes which step it is in and which port it waits on.

A stalled Lava run says nothing. So each process keeps two numbers in memory that it shares with its host: its
heartbeat and the port it is blocked on. The memory is anonymous and inherited over fork: nothing is left behind,
however a process ends.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 4096
_memory = mmap.mmap(-1, _ROWS * 2 * 8)
_cells: NDArray[np.int64] = np.frombuffer(_memory, np.int64).reshape(_ROWS, 2)


@dataclass(frozen=True)
class BoardRow:
    """One process on the board: its row, its name and the ports it may wait on."""

    row: int
    name: str
    ports: tuple[str, ...]

    def beat(self, step: int) -> None:
        """The process begins this Lava time step."""
        _cells[self.row, 0] = step

    def wait(self, port: str) -> None:
        """The process is about to receive from or send to this port, which may block."""
        _cells[self.row, 1] = 1 + self.ports.index(port)

    def go(self) -> None:
        """The process waits no longer."""
        _cells[self.row, 1] = 0

    @property
    def waits_on(self) -> str | None:
        """The port the process is blocked on now, if any."""
        code = int(_cells[self.row, 1])
        return self.ports[code - 1] if code else None

    @property
    def step(self) -> int:
        """Lava time step the process is in."""
        return int(_cells[self.row, 0])


def take_row(row: int, name: str, ports: tuple[str, ...]) -> BoardRow:
    """Take a row of the board for a process, before it is forked."""
    if row >= _ROWS:
        raise ValueError(f"process {name!r} is number {row}: the board has {_ROWS} rows")
    _cells[row] = 0
    return BoardRow(row, name, ports)


def snapshot(rows: int) -> bytes:
    """The first rows of the board; two equal snapshots mean that nothing has moved."""
    return _cells[:rows].tobytes()
