"""Layers that go wrong, to see what the Lava machine says.

A machine has them by `hosting=Hosting(process_models={"Layer": "helpers.faulty_models:..."})`.

Only the Lava host imports this. What goes wrong, where and when is told by the environment:
FAULTY="layer2:5" is the process and its Lava time step.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from hw.lava.processes.layer import Layer, PyLayerFloat


class _Faulty(PyLayerFloat):
    """A float layer that does something at its appointed time."""

    def run_spk(self) -> None:
        name, _, step = os.environ.get("FAULTY", "").partition(":")
        self.due = self.board_row.name == name and self.time_step >= int(step)
        super().run_spk()


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Raising(_Faulty):
    """Raises in its neuron."""

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        if self.due:
            raise ValueError(f"the neuron of {self.board_row.name} broke")
        return super().neuron(drive)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Silent(_Faulty):
    """Sends no states any more."""

    def send(self, port: str, data: NDArray[Any]) -> None:
        if not (self.due and port == "s_out"):
            super().send(port, data)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Busy(_Faulty):
    """Computes for ever."""

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        while self.due:
            time.sleep(0.1)
        return super().neuron(drive)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Dying(_Faulty):
    """Is killed from outside."""

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        if self.due:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().neuron(drive)


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Stillborn(_Faulty):
    """Cannot even be made."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        raise ValueError("the layer was never born")


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class Slow(_Faulty):
    """Takes its time, so that something can happen to it; leaves its process id in the folder SLOW."""

    def neuron(self, drive: NDArray[Any]) -> NDArray[Any]:
        Path(os.environ["SLOW"], self.board_row.name).write_text(str(os.getpid()))
        time.sleep(0.1)
        return super().neuron(drive)
